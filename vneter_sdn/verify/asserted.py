# SPDX-License-Identifier: Apache-2.0
"""What an Assertion is about: endpoints at either end, and the packets that begin connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from vneter_sdn.compile.portranges import masks
from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.kinds import EndpointSpec
from vneter_sdn.model.policy_kinds import AssertedEnd, AssertionSpec, PortMatch, Selector
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.policy.prefixes import parse
from vneter_sdn.policy.selectors import labels_of_namespace, selects
from vneter_sdn.simulate.meaning import Station
from vneter_sdn.verify.expected import Directory, one, sent_by
from vneter_sdn.verify.packets import NONE, Cube, Packets, overlap, without
from vneter_sdn.verify.reach import BEGINNING
from vneter_sdn.verify.values import Rest, Values, join, less, masked

_SYN: Cube = {"ip_proto": one(PROTO_TCP), "tcp_flags": one(2)}
_PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP, "sctp": PROTO_SCTP}
_ICMP = {"icmp": (ETH_IP, PROTO_ICMP, 8), "icmpv6": (ETH_IPV6, PROTO_ICMPV6, 128)}
_ROUTABLE = Rest(8, frozenset((0, 1)))


@dataclass(frozen=True, slots=True)
class Asserted:
    """An assertion, and whom it is about now."""

    key: Key
    spec: AssertionSpec
    sources: tuple[Key, ...]
    """Endpoints; none where that end is addresses outside."""
    targets: tuple[Key, ...]

    @property
    def crosses(self) -> bool:
        """Whether it is about connections from one tenant to another, too."""
        ends = self.spec.source.tenant, self.spec.target.tenant
        return None not in ends and ends[0] != ends[1]


def asserted(snapshot: Snapshot, known: Directory) -> tuple[Asserted, ...]:
    """Every assertion of a snapshot, in the order of their names. O(assertions · endpoints)."""
    found = []
    for key in sorted(k for k in snapshot.objects if k.kind == "Assertion"):
        spec: AssertionSpec = snapshot.objects[key].spec
        ends = (
            tuple(sorted(_selected(snapshot, known, end))) if end.cidr is None else ()
            for end in (spec.source, spec.target)
        )
        found.append(Asserted(key, spec, *ends))
    return tuple(found)


def _selected(snapshot: Snapshot, known: Directory, end: AssertedEnd) -> Iterator[Key]:
    """Endpoints that are somewhere, and that an end is about."""
    spaces: dict[tuple[str, str], bool] = {}
    for station in known.stations if end.tenant is None else known.tenants.get(end.tenant, ()):
        stored = snapshot.objects.get(station.key)
        if stored is None:
            continue
        space = station.tenant, str(stored.spec.namespace or "")
        if space not in spaces:
            spaces[space] = _is_within(snapshot, *space, end.namespaces)
        if spaces[space] and (end.endpoints is None or selects(end.endpoints, stored.labels)):
            yield station.key


def _is_within(snapshot: Snapshot, tenant: str, name: str, wanted: Selector | None) -> bool:
    if wanted is None:
        return True
    space = snapshot.objects.get(Key("Namespace", tenant, name)) if name else None
    labels = labels_of_namespace(name, space.labels if space else None)
    return bool(name) and selects(wanted, labels)


# ---- packets


class Way(NamedTuple):
    """Packets that begin connections of one endpoint with others, in one manner."""

    packets: Packets
    field: str
    """That says whom they are for."""


def beginnings(
    ports: Sequence[PortMatch], named: Mapping[tuple[str, str], frozenset[int]]
) -> tuple[Cube, ...]:
    """What may be the first packet of a connection for some ports; for any, when there are none.

    Args:
        ports: as written.
        named: numbers of the ports that have a name, by protocol and name.
    """
    if not ports:
        return BEGINNING
    apart: list[Cube] = []
    for match in ports:
        for cube in _beginning(match, named):
            pieces = [cube]
            for other in apart:
                pieces = without(pieces, other)
            apart += pieces
    return tuple(apart)


def _beginning(match: PortMatch, named: Mapping[tuple[str, str], frozenset[int]]) -> Iterator[Cube]:
    if match.protocol in _ICMP:
        family, protocol, request = _ICMP[match.protocol]
        wanted = request if match.icmp_type is None else match.icmp_type
        cube: dict[str, Values] = {"eth_type": one(family), "ip_proto": one(protocol)}
        cube[f"{match.protocol}_type"] = one(wanted)
        if match.icmp_code is not None:
            cube[f"{match.protocol}_code"] = one(match.icmp_code)
        yield cube
        return
    cube = {"ip_proto": one(_PROTOCOLS[match.protocol])}
    if match.protocol == "tcp":
        cube = {**_SYN}
    if isinstance(match.port, str):
        numbers: Values = named.get((match.protocol, match.port), frozenset())
    elif match.port is not None:
        numbers = between(match.port, match.end_port or match.port)
    else:
        yield cube
        return
    if numbers:
        yield {**cube, f"{match.protocol}_dst": numbers}


@lru_cache(maxsize=1024)
def between(first: int, last: int) -> Values:
    """The port numbers from one to another, both among them."""
    found: Values = frozenset()
    for value, mask in masks(first, last):
        found = join(found, masked(16, value, mask))
    return found


def names_of(snapshot: Snapshot, target: Key) -> dict[tuple[str, str], frozenset[int]]:
    """Numbers of an endpoint's named ports."""
    stored = snapshot.objects.get(target)
    found: dict[tuple[str, str], frozenset[int]] = {}
    if stored is not None and isinstance(stored.spec, EndpointSpec):
        for port in stored.spec.ports:
            place = port.protocol, port.name
            found[place] = found.get(place, frozenset()) | {port.port}
    return found


def ways(
    known: Directory, source: Station, targets: Iterable[Station], first: Sequence[Cube], wide: bool
) -> Iterator[Way]:
    """Packets of an endpoint that begin connections with others of its tenant.

    As hosts send them: to those in the same network directly, to others by the gateway.

    Args:
        known: who is where.
        source: who sends.
        targets: to whom, none of them itself.
        first: what may be the first packet.
        wide: with what hosts would not send, but could: by the gateway to their own network, and to
            or from addresses that only hold within it.
    """
    near: list[Station] = []
    far: list[Station] = []
    for target in targets:
        (near if target.network == source.network else far).append(target)
    gateway = known.meaning.gateways.get(source.network)
    for version, field in ((4, "ip_dst"), (6, "ipv6_dst")):
        inside = sent_by(source, source.in_network if wide else source.addresses, version)
        if inside is not None:
            direct = [cube for target in near for cube in _to(target, version, local=wide)]
            yield from _way([inside], direct, first, field)
        across = sent_by(source, source.addresses, version)
        if across is not None and gateway is not None:
            there = [*far, *(near if wide else ())]
            ends = {int(a) for t in there for a in t.addresses if a.version == version}
            routed: Cube = {
                "eth_dst": one(gateway.mac),
                "ip_ttl": _ROUTABLE,
                field: frozenset(ends),
            }
            yield from _way([across], [routed] if ends else [], first, field)


def _way(
    begin: Sequence[Cube], end: Sequence[Cube], first: Sequence[Cube], field: str
) -> Iterator[Way]:
    found = [
        cube
        for one_end in end
        for one_first in first
        if (both := overlap(begin[0], one_end)) is not None
        and (cube := overlap(both, one_first)) is not None
    ]
    if found:
        yield Way(Packets(tuple(found)), field)


def _to(station: Station, version: int, *, local: bool) -> Iterator[Cube]:
    held = station.in_network if local else station.addresses
    own = frozenset(int(a) for a in held if a.version == version)
    if own:
        yield {"eth_dst": one(station.mac), "ip_dst" if version == 4 else "ipv6_dst": own}


def outside(known: Directory, tenant: str, prefix: str) -> tuple[int, Values]:
    """IP version and addresses of a prefix that are no endpoint's of a tenant."""
    network = parse(prefix)
    bits = network.max_prefixlen
    mask = ((1 << network.prefixlen) - 1) << (bits - network.prefixlen)
    taken = {
        int(address)
        for station in known.tenants.get(tenant, ())
        for address in station.addresses
        if address.version == network.version and address in network
    }
    return network.version, less(masked(bits, int(network.network_address), mask), frozenset(taken))


def within(packets: Packets, only: Packets | None) -> Packets:
    """Those of some packets that are among others, if that is asked."""
    if only is None:
        return packets
    return packets.meet(only) if only.cubes else NONE
