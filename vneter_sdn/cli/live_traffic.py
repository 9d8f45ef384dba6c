# SPDX-License-Identifier: Apache-2.0
"""The traffic that a controller knows of: declared, and measured under engineered policies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from vneter_sdn.cli.terminal import Usage
from vneter_sdn.cli.topologies import live
from vneter_sdn.client import Client
from vneter_sdn.graph.atlas import Atlas
from vneter_sdn.graph.atlas.form import Demand
from vneter_sdn.graph.engineering import PlannedPath
from vneter_sdn.graph.route import hosts, parse
from vneter_sdn.graph.traffic import Demand as Sent
from vneter_sdn.model.instants import posix
from vneter_sdn.model.traffic import Pair, read


class Known(NamedTuple):
    """What a controller knows."""

    atlas: Atlas
    """Its graph, with its traffic as demands."""
    origin: str
    held: tuple[PlannedPath, ...]
    """The plans in force, as far as their paths are still there."""
    notes: tuple[str, ...]


def known(client: Client, policy: str = "") -> Known:
    """Graph, traffic and plans of a controller.

    Args:
        client: of its server.
        policy: the engineered policy whose traffic is meant; that of all when empty.

    Raises:
        Usage: that policy is not engineered.
        NotFound: there is no such policy.
    """
    if policy:
        policies = [client.get("PathPolicy", "", policy)]
        if policies[0]["spec"].get("sharing") != "engineered":
            raise Usage(
                f"PathPolicy {policy} is not engineered", "its traffic is not measured; see sharing"
            )
    else:
        found = client.list("PathPolicy")
        policies = [one for one in found if one["spec"].get("sharing") == "engineered"]
    declared = dict(_declared(client))
    measured = _measured(policies)
    sent = measured | declared
    atlas = live(client)
    demands = tuple(Demand(*pair, mbps) for pair, mbps in sorted(sent.items()) if mbps > 0)
    origin = " and ".join(
        word for word, some in (("declared", declared), ("measured", measured)) if some
    )
    held = tuple(_held(policies, atlas, sent))
    return Known(replace(atlas, demands=demands), origin, held, tuple(_notes(policies)))


def _declared(client: Client) -> Iterator[tuple[Pair, float]]:
    sums: dict[Pair, float] = {}
    for one in client.list("Demand"):
        pair = one["spec"]["source"], one["spec"]["target"]
        sums[pair] = sums.get(pair, 0.0) + float(one["spec"]["mbps"])
    yield from sums.items()


def _measured(policies: Sequence[Mapping[str, Any]]) -> dict[Pair, float]:
    """Mbit/s from host to host, whichever of them began the connection."""
    sums: dict[Pair, float] = {}
    for one in policies:
        for (source, target), volume in read(one.get("status", {})).items():
            for pair, mbps in (((source, target), volume.forth), ((target, source), volume.back)):
                sums[pair] = sums.get(pair, 0.0) + mbps
    return {pair: mbps for pair, mbps in sums.items() if mbps > 0}


def _held(
    policies: Sequence[Mapping[str, Any]], atlas: Atlas, sent: Mapping[Pair, float]
) -> Iterator[PlannedPath]:
    edges = {edge.name: edge for edge in atlas.topology.edges}
    seen: set[Pair] = set()
    for one in policies:
        for shares in one.get("status", {}).get("plan", {}).values():
            total = sum(int(share["weight"]) for share in shares)
            routes = [(parse(str(share["route"])), int(share["weight"])) for share in shares]
            passed = hosts(routes[0][0]) if routes else ()
            pair = (passed[0], passed[-1]) if passed else None
            if pair is None or pair in seen:
                continue
            seen.add(pair)
            for route, weight in routes:
                if all(name in edges for name in route):
                    demand = Sent(*pair, sent.get(pair, 0.0))
                    path = tuple(edges[name] for name in route)
                    yield PlannedPath(demand, path, weight, weight / total)


def _notes(policies: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How old each matrix is, and who is missing from it."""
    for one in policies:
        name, status = one["metadata"]["name"], one.get("status", {})
        at = status.get("measuredAt")
        if at is None:
            yield f"nothing was measured yet for {name}"
            continue
        age = max(0, round(time.time() - posix(str(at))))
        yield f"traffic of {name} as of {at}, {age} s ago"
        if status.get("unmeasured"):
            yield f"not heard of for long: {', '.join(status['unmeasured'])}"
