#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How full the fullest wire gets, over time, when what is sent has to be measured.

The demands of a topology are sent over real bridges without a word to the controller: first along
the tree that everything takes by default, then under a policy that is engineered for whatever is
measured, and in the end every node sends and receives what another one did. Every few seconds the
octets of all wires are read: the fullest one's load, as a share of all that was sent meanwhile,
stands against the bound that no routing can beat (an LP). Needs root.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import Bench, bench, bridges_of, manifest, offer
from results import COLOURS, canvas, number_above, parser, run, tell, write
from utilisation import (
    FRAME,
    PORT,
    RATE,
    Pairs,
    between_bridges,
    capacities_of,
    declare_links,
    octets,
    raw_socket,
    send,
)

from vneter_sdn.cli.topologies import live
from vneter_sdn.fleet.sockets import open_udp
from vneter_sdn.fleet.system import inside
from vneter_sdn.graph.atlas import read_atlas
from vneter_sdn.graph.engineering import engineer
from vneter_sdn.graph.traffic import Demand

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
POLICY = "measured"
CONNECTION = 4
"""Packets of a connection; it keeps the path it began on."""
BLOCK = 500
"""Packets in which every demand has its share."""
PHASES = ("shortest path", "engineered", "another matrix")


class Sender:
    """Sends demands, whatever they are at the moment, from a thread of its own."""

    def __init__(self, made: Bench, demands: Pairs) -> None:
        self._made, self.demands = made, demands
        self.sent = 0
        self._turns: Counter[tuple[str, str]] = Counter()
        self._random = random.Random(7)
        self._undo, self._over = ExitStack(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Sender:
        """Begin."""
        self._sockets = {}
        for name, record in self._made.workloads.items():
            self._undo.enter_context(open_udp(record.netns, 4, PORT))  # or there were ICMP errors
            self._sockets[name] = self._undo.enter_context(inside(record.netns, raw_socket))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._undo.close()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            pairs, volumes = zip(*sorted(self.demands.items()), strict=True)
            for pair in self._random.choices(pairs, volumes, k=BLOCK):
                port = 10_000 + self._turns[pair] // CONNECTION % 50_000
                self._turns[pair] += 1
                send(self._made, self._sockets[pair[0]], pair, port)
                self.sent += 1
                due = max(due + 1 / RATE, time.monotonic() - 0.1)
                if self._over.wait(max(0.0, due - time.monotonic())):
                    return


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--topology", default="abilene", help="name below topologies/, or file")
    arguments.add_argument(
        "--seconds", type=number_above(0), default=45.0, help="of each of three phases"
    )
    arguments.add_argument(
        "--every", type=number_above(0), default=3.0, help="seconds between two readings"
    )
    arguments.add_argument(
        "--interval", type=number_above(0), default=10.0, help="te-interval of the controller"
    )
    arguments.add_argument(
        "--moves", type=number_above(0, int), default=40, help="te-max-moves of the controller"
    )
    arguments.add_argument(
        "--shift", type=number_above(0, int), default=4, help="nodes, to the part each takes over"
    )
    offer(arguments)
    asked = arguments.parse_args(words)
    known = TOPOLOGIES / f"{asked.topology}.yaml"
    path = known if known.exists() else Path(asked.topology)
    intervals = f"--te-interval={asked.interval}", f"--te-measure-interval={asked.interval * 0.3}"
    options = (*intervals, "--te-change-mbps=0.2", f"--te-max-moves={asked.moves}")
    with bench(asked.on, bridges_of(path), *options) as made:
        rows = list(measure(made, path, asked))
    write(asked.output, "engineering_live", rows, _plot(rows))


def measure(made: Bench, path: Path, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each reading."""
    atlas = read_atlas(path)
    demands = between_bridges(atlas)
    scale = RATE * FRAME * 8e-6 / sum(demands.values())
    capacities = {ends: capacity * scale for ends, capacity in capacities_of(atlas).items()}
    made.attach({bridge: bridge for bridge in sorted({end for pair in demands for end in pair})})
    declare_links(made, capacities)
    began = time.monotonic()
    with Sender(made, demands) as sender:
        for phase in PHASES:
            if phase == PHASES[1]:
                policy = {"tenants": [made.tenant], "paths": 4, "sharing": "engineered"}
                made.client.apply([manifest("PathPolicy", POLICY, **policy)])
            if phase == PHASES[2]:
                sender.demands = shifted(demands, asked.shift)
            bound = _bound(made, sender.demands)
            until = time.monotonic() + asked.seconds
            while time.monotonic() < until:
                use = _fullest(made, sender, capacities, asked.every)
                row = {
                    "topology": path.stem,
                    "seconds": round(time.monotonic() - began, 1),
                    "phase": phase,
                    "measured": round(use, 4),
                    "lp_bound": round(bound, 4),
                    "over_bound": round(use / bound, 3),
                    **_plan(made, phase),
                }
                tell(" ".join(f"{key} {value}" for key, value in row.items()))
                yield row


def shifted(demands: Pairs, by: int) -> Pairs:
    """The same, of nodes that are so many further on in the alphabet."""
    nodes = sorted({node for pair in demands for node in pair})
    other = {node: nodes[(n + by) % len(nodes)] for n, node in enumerate(nodes)}
    return {(other[one], other[two]): mbps for (one, two), mbps in demands.items()}


def _bound(made: Bench, demands: Pairs) -> float:
    """Share of its capacity that the fullest wire has to carry, whatever the routing."""
    graph = live(made.client).topology
    names = {made.original(vertex.host): vertex.host for vertex in graph.vertices}
    scale = RATE * FRAME * 8e-6 / sum(demands.values())
    sent = [Demand(names[a], names[b], mbps * scale) for (a, b), mbps in sorted(demands.items())]
    return engineer(graph, sent).utilisation.lp_bound


def _fullest(
    made: Bench, sender: Sender, capacities: Mapping[frozenset[str], float], every: float
) -> float:
    """Share of its capacity that the fullest wire carried, had all been sent at the full rate."""
    before, sent = octets(made), sender.sent
    time.sleep(every)
    after, count = octets(made), sender.sent - sent
    share = {way: (after[way] - before[way]) / (count * FRAME) for way in after}
    whole = RATE * FRAME * 8e-6
    return max(share[way] * whole / capacities[frozenset(way)] for way in share)


def _plan(made: Bench, phase: str) -> dict[str, Any]:
    """What the controller knows and did."""
    if phase == PHASES[0]:
        return {"measured_pairs": 0, "moved": 0, "planned": 0.0}
    status = made.client.get("PathPolicy", "", POLICY).get("status", {})
    planned = status.get("maxUtilisation", {}).get("ours", 0.0)
    pairs = len(status.get("measured", {}))
    return {"measured_pairs": pairs, "moved": status.get("moved", 0), "planned": planned}


def _plot(rows: Sequence[Mapping[str, Any]]) -> Any:
    figure, (axis,) = canvas(1, width=9)
    times = [row["seconds"] for row in rows]
    axis.plot(times, [row["measured"] * 100 for row in rows], "o-", color=COLOURS[0], label="seen")
    bounds = [row["lp_bound"] * 100 for row in rows]
    axis.step(times, bounds, "--", where="mid", color="grey", label="LP bound")
    for phase in PHASES:
        first = next((row for row in rows if row["phase"] == phase), None)
        if first is not None:
            axis.axvline(first["seconds"], color=COLOURS[1], linewidth=0.8, alpha=0.6)
            axis.annotate(phase, (first["seconds"], 1), xycoords=("data", "axes fraction"))
    axis.set_ylim(bottom=0)
    axis.set_xlabel("seconds")
    axis.set_ylabel("fullest wire, % of its capacity")
    axis.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    run(main)
