# SPDX-License-Identifier: Apache-2.0
"""OVSDB sessions on eventlet, told to the engine in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import eventlet
import eventlet.green.select
import eventlet.green.socket
from eventlet.hubs import notify_opened

from vneter_sdn.config import Settings
from vneter_sdn.daemon.handover import tls_files
from vneter_sdn.engine.bindings import Port
from vneter_sdn.engine.port import Database, Event, Ports, Tunnel, Tunnels
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.rows import HostRows
from vneter_sdn.ovsdb.transport import Network
from vneter_sdn.southbound.openflow.discovery import Purpose
from vneter_sdn.southbound.ovsdb.observe import ObservedInterfaces, ObservedPort, ObservedTunnel
from vneter_sdn.southbound.ovsdb.session import HostSession, HostState, Listener, Runtime


@dataclass(frozen=True, slots=True)
class Interfaces:
    """What the interfaces of a host's bridge are for, tunnels apart."""

    host: str
    purposes: Mapping[str, Purpose]


Deliver = Callable[[Event | Interfaces], None]


def _socketpair() -> tuple[Any, Any]:
    """Two connected sockets, of whose numbers the hub hears; eventlet's own does not tell it.

    Whoever still waits on a socket with such a number, closed before, would be in the way.
    """
    pair: tuple[Any, Any] = eventlet.green.socket.socketpair()
    for one in pair:
        notify_opened(one.fileno())
    return pair


_SOCKETS = SimpleNamespace(
    socket=eventlet.green.socket.socket,
    socketpair=_socketpair,
    getaddrinfo=eventlet.green.socket.getaddrinfo,
)
GREEN = Network(_SOCKETS, eventlet.green.select.select)
"""Sockets and select that give way to other greenthreads."""


class Absent:
    """The session of a host that has no database: nothing is written, and nothing is heard."""

    def set_desired(self, rows: HostRows, *, keep_tunnels: bool = False) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to close."""


def opener(
    settings: Settings,
) -> Callable[[str, HostSpec, Deliver], HostSession | Absent]:
    """A function that opens the session of a host and delivers what it says as events."""
    runtime = Runtime(
        spawn=eventlet.spawn,
        network=GREEN,
        tls=tls_files(settings),
        bfd_interval=settings.bfd_interval_ms,
    )

    def open_session(host: str, spec: HostSpec, deliver: Deliver) -> HostSession | Absent:
        if spec.ovsdb is None:
            return Absent()
        session = HostSession(host, spec.ovsdb, spec.bridge, _listener(deliver), runtime)
        session.start()
        return session

    return open_session


def _listener(deliver: Deliver) -> Listener:
    def on_ports(host: str, ports: tuple[ObservedPort, ...]) -> None:
        seen = tuple(Port(p.interface_id, p.interface, p.ofport) for p in ports)
        deliver(Ports(host, seen))

    def on_tunnels(host: str, tunnels: tuple[ObservedTunnel, ...]) -> None:
        seen = {t.name: Tunnel(t.ofport, t.bfd, t.fault, t.peer, t.flaps) for t in tunnels}
        deliver(Tunnels(host, seen))

    def on_state(host: str, state: HostState) -> None:
        dpid = state.facts.dpid if state.facts else None
        confused = state.facts is not None and state.facts.mixes_up_megaflows
        deliver(Database(host, state.connected, state.reason, state.message, dpid, confused))

    def on_interfaces(host: str, seen: ObservedInterfaces) -> None:
        purposes = dict.fromkeys(seen.plain, Purpose.WIRE)
        deliver(Interfaces(host, purposes | dict.fromkeys(seen.endpoints, Purpose.ENDPOINT)))

    return Listener(on_ports, on_tunnels, on_state, on_interfaces)
