# SPDX-License-Identifier: Apache-2.0
"""How often one client may ask: a token bucket for each, reads and writes apart.

A client is whoever showed a credential, by its name; others are known by their address. Local users
without a credential are not limited unless that is asked for: there, one limit would be shared by
everything on the machine.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from flask import Flask, g, request

from vneter_sdn.config import Settings
from vneter_sdn.errors import Throttled
from vneter_sdn.northbound.access.identity import Identity
from vneter_sdn.northbound.wire.gateway import crowd_of

BURST = 5.0
"""Seconds of its rate that a client may use at once."""
_CLIENTS = 10_000
_FREE = frozenset({"healthz", "readyz"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Buckets:
    """One bucket a client; safe among threads. A rate of 0 is no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """So many requests a second, ``BURST`` times as many at once, at least one."""
        self._rate, self._clock, self._lock = rate, clock, threading.Lock()
        self._room = max(rate * BURST, 1.0)
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each client has all of its requests again, in seconds; the least recent first."""

    def take(self, client: str) -> float:
        """Take one request; seconds to wait when there is none, else 0."""
        if self._rate <= 0:
            return 0.0
        now = self._clock()
        with self._lock:
            full = max(now, self._full.pop(client, now)) + 1 / self._rate
            late = full - now - self._room / self._rate
            self._full[client] = full - (1 / self._rate if late > 1e-9 else 0)
            if len(self._full) > _CLIENTS:
                self._full.popitem(last=False)
            return late if late > 1e-9 else 0.0


class Limits:
    """The limits of one server."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """As the settings say."""
        self._reads = Buckets(settings.api_read_rate, clock)
        self._writes = Buckets(settings.api_write_rate, clock)
        self._local = settings.api_limit_local

    def install(self, app: Flask) -> None:
        """Ask before each request, once it is known who asks."""

        @app.before_request
        def limit() -> None:
            rule = request.endpoint or ""
            if rule not in _FREE:
                self.admit(g.identity, request.remote_addr or "", request.method)

    def admit(self, identity: Identity, address: str, method: str) -> None:
        """Count one request.

        Raises:
            Throttled: it is one too many.
        """
        if identity.via == "local" and not self._local:
            return
        known = identity.via in {"token", "certificate"}
        client = identity.name if known else f"address {crowd_of(address)}"
        sort = "reads" if method in _READS else "writes"
        seconds = (self._reads if sort == "reads" else self._writes).take(client)
        if seconds:
            raise Throttled(f"too many {sort} by {client}; ask again later", seconds)
