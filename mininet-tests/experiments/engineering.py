#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How full the fullest link gets: by shortest paths, ECMP, our plan, and at best (the LP bound).

Over topologies with their own demands (a gravity model where a file has none), and over demands
of which those of one node, the busiest, grow by a factor: there the best routing changes, while
shortest paths stay where they are. Offline: it needs no root and no switch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from results import COLOURS, canvas, number_above, parser, run, tell, write

from vneter_sdn.graph.atlas import Atlas, read_atlas
from vneter_sdn.graph.engineering import PATHS, Limits, engineer
from vneter_sdn.graph.traffic import Arcs, Demand, gravity

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
NAMES = ("abilene", "geant", "ring", "leaf-spine", "fat-tree", "dual-homed")
ROUTINGS = ("shortest_path", "ecmp", "ours", "lp_bound")
TITLES = ("shortest path", "ECMP", "ours", "LP bound")


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--topology", nargs="+", default=list(NAMES), help="names below topologies/, or files"
    )
    arguments.add_argument(
        "--growth",
        nargs="+",
        type=number_above(0),
        default=[1.0, 2.0, 4.0, 8.0, 16.0],
        help="factors of what the busiest node sends and receives",
    )
    arguments.add_argument("--paths", type=number_above(0, int), default=PATHS, help="per demand")
    asked = arguments.parse_args(words)
    rows = []
    for name in asked.topology:
        atlas = read_atlas(_file(name))
        for factor in asked.growth:
            rows.append(measure(atlas, factor, Limits(paths=asked.paths)))
            row = rows[-1]
            tell(
                f"{row['topology']} x{factor:g}: ours {row['ours']:.4g}, "
                f"{row['over_bound_percent']:.2f} % over the bound, {row['seconds']:.2f} s"
            )
    write(asked.output, "engineering", rows, _plot(rows))


def measure(atlas: Atlas, factor: float, limits: Limits) -> dict[str, Any]:
    """One row: a topology, and how much its busiest node has grown."""
    demands = grown(demands_of(atlas), factor)
    begun = time.perf_counter()
    use = engineer(atlas.topology, demands, limits, aside=atlas.aside).utilisation
    return {
        "topology": atlas.name,
        "demands": len(demands),
        "growth": factor,
        **{routing: getattr(use, routing) for routing in ROUTINGS},
        "over_bound_percent": (use.ours / use.lp_bound - 1) * 100 if use.lp_bound else 0.0,
        "seconds": time.perf_counter() - begun,
    }


def demands_of(atlas: Atlas) -> list[Demand]:
    """The file's own, or a gravity model between its hosts."""
    declared = [Demand(d.source, d.target, d.mbps) for d in atlas.demands]
    return declared or list(gravity(Arcs(atlas.topology, atlas.aside), atlas.end_hosts))


def grown(demands: list[Demand], factor: float) -> list[Demand]:
    """The same with everything from and to the busiest node so many times as much."""
    totals: dict[str, float] = {}
    for demand in demands:
        for node in (demand.source, demand.target):
            totals[node] = totals.get(node, 0.0) + demand.mbps
    busiest = max(sorted(totals), key=totals.__getitem__, default="")
    return [
        Demand(d.source, d.target, d.mbps * (factor if busiest in {d.source, d.target} else 1.0))
        for d in demands
    ]


def _file(name: str) -> Path:
    known = TOPOLOGIES / f"{name}.yaml"
    return known if known.exists() else Path(name)


def _plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = canvas(2)
    first = [row for row in rows if row["growth"] == rows[0]["growth"]]
    for number, (routing, title) in enumerate(zip(ROUTINGS[:3], TITLES, strict=False)):
        places = [n + (number - 1) * 0.27 for n in range(len(first))]
        heights = [row[routing] / row["lp_bound"] for row in first]
        left.bar(places, heights, 0.25, color=COLOURS[number], label=title)
    left.set_yscale("log")
    left.set_yticks([1, 1.5, 2, 3, 5], ["1", "1.5", "2", "3", "5"], minor=False)
    left.set_xticks(range(len(first)), [row["topology"] for row in first])
    left.set_ylabel("fullest link, over the LP bound")
    left.legend(frameon=False)
    for number, topology in enumerate(dict.fromkeys(row["topology"] for row in rows)):
        those = [row for row in rows if row["topology"] == topology]
        factors, colour = [row["growth"] for row in those], COLOURS[number % len(COLOURS)]
        ours = [row["ours"] / row["lp_bound"] for row in those]
        others = [row["shortest_path"] / row["lp_bound"] for row in those]
        right.plot(factors, ours, "o-", color=colour, label=topology)
        right.plot(factors, others, "x:", color=colour)
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    right.set_xlabel("growth of the busiest node (solid: ours, dotted: shortest path)")
    right.set_ylabel("fullest link, over the LP bound")
    right.legend(frameon=False, fontsize="small")
    return figure


if __name__ == "__main__":
    run(main)
