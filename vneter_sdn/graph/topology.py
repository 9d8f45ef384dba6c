# SPDX-License-Identifier: Apache-2.0
"""The central graph as a frozen value: bridges are vertices, links are directed edges.

Hosts that can reach each other through the underlay are joined by tunnels without anybody saying
so: one for each pair of addresses of one family and the same rank among those of that family. So
two hosts with two NICs each are joined by two tunnels, which share no NIC, and a host with more
NICs than its peer uses as many of them as the peer has. Addresses of different ranks are often on
networks that do not meet (two fabrics, two providers): a tunnel between them is made only where a
`Link` names both. Wires are those that a `Link` declares, for discovery declares what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from ipaddress import ip_address
from itertools import combinations
from types import MappingProxyType
from typing import Any

from vneter_sdn.model.kinds import HostSpec, LinkSpec
from vneter_sdn.model.pace import Breathe, on_and_on, paced

Ranks = tuple[int, int]
"""Which tunnel address at the source, and at the target: 0 is the preferred one."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A host's bridge."""

    host: str
    bridge: int
    """Bridge id: 1..28671, fleet-wide."""
    addresses: tuple[str, ...] = ()
    """Underlay addresses, the preferred first."""
    encapsulation: str = "geneve"
    site: str = ""
    region: str = ""
    tags: frozenset[str] = frozenset()
    drained: bool = False
    """Whether paths of others are to keep away from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A link, in one direction: a wire, or a tunnel through the underlay.

    Every edge has a reverse with source and target swapped, `reverse` its name. What is not known
    is None, and what it counts as then is said where it is used.
    """

    name: str
    """Unique in the graph: ``h1>h2`` for a pair's first tunnel, ``h1#1>h2#0`` for the one from
    h1's second address, ``s1:s1-eth2>s2:s2-eth1`` for a wire between these interfaces."""
    reverse: str
    """Name of the edge the other way."""
    source: str
    target: str
    medium: str = "tunnel"
    """``tunnel`` or ``wire``."""
    cost: int | float = 1
    """Administrative cost, above 0; a whole number unless a foreign file says otherwise."""
    latency: float | None = None
    """One-way delay in milliseconds: declared, else measured."""
    loss: float = 0.0
    """Share of packets lost, 0 to 1."""
    loss_declared: bool = False
    """Whether its Link says what is lost, so that what is measured does not count."""
    capacity: float | None = None
    """Mbit/s."""
    reserved: float = 0.0
    """Mbit/s of the capacity that reservations hold."""
    utilisation: float | None = None
    """Share of the capacity in use, 0 to 1."""
    price: float = 0.0
    """Per gigabyte."""
    mtu: int | None = None
    """Largest IP packet of an endpoint that fits, in bytes."""
    encrypted: bool = False
    tags: frozenset[str] = frozenset()
    risks: frozenset[str] = frozenset()
    """Shared-risk groups."""
    encapsulation: str = ""
    """Tunnels: ``geneve``, ``vxlan`` or ``gre``."""
    local_ip: str = ""
    remote_ip: str = ""
    port: str = ""
    """Name of the interface at the source: 15 bytes at most."""
    disabled: bool = False
    """Taken out by its Link: no path uses it, nor is its tunnel made once both ways are."""
    drained: bool = False
    """To be used only where there is no other way."""
    up: bool = True
    """Whether it is seen to work: BFD, port state, discovery. Paths use only those that do."""

    @property
    def usable(self) -> bool:
        """Whether paths may use it at all."""
        return self.up and not self.disabled

    @property
    def residual(self) -> float | None:
        """Mbit/s that reservations leave; None when the capacity is not known."""
        return None if self.capacity is None else max(0.0, self.capacity - self.reserved)


def tunnel_edge(source: str, target: str, pair: tuple[int, int] = (0, 0)) -> str:
    """Name of the edge of a tunnel between the addresses of such ranks at each end."""
    one, other = pair
    return f"{source}>{target}" if pair == (0, 0) else f"{source}#{one}>{target}#{other}"


def wire_edge(source: str, source_port: str, target: str, target_port: str) -> str:
    """Name of the edge of a wire between two interfaces."""
    return f"{source}:{source_port}>{target}:{target_port}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one edge, smoothed; None where nothing was seen yet."""

    up: bool = True
    latency: float | None = None
    """Milliseconds."""
    loss: float | None = None
    """0 to 1."""
    utilisation: float | None = None
    """0 to 1."""
    capacity: float | None = None
    """Mbit/s: the speed its port reports."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph. Vertices are sorted by host, edges by (source, target, name)."""

    vertices: tuple[Vertex, ...] = ()
    edges: tuple[Edge, ...] = ()


NOTHING_SEEN: Mapping[str, Observation] = MappingProxyType({})


def vertex(host: str, bridge: int, spec: HostSpec) -> Vertex:
    """The vertex of a host."""
    return Vertex(
        host,
        bridge,
        spec.tunnel_addresses,
        spec.encapsulation,
        spec.site,
        spec.region,
        frozenset(spec.tags),
        spec.drained,
    )


def topology(
    vertices: Iterable[Vertex],
    links: Mapping[str, LinkSpec],
    observations: Mapping[str, Observation] = NOTHING_SEEN,
    breathe: Breathe = on_and_on,
) -> Topology:
    """Join vertices by tunnels and by declared wires, with what is declared and seen of each.

    A link counts in its own direction, and in the other one too unless that has a link of its own.
    Of several links in one direction the one whose name sorts first counts. A tunnel's
    encapsulation has to agree at both ends: that of its first link that names one, else that of
    the host whose name sorts first. Links to hosts that are not there, from a host to itself,
    between addresses that the hosts do not have, and wires without both ports are passed over.

    O(V² + L log L).

    Args:
        vertices: the hosts; several of one name count once.
        links: by name.
        observations: by name of the edge; see `observed`.
        breathe: called now and then.
    """
    hosts = {v.host: v for v in sorted(vertices, key=lambda v: v.host)}
    ordered = [link for _, link in sorted(links.items())]
    edges = [*paced(_tunnels(hosts, ordered), breathe), *_wires(hosts, ordered)]
    edges.sort(key=lambda e: (e.source, e.target, e.name))
    return observed(Topology(tuple(hosts.values()), tuple(edges)), observations)


def observed(graph: Topology, observations: Mapping[str, Observation]) -> Topology:
    """A topology with what was seen of its edges, by name: for one built without.

    Latency, loss and capacity count where nobody declared them. An edge is up only if both
    directions are: what cannot be answered is no use. O(E); edges nobody saw stay the same values.
    """
    if not observations:
        return graph
    edges = (_seen(e, observations.get(e.name), observations.get(e.reverse)) for e in graph.edges)
    return replace(graph, edges=tuple(edges))


def _seen(edge: Edge, forth: Observation | None, back: Observation | None) -> Edge:
    up = edge.up and (forth is None or forth.up) and (back is None or back.up)
    if forth is None:
        return edge if up == edge.up else replace(edge, up=up)
    return replace(
        edge,
        up=up,
        latency=forth.latency if edge.latency is None else edge.latency,
        loss=edge.loss if edge.loss_declared or forth.loss is None else forth.loss,
        utilisation=forth.utilisation,
        capacity=forth.capacity if edge.capacity is None else edge.capacity,
    )


def _declared(link: LinkSpec | None) -> dict[str, Any]:
    """What a link says about each of its edges."""
    if link is None:
        return {}
    return {
        "cost": link.cost,
        "latency": link.latency_ms,
        "loss": link.loss or 0.0,
        "loss_declared": link.loss is not None,
        "capacity": link.capacity_mbps,
        "price": link.price_per_gb,
        "mtu": link.mtu,
        "encrypted": link.encrypted,
        "tags": frozenset(link.tags),
        "risks": frozenset(link.risk_groups),
        "disabled": link.disabled,
        "drained": link.drained,
    }


def _wires(hosts: Mapping[str, Vertex], links: Iterable[LinkSpec]) -> Iterator[Edge]:
    """Both edges of every wire between two hosts."""
    declared: dict[tuple[tuple[str, str], tuple[str, str]], LinkSpec] = {}
    for link in links:
        if link.medium == "wire" and link.source_port and link.target_port:
            near, far = (link.source, link.source_port), (link.target, link.target_port)
            if link.source in hosts and link.target in hosts and link.source != link.target:
                declared.setdefault((near, far), link)
    for near, far in {(near, far): None for pair in declared for near, far in (pair, pair[::-1])}:
        yield Edge(
            name=wire_edge(*near, *far),
            reverse=wire_edge(*far, *near),
            source=near[0],
            target=far[0],
            medium="wire",
            port=near[1],
            **_declared(declared.get((near, far)) or declared[far, near]),
        )


_Asked = dict[tuple[str, str], dict[Ranks, LinkSpec]]


def _tunnels(hosts: Mapping[str, Vertex], links: Iterable[LinkSpec]) -> Iterator[Edge]:
    """Both edges of every tunnel."""
    families = {v.host: _families(v) for v in hosts.values()}
    asked = _asked(hosts, families, links)
    nothing: dict[Ranks, LinkSpec] = {}
    for one, other in combinations((v for v in hosts.values() if v.addresses), 2):
        forth = asked.get((one.host, other.host), nothing)
        back = asked.get((other.host, one.host), nothing)
        usual = _usual(families[one.host], families[other.host])
        for near, far in dict.fromkeys([*usual, *forth, *(ranks[::-1] for ranks in back)]):
            plain = (near, far) == usual[0]
            links_ = (forth.get((near, far)), back.get((far, near)))
            said = next((li.encapsulation for li in links_ if li and li.encapsulation), None)
            wrapped = said or one.encapsulation
            yield _tunnel((one, near), (other, far), wrapped, links_, plain=plain)
            yield _tunnel((other, far), (one, near), wrapped, links_[::-1], plain=plain)


def _tunnel(
    near: tuple[Vertex, int],
    far: tuple[Vertex, int],
    encapsulation: str,
    links: tuple[LinkSpec | None, ...],
    *,
    plain: bool,
) -> Edge:
    (one, rank), (other, rank_there) = near, far
    ranks = (0, 0) if plain else (rank, rank_there)
    return Edge(
        name=tunnel_edge(one.host, other.host, ranks),
        reverse=tunnel_edge(other.host, one.host, ranks[::-1]),
        source=one.host,
        target=other.host,
        encapsulation=encapsulation,
        local_ip=one.addresses[rank],
        remote_ip=other.addresses[rank_there],
        port=tunnel_port(other.host, ranks),
        **_declared(links[0] or links[1]),
    )


def tunnel_port(peer: str, ranks: Ranks = (0, 0)) -> str:
    """Name of the interface of a tunnel to a peer: 14 bytes, within the 15 that Linux allows."""
    which = peer if ranks == (0, 0) else f"{peer}#{ranks[0]}#{ranks[1]}"
    return "vn" + blake2b(which.encode(), digest_size=6).hexdigest()


def _families(at: Vertex) -> dict[int, tuple[int, ...]]:
    """Ranks of a host's addresses by family, the family of the preferred address first."""
    found: dict[int, tuple[int, ...]] = {}
    for rank, address in enumerate(at.addresses):
        version = ip_address(address).version
        found[version] = (*found.get(version, ()), rank)
    return found


def _usual(one: Mapping[int, tuple[int, ...]], other: Mapping[int, tuple[int, ...]]) -> list[Ranks]:
    """The pairs of addresses that are joined unasked, the preferred first."""
    return [
        ranks
        for version, near in one.items()
        for ranks in zip(near, other.get(version, ()), strict=False)
    ]


def _asked(
    hosts: Mapping[str, Vertex],
    families: Mapping[str, Mapping[int, tuple[int, ...]]],
    links: Iterable[LinkSpec],
) -> _Asked:
    """The link that counts for each tunnel and direction that some link is about."""
    found: _Asked = {}
    for link in links:
        one, other = hosts.get(link.source), hosts.get(link.target)
        if link.medium == "tunnel" and one and other and one is not other:
            meant = _meant(link, one, other, _usual_of(one, other, families))
            if meant is not None:
                found.setdefault((link.source, link.target), {}).setdefault(meant, link)
    return found


def _usual_of(
    one: Vertex, other: Vertex, families: Mapping[str, Mapping[int, tuple[int, ...]]]
) -> list[Ranks]:
    """`_usual`, which the host whose name sorts first decides, as this direction has it."""
    if one.host < other.host:
        return _usual(families[one.host], families[other.host])
    return [ranks[::-1] for ranks in _usual(families[other.host], families[one.host])]


def _meant(link: LinkSpec, one: Vertex, other: Vertex, usual: list[Ranks]) -> Ranks | None:
    """Which tunnel a link is about: the first one that fits the addresses it names."""
    near, far = _ranks(one, link.source_address), _ranks(other, link.target_address)
    for ranks in usual:
        if ranks[0] in near and ranks[1] in far:
            return ranks
    family = [ip_address(address).version for address in one.addresses]
    there = [ip_address(address).version for address in other.addresses]
    return next(((i, j) for i in near for j in far if family[i] == there[j]), None)


def edge_of(link: LinkSpec, one: Vertex, other: Vertex) -> str | None:
    """Name of the edge that a link is about, from its source to its target.

    None when there is no such edge: addresses that do not fit, a wire without both ports.

    Args:
        link: from ``one`` to ``other``.
        one: the host at its source.
        other: the host at its target.
    """
    if link.medium == "wire":
        if link.source_port is None or link.target_port is None:
            return None
        return wire_edge(one.host, link.source_port, other.host, link.target_port)
    usual = _usual_of(one, other, {v.host: _families(v) for v in (one, other)})
    meant = _meant(link, one, other, usual)
    if meant is None:
        return None
    return tunnel_edge(one.host, other.host, (0, 0) if meant == usual[0] else meant)


def _ranks(at: Vertex, address: str | None) -> list[int]:
    """Ranks of an address of a host; of all when none is named."""
    if address is None:
        return list(range(len(at.addresses)))
    wanted = ip_address(address)
    return [rank for rank, own in enumerate(at.addresses) if ip_address(own) == wanted]
