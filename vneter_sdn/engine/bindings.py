# SPDX-License-Identifier: Apache-2.0
"""Which host an endpoint is on, decided from what hosts report. Pure.

A host reports the whole set of its ports that carry an ``iface-id``. The newest appearance of an
id wins: when a workload moves, its new host shows it before the old one forgets it. What a host
does not say is no evidence: until it has reported in this process's life, the stored binding
stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vneter_sdn.model.snapshot import Binding, Key


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a bridge that claims to be an endpoint's."""

    interface_id: str
    interface: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A port, and when this process first saw it there; higher is newer."""

    port: Port
    order: int


Sightings = Mapping[str, Mapping[str, Sighting]]
"""By host, then by interface id. A host that has not reported is absent."""


def sight(seen: Sightings, host: str, ports: Iterable[Port], clock: int) -> Sightings:
    """``seen`` after ``host`` reported ``ports``; ids it showed before keep their order.

    In a host's first report, everything has order 0: the process cannot know how old it is.
    """
    before = seen.get(host)
    order = 0 if before is None else clock
    known = before or {}
    now = {
        port.interface_id: Sighting(
            port, known[port.interface_id].order if port.interface_id in known else order
        )
        for port in ports
    }
    return {**seen, host: now}


def interface_id(host: str, interface: str) -> str:
    """What endpoints on a host without a database bind by: ``s1/s1-eth1``."""
    return f"{host}/{interface}"


def unlabelled(host: str, ofports: Mapping[str, int]) -> tuple[Port, ...]:
    """The ports of a host without a database, by interface: each has an id of its own."""
    return tuple(Port(interface_id(host, name), name, n) for name, n in sorted(ofports.items()))


def forget(seen: Sightings, host: str) -> Sightings:
    """``seen`` without a host that is no longer managed."""
    return {name: ports for name, ports in seen.items() if name != host}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write."""

    bound: tuple[Binding, ...] = ()
    unbound: tuple[Key, ...] = ()


def decide(
    interfaces: Mapping[str, Key],
    stored: Mapping[Key, Binding],
    seen: Sightings,
    sequence: int,
) -> Decision:
    """Bindings to write so that each endpoint is where it was newest seen.

    Args:
        interfaces: endpoint by interface id, for the endpoints to decide on.
        stored: their bindings as they are now.
        seen: what hosts reported.
        sequence: the highest sequence handed out so far.
    """
    bound: list[Binding] = []
    unbound: list[Key] = []
    for interface_id, endpoint in sorted(interfaces.items()):
        now = stored.get(endpoint)
        newest = _newest(interface_id, now, seen)
        if newest is None:
            if now is not None and now.host in seen:
                unbound.append(endpoint)
            continue
        host, port, order = newest
        if now is not None and now.host != host and now.host not in seen and order == 0:
            continue
        if now is None or (now.host, now.interface, now.ofport) != (
            host,
            port.interface,
            port.ofport,
        ):
            sequence += 1
            bound.append(Binding(endpoint, host, port.interface, port.ofport, sequence))
    return Decision(tuple(bound), tuple(unbound))


def _newest(
    interface_id: str, now: Binding | None, seen: Sightings
) -> tuple[str, Port, int] | None:
    """The host that showed the id last; among equals the one it is bound to, then by name."""
    shown = [(ports[interface_id], host) for host, ports in seen.items() if interface_id in ports]
    if not shown:
        return None
    sighting, host = max(
        shown, key=lambda s: (s[0].order, now is not None and now.host == s[1], s[1])
    )
    return host, sighting.port, sighting.order
