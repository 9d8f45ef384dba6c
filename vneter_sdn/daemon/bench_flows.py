# SPDX-License-Identifier: Apache-2.0
"""Part of ``scripts/bench graph``: from a link that changed to the flows that changed.

The whole compiler with bridges and wires, and nobody on them: what changes are trees and repairs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from statistics import median

from vneter_sdn.compile.facts import ALLOCATION, GUESSING
from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.query import Fact
from vneter_sdn.daemon.breath import uncollected
from vneter_sdn.engine.standing import Standing
from vneter_sdn.graph.topology import Edge, Observation, Topology, wire_edge
from vneter_sdn.model.kinds import HostSpec, LinkSpec
from vneter_sdn.model.snapshot import Key, Pools

_Facts = dict[Fact, object]
_Link = tuple[str, str]
"""Names of its edges."""
FOLLOWED = 1
"""Links after whose failure the repairs are brought up to date, which takes all shards."""


def seconds(topology: Topology, changes: int) -> tuple[list[float], list[float]]:
    """What links that go down and come up again take, one after the other.

    Returns:
        Of each change: seconds until the flows that packets need are known. Of some: seconds of
        each step in which repairs follow.
    """
    facts, links = _wired(topology)
    compiler = Compiler()
    with uncollected():
        compiler.update(facts)
    standing = Standing(compiler)
    at_once: list[float] = []
    following: list[float] = []
    for number, link in enumerate(random.Random(2).sample(links, min(changes, len(links)))):  # noqa: S311
        for up in (False, True):
            seen = dict.fromkeys(link, Observation(up=up))
            with uncollected():
                start = time.process_time()
                standing.see(seen)
                at_once.append(time.process_time() - start)
            if number < FOLLOWED:
                following += _follow(standing)
    return at_once, following


def summary(topology: Topology, changes: int) -> tuple[float, float, float]:
    """Of `seconds`, in milliseconds: the median the worst, the longest step that follows."""
    at_once, following = seconds(topology, changes)
    return 1000 * median(at_once), 1000 * max(at_once), 1000 * max(following)


def _follow(standing: Standing) -> Iterator[float]:
    while standing.busy:
        with uncollected():
            start = time.process_time()
            standing.follow()
            yield time.process_time() - start


def _wired(topology: Topology) -> tuple[_Facts, list[_Link]]:
    """Facts of a fleet of that shape, its links wires."""
    facts: _Facts = {Fact(GUESSING, ""): True}
    taken = dict.fromkeys((vertex.host for vertex in topology.vertices), 0)
    for vertex in topology.vertices:
        key = Key("Host", "", vertex.host)
        facts[Fact("Host", key)] = HostSpec(ovsdb=f"unix:/run/{vertex.host}/db.sock")
        facts[Fact(ALLOCATION, (Pools.BRIDGE, str(vertex.bridge)))] = str(key)
    links = []
    for edge in (edge for edge in topology.edges if edge.source < edge.target):
        near, far = (_port(taken, host) for host in (edge.source, edge.target))
        facts[Fact("Link", Key("Link", "", edge.name))] = _spec(edge, near, far)
        one, other = (edge.source, near), (edge.target, far)
        links.append((wire_edge(*one, *other), wire_edge(*other, *one)))
    return facts, links


def _port(taken: dict[str, int], host: str) -> str:
    taken[host] += 1
    return f"eth{taken[host]}"


def _spec(edge: Edge, near: str, far: str) -> LinkSpec:
    return LinkSpec(
        source=edge.source,
        target=edge.target,
        medium="wire",
        source_port=near,
        target_port=far,
        cost=int(edge.cost),
    )
