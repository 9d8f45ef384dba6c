# SPDX-License-Identifier: Apache-2.0
"""The REST server: waitress around the application, on loopback or a unix socket only."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import msgspec
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from vneter_sdn.config import Settings
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model import jsontext
from vneter_sdn.northbound import problems
from vneter_sdn.northbound.rest.app import THREADS, create_app
from vneter_sdn.northbound.rest.metrics import Metrics
from vneter_sdn.northbound.rest.service import CoreAlive, Inject, nobody
from vneter_sdn.store.port import Store

_LOG = logging.getLogger("vneter.api")
MAX_HEADER = 16 * 1024
"""Octets of a request's first line and headers."""
CONNECTIONS = 200
IDLE_SECONDS = 30
DRAIN_SECONDS = 5.0
"""How long a stopping server lets requests under way finish."""
_LIMITS = {
    413: f"request bodies are at most {jsontext.MAX_BYTES} bytes long",
    431: f"request headers are at most {MAX_HEADER} bytes long",
}


def listen_options(address: str) -> dict[str, Any]:
    """Waitress's options for an address: ``127.0.0.1:8181``, ``[::1]:8181`` or ``unix:PATH``.

    Raises:
        IntentError: it is not such an address, or not on loopback.
    """
    if address.startswith("unix:"):
        return {"unix_socket": address.removeprefix("unix:"), "unix_socket_perms": "600"}
    host, _, port = address.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        loopback, number = ip_address(host).is_loopback, int(port)
    except ValueError:
        loopback, number = False, -1
    if not loopback or not 0 <= number <= 65535:
        message = (
            f"{address!r} is not an address on loopback; the REST server has no authentication "
            "yet and listens on 127.0.0.1:PORT, [::1]:PORT or unix:PATH only"
        )
        raise IntentError(Problem("settings", "api_listen", "NotLoopback", message))
    return {"host": host, "port": number}


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answers what waitress refuses itself (too long, not HTTP) like everything else."""

    def execute(self) -> None:
        error = self.request.error
        sort = problems.sort_of_status(error.code)
        instance = quote(getattr(self.request, "path", "") or "/")
        detail = _LIMITS.get(error.code) or str(error.body)
        body = msgspec.json.encode(problems.details(sort, detail, instance))
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", problems.MEDIA_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; nothing more is read from it while a request of it waits or is served."""

    error_task_class = _ProblemTask

    def __init__(self, waited: Callable[[float], None], *args: Any, **named: Any) -> None:
        self._waited, self._came = waited, 0.0
        super().__init__(*args, **named)

    def received(self, data: bytes) -> bool:
        self._came = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        self._waited(time.monotonic() - self._came)
        super().service()


class Server:
    """One listening REST server.

    ``run`` serves until ``stop`` is called from any thread or signal handler, then finishes the
    requests under way and closes.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        core_alive: CoreAlive | None = None,
        inject: Inject = nobody,
    ) -> None:
        """Listen at ``settings.api_listen``.

        Raises:
            IntentError: the address is not on loopback.
            OSError: it cannot be bound.
        """
        options = listen_options(settings.api_listen)
        known = {"core_alive": core_alive} if core_alive else {}
        metrics = Metrics()
        app = create_app(store, settings, inject=inject, metrics=metrics, **known)
        self._map: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._closing = threading.RLock()  # re-entrant: stop may run in a handler above itself
        self._unix = options.get("unix_socket", "")
        self._server = create_server(
            app,
            map=self._map,
            threads=THREADS,
            max_request_body_size=jsontext.MAX_BYTES + 1,
            max_request_header_size=MAX_HEADER,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            ident=None,
            **options,
        )
        self._server.channel_class = partial(_Channel, metrics.waited)

    @property
    def address(self) -> str:
        """Where it listens, as a client writes it: ``http://127.0.0.1:8181``."""
        if self._unix:
            return f"unix:{self._unix}"
        host, port = self._server.effective_host, self._server.effective_port
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Serve until stopped."""
        _LOG.info("serving %s", self.address)
        while not self._stopping.is_set():
            self._turn(1.0)
        self._drain()

    def stop(self) -> None:
        """Ask `run` to return."""
        with self._closing:
            if not self._stopping.is_set():
                self._stopping.set()
                self._server.pull_trigger()

    def _drain(self) -> None:
        self._server.accepting = False
        self._server.socket.close()
        self._server.del_channel()
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._busy() and time.monotonic() < deadline:
            self._turn(0.05)
        self._server.task_dispatcher.shutdown(timeout=0.5)
        with self._closing:  # the trigger's descriptor may not be another's when it is pulled
            wasyncore.close_all(self._map)
        if self._unix:
            os.unlink(self._unix)

    def _busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(channel.requests or channel.total_outbufs_len for channel in channels)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)


def serve(
    store: Store,
    settings: Settings,
    *,
    core_alive: CoreAlive | None = None,
    inject: Inject = nobody,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. Call from the main thread.

    Raises:
        IntentError: the address is not on loopback.
        OSError: it cannot be bound.
    """
    server = Server(store, settings, core_alive=core_alive, inject=inject)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.run()
