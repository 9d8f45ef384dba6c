# SPDX-License-Identifier: Apache-2.0
"""The graph as features read it: what is declared, what was seen of it, and the ports of its edges.

Declared bottom up, like `queries`. What was measured is read apart from what is declared, and only
as far as somebody goes by it: a latency that changed runs nothing that looks at costs alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from re import compile as pattern

from vneter_sdn.compile.facts import GUESSING, OBSERVATION, PORTS, TUNNEL_PORTS
from vneter_sdn.compile.queries import bridge_of
from vneter_sdn.compile.query import View, query
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.together import together
from vneter_sdn.graph.topology import (
    Edge,
    Observation,
    Topology,
    observed,
    topology,
    tunnel_edge,
    vertex,
)
from vneter_sdn.model.path_kinds import Objective, PathPolicySpec
from vneter_sdn.model.rows import TunnelPort
from vneter_sdn.pipeline.locator import tunnel_ofport

MEASURED = frozenset({"latency", "loss", "utilisation", "capacity"})
"""What observations say besides whether an edge is up."""
COSTS_ALONE: frozenset[str] = frozenset()
_MORE_TUNNELS = range(0xF000, 0xFF00)
"""OpenFlow ports that tunnels between other than the preferred addresses ask for."""
_NUMBERED = pattern(r"(\d+)\Z")
_LAST_PORT = 0xFEFF


@query
def declared(view: View, _: None) -> Topology:
    """The graph of all hosts that have a bridge id, as if nothing of it had been seen."""
    vertices = []
    for key in view.keys("Host"):
        bridge = view.ask(bridge_of, key.name)
        if bridge is not None:
            vertices.append(vertex(key.name, bridge, view.get("Host", key)))
    links = {key.name: view.get("Link", key) for key in view.keys("Link")}
    return topology(vertices, links, breathe=view.breathe)


@query
def bridges(view: View, _: None) -> Mapping[str, int]:
    """Bridge id of every host of the graph: one read, for those that look at many."""
    return {vertex.host: vertex.bridge for vertex in view.ask(declared, None).vertices}


@query
def wired(view: View, _: None) -> bool:
    """Whether the graph has wires, which carry no VNI."""
    return any(edge.medium == "wire" for edge in view.ask(declared, None).edges)


@query
def adjacency(view: View, _: None) -> Mapping[str, tuple[Edge, ...]]:
    """Edges out of each host that are to exist: those not disabled in both directions."""
    edges = view.ask(declared, None).edges
    disabled = {edge.name for edge in edges if edge.disabled}
    out: dict[str, list[Edge]] = {}
    for edge in edges:
        if not (edge.disabled and edge.reverse in disabled):
            out.setdefault(edge.source, []).append(edge)
    return {host: tuple(found) for host, found in out.items()}


@query
def edges_of(view: View, host: str) -> tuple[Edge, ...]:
    """`adjacency` of one host."""
    return view.ask(adjacency, None).get(host, ())


@query
def tunnels(view: View, host: str) -> tuple[TunnelPort, ...]:
    """The tunnel ports a host should have, by peer."""
    numbers = view.ask(bridges, None)
    return tuple(
        TunnelPort(
            edge.port,
            edge.encapsulation,
            edge.local_ip,
            edge.remote_ip,
            _wish(edge, numbers[edge.target]),
            edge.target,
        )
        for edge in view.ask(edges_of, host)
        if edge.medium == "tunnel"
    )


def _wish(edge: Edge, bridge: int) -> int:
    """The OpenFlow port that a tunnel asks for.

    Between the preferred addresses it is its own. For others there are not enough to go round: the
    number follows from the name, and where two meet the switch gives one of them another.
    """
    if edge.name == tunnel_edge(edge.source, edge.target):
        return tunnel_ofport(bridge)
    spread = int.from_bytes(blake2b(edge.name.encode(), digest_size=4).digest(), "big")
    return _MORE_TUNNELS[spread % len(_MORE_TUNNELS)]


@query
def databases(view: View, _: None) -> frozenset[str]:
    """Hosts that have a database."""
    return frozenset(
        key.name for key in view.keys("Host") if view.get("Host", key).ovsdb is not None
    )


@query
def watched(view: View, host: str) -> tuple[str, ...]:
    """Interfaces of a host that wires begin at, where both ends have a database to ask for BFD."""
    told = view.ask(databases, None)
    ends = view.ask(edges_of, host) if host in told else ()
    return tuple(sorted({e.port for e in ends if e.medium == "wire" and e.target in told}))


@query
def edge_ports(view: View, host: str) -> Mapping[str, int]:
    """OpenFlow port of each edge out of a host, by name of the edge; absent where nobody knows it.

    As observed; a tunnel not seen yet is where it asked to be, unless two asked for one place.
    """
    seen: dict[str, int] = {**(view.get(TUNNEL_PORTS, host) or {}), **(view.get(PORTS, host) or {})}
    wishes = {tunnel.name: tunnel.ofport for tunnel in view.ask(tunnels, host)}
    guessing = bool(view.get(GUESSING, ""))
    found: dict[str, int] = {}
    taken = set(seen.values())
    for edge in view.ask(edges_of, host):
        port = seen.get(edge.port)
        if port is None:
            port = wishes.get(edge.port) or (guess(edge.port) if guessing else None)
            if port in taken:
                continue
        if port is not None:
            taken.add(port)
            found[edge.name] = port
    return found


def guess(interface: str) -> int | None:
    """The number that an interface's name ends in: what Mininet and most labs give it."""
    number = _NUMBERED.search(interface)
    return int(number[1]) if number and 0 < int(number[1]) <= _LAST_PORT else None


@query
def dark_on(view: View, host: str) -> frozenset[str]:
    """Edges out of a host whose port is not there, so that nothing can be sent there.

    Of a host whose ports nobody has told yet, as after a start, all are taken to be there.
    """
    if view.get(PORTS, host) is None and not view.get(GUESSING, ""):
        return frozenset()
    ports = view.ask(edge_ports, host)
    return frozenset(edge.name for edge in view.ask(edges_of, host) if edge.name not in ports)


@query
def dark(view: View, _: None) -> frozenset[str]:
    """`dark_on` of all hosts."""
    return frozenset().union(*(view.ask(dark_on, host) for host in view.ask(bridges, None)))


@query
def all_ports(view: View, _: None) -> Mapping[str, Mapping[str, int]]:
    """`edge_ports` of all hosts: one read, for those that look at many."""
    return {host: view.ask(edge_ports, host) for host in view.ask(bridges, None)}


@query
def observations(view: View, _: None) -> Mapping[str, Observation]:
    """What was seen, by name of the edge."""
    return {name: view.get(OBSERVATION, name) for name in sorted(view.keys(OBSERVATION))}


@query
def seen(view: View, fields: frozenset[str]) -> Mapping[str, Observation]:
    """What was seen of some quantities; edges of which that says nothing are left out."""
    nothing = dict.fromkeys(MEASURED - fields)
    found = {
        name: replace(observation, **nothing)  # type: ignore[arg-type]  # None for each
        for name, observation in view.ask(observations, None).items()
    }
    for name in view.ask(dark, None):
        found[name] = replace(found.get(name, Observation()), up=False)
    return {name: one for name, one in sorted(found.items()) if one != Observation()}


@query
def graph(view: View, fields: frozenset[str]) -> Graph:
    """The graph as those see it who go by some of `MEASURED` quantities."""
    there = observed(view.ask(declared, None), view.ask(seen, fields))
    impossible = view.ask(dark, None)
    return Graph(together(there, impossible))


_AIMS = tuple(Objective.__struct_fields__)


def measured(spec: PathPolicySpec) -> frozenset[str]:
    """Which observed quantities the choice of a policy's paths goes by."""
    aims = spec.objective
    found = {aims} if isinstance(aims, str) else {w for w in _AIMS if getattr(aims, w)}
    limits = spec.constraints
    found |= {"latency"} if limits.max_latency_ms is not None else set()
    found |= {"loss"} if limits.max_loss is not None else set()
    found |= {"capacity"} if limits.min_bandwidth_mbps is not None else set()
    return frozenset(found & {"latency", "loss", "utilisation", "capacity"})
