# SPDX-License-Identifier: Apache-2.0
"""A session with one host's database: connect, watch, write what is desired, report, repeat.

One loop in one thread or greenthread (``spawn`` decides which); it shares nothing with the loops
of other hosts. It writes only while it has desired rows and a whole view of the database, and it
reports only what a database said: absence of a host is never reported as absence of its ports.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vneter_sdn.errors import DecodeError, OvsdbError, SouthboundError
from vneter_sdn.model.rows import HostRows
from vneter_sdn.ovsdb.client import LIMITS, PLAIN, Client, Limits
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.transport import Network, TlsFiles
from vneter_sdn.southbound.ovsdb import observe
from vneter_sdn.southbound.ovsdb.plan import BFD_INTERVAL, Plan, plan
from vneter_sdn.southbound.ovsdb.watched import DATABASE, WATCHED

_LOG = logging.getLogger(__name__)
FIRST_DELAY, LAST_DELAY = 0.2, 8.0
"""Seconds between attempts, doubled from the first to the last, less up to half by chance."""
BURST, WINDOW = 10, 5.0
"""At most so many transactions in so many seconds, whoever keeps undoing them."""


@dataclass(frozen=True, slots=True)
class HostState:
    """How things are with a host's database."""

    connected: bool
    reason: str
    """``InSync``, ``Waiting`` (no desired rows yet), ``Writing``, ``RowsWithheld`` (somebody
    else's row is in the way), ``RowsRefused``; when not connected ``Connecting``,
    ``Unreachable``, ``ProtocolError``, ``Refused``, ``Failed`` or ``Closed``."""
    message: str = ""
    facts: observe.HostFacts | None = None
    """The last known."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What a session calls, from its own loop; the first argument is the host's name.

    The calls must not block. Each passes the whole of what is known, once on every connection and
    then whenever it changes.
    """

    on_ports: Callable[[str, tuple[observe.ObservedPort, ...]], None]
    on_tunnels: Callable[[str, tuple[observe.ObservedTunnel, ...]], None]
    on_state: Callable[[str, HostState], None]
    on_interfaces: Callable[[str, observe.ObservedInterfaces], None] = lambda host, seen: None


def spawn_thread(run: Callable[[], None]) -> None:
    """Run in a thread of its own; ``eventlet.spawn`` is the other choice."""
    threading.Thread(target=run, daemon=True).start()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a session runs on. For eventlet: its ``spawn``, and a `Network` of its green modules."""

    spawn: Callable[[Callable[[], None]], Any] = spawn_thread
    network: Network = PLAIN
    tls: TlsFiles | None = None
    limits: Limits = LIMITS
    chance: Callable[[], float] = field(default=random.random)
    """A number from 0 to 1, for jitter."""
    bfd_interval: int = BFD_INTERVAL
    """Milliseconds between BFD packets on tunnels."""


THREADS = Runtime()


class HostSession:
    """Keeps one host's database as desired, for as long as it is open.

    Args:
        name: the host's, for reports.
        address: ``unix:PATH``, ``tcp:HOST:PORT`` or ``ssl:HOST:PORT``.
        bridge: whose ports are reported.
        listener: who hears of it.
        runtime: threads by default.
    """

    def __init__(
        self,
        name: str,
        address: str,
        bridge: str,
        listener: Listener,
        runtime: Runtime = THREADS,
    ) -> None:
        self.name, self.address, self.bridge = name, address, bridge
        self._listener, self._runtime = listener, runtime
        self._clock = runtime.network.clock
        self._desired: HostRows | None = None
        self._keep_tunnels = False
        self._closing = False
        self._client: Client | None = None
        self._waker, self._wakee = runtime.network.sockets.socketpair()
        self._state = HostState(False, "Connecting")
        self._reported: dict[str, Any] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._written: deque[float] = deque(maxlen=BURST)

    def start(self) -> None:
        """Begin; returns at once."""
        self._runtime.spawn(self._run)

    def set_desired(self, rows: HostRows, keep_tunnels: bool = False) -> None:
        """What the host should hold from now on; safe from any thread, returns at once.

        ``keep_tunnels``: those of ours that it has besides stay.
        """
        self._keep_tunnels, self._desired = keep_tunnels, rows
        self._wake()

    def close(self) -> None:
        """End the loop soon and leave the host as it is; safe from any thread."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        client = self._client
        if client is not None:
            client.interrupt()
        with suppress(OSError):
            self._waker.send(b"!")

    def _run(self) -> None:
        attempt = 0
        while not self._closing:
            begun = self._clock()
            reason, message = self._attempt()
            if self._closing:
                break
            self._say(HostState(False, reason, message, self._state.facts))
            attempt = 0 if self._clock() - begun > LAST_DELAY else attempt + 1
            self._pause(self._delay(attempt))
        self._say(HostState(False, "Closed", "", self._state.facts))
        self._waker.close()
        self._wakee.close()

    def _attempt(self) -> tuple[str, str]:
        """One connection, from beginning to end; why it ended."""
        try:
            self._converse()
        except DecodeError as error:
            _LOG.warning("host %s: %s", self.name, error)
            return "ProtocolError", str(error)
        except OvsdbError as error:
            return "Refused", str(error)
        except (SouthboundError, ValueError) as error:
            return "Unreachable", str(error)
        except Exception as error:  # noqa: BLE001  (a mistake of ours must not end the loop)
            _LOG.exception("host %s: session failed", self.name)
            return "Failed", f"{type(error).__name__}: {error}"
        finally:
            self._client = None
        return "Closed", ""

    def _converse(self) -> None:
        runtime = self._runtime
        client = Client(
            self.address, network=runtime.network, limits=runtime.limits, tls=runtime.tls
        )
        with client:
            self._client = client
            first = client.monitor(DATABASE, WATCHED)
            replica = Replica(client.watched(DATABASE))
            replica.apply(first)
            self._reported.clear()
            self._retry_at, self._failures = 0.0, 0
            while not self._closing:
                self._observe(replica)
                for update in client.poll(self._reconcile(client, replica)):
                    replica.apply(update)

    def _observe(self, replica: Replica) -> None:
        seen = observe.interfaces(replica, self.bridge)
        self._tell("interfaces", self._listener.on_interfaces, seen)
        self._tell("ports", self._listener.on_ports, observe.endpoint_ports(replica, self.bridge))
        self._tell("tunnels", self._listener.on_tunnels, observe.tunnels(replica, self.bridge))

    def _tell(self, what: str, callback: Callable[[str, Any], None], value: Any) -> None:
        if self._reported.get(what) != value:
            callback(self.name, value)
            self._reported[what] = value

    def _reconcile(self, client: Client, replica: Replica) -> float | None:
        """Write what is missing; seconds after which to look again, None for when things change."""
        facts = observe.facts(replica, self.bridge)
        desired = self._desired
        if desired is None:
            self._say(HostState(True, "Waiting", "no desired rows yet", facts))
            return None
        try:
            todo = plan(desired, replica, self._keep_tunnels, self._runtime.bfd_interval)
        except SouthboundError as error:
            self._say(HostState(True, "RowsRefused", str(error), facts))
            return None
        if not todo:
            self._failures = 0
            self._say(_settled(todo, facts))
            return None
        hold = self._hold()
        return hold if hold > 0 else self._write(client, todo, facts)

    def _write(self, client: Client, todo: Plan, facts: observe.HostFacts) -> float:
        """Send a plan; seconds after which to look again."""
        if self._state.reason != "RowsRefused":
            self._say(HostState(True, "Writing", "", facts))
        self._written.append(self._clock())
        try:
            client.transact(DATABASE, todo.operations)
        except OvsdbError as error:
            return self._refused(error, facts)
        self._failures = 0
        return LAST_DELAY

    def _hold(self) -> float:
        """Seconds until the next transaction may be sent."""
        until = self._retry_at
        if len(self._written) == BURST:
            until = max(until, self._written[0] + WINDOW)
        return until - self._clock()

    def _refused(self, error: OvsdbError, facts: observe.HostFacts) -> float:
        """Note a refusal; a guard that failed is another writer's change, seen again soon."""
        self._failures += 1
        delay = self._delay(self._failures)
        self._retry_at = self._clock() + delay
        if error.error != "timed out" or self._failures > 3:
            if self._failures in {1, 4}:
                _LOG.warning("host %s: rows refused: %s", self.name, error)
            self._say(HostState(True, "RowsRefused", str(error), facts))
        return delay

    def _delay(self, attempt: int) -> float:
        ceiling = min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(attempt - 1, 16)) if attempt else 0.0
        return max(FIRST_DELAY / 2, ceiling * (1 - self._runtime.chance() / 2))

    def _say(self, state: HostState) -> None:
        if state != self._state:
            self._state = state
            self._listener.on_state(self.name, state)

    def _pause(self, seconds: float) -> None:
        """Sleep, unless `close` was called."""
        until = self._clock() + seconds
        while not self._closing and (left := until - self._clock()) > 0:
            ready, _, _ = self._runtime.network.select([self._wakee], [], [], left)
            if ready:
                self._wakee.recv(4096)


def _settled(done: Plan, facts: observe.HostFacts) -> HostState:
    if done.withheld:
        return HostState(True, "RowsWithheld", "; ".join(done.withheld), facts)
    return HostState(True, "InSync", "", facts)
