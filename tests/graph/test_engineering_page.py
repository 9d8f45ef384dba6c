# SPDX-License-Identifier: Apache-2.0
"""The table of ENGINEERING.md says what the code does, and that is within 3 % of the bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from vneter_sdn.graph.atlas import read_atlas
from vneter_sdn.graph.engineering import Limits, engineer
from vneter_sdn.graph.traffic import Demand

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "vneter_sdn" / "graph" / "ENGINEERING.md"
NETWORKS = ("abilene", "geant")


def planned(name, limits):
    atlas = read_atlas(ROOT / "topologies" / f"{name}.yaml")
    demands = [Demand(d.source, d.target, d.mbps) for d in atlas.demands]
    return atlas, engineer(atlas.topology, demands, limits)


def table():
    heads = ["network", "nodes", "links", "demands", "shortest path", "ECMP"]
    heads += ["ours, one path", "ours", "bound", "ours over the bound"]
    lines = [_row(heads), "|---" * len(heads) + "|"]
    for name in NETWORKS:
        atlas, plan = planned(name, Limits())
        _, narrow = planned(name, Limits(paths=1))
        use = plan.utilisation
        shown = [use.shortest_path, use.ecmp, narrow.utilisation.ours, use.ours, use.lp_bound]
        counts = len(atlas.switches), len(atlas.links), len(atlas.demands)
        over = (use.ours / use.lp_bound - 1) * 100
        cells = [name, *map(str, counts), *(f"{v * 100:.1f}" for v in shown), f"{over:.2f} %"]
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells):
    return "| " + " | ".join(cells) + " |"


def test_the_table_is_what_the_code_does():
    text = PAGE.read_text(encoding="utf-8")
    written = text.partition("<!-- begin table -->\n")[2].partition("\n<!-- end table -->")[0]
    assert written == table()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("paths", [2, 4, 8])
def test_the_bound_is_nearly_reached(name, paths):
    _, plan = planned(name, Limits(paths=paths))
    assert plan.utilisation.ours <= plan.utilisation.lp_bound * 1.03
