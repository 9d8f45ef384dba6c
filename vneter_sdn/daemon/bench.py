# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench codec|compile|edge|graph|policy|system [--json]``: how fast, against what."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from vneter_sdn.daemon import bench_compile, bench_edge, bench_graph, bench_policy, bench_system
from vneter_sdn.southbound.openflow import bench as codec
from vneter_sdn.southbound.openflow.bench import Row, table

_BENCHES: dict[str, Callable[[list[str]], list[Row]]] = {
    "compile": bench_compile.measure,
    "edge": bench_edge.measure,
    "graph": bench_graph.measure,
    "policy": bench_policy.measure,
    "system": bench_system.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a bench and print what it found; 1 when a target is missed."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] not in _BENCHES:
        if given[:1] not in ([], ["codec"]):
            names = ", ".join(["codec", *_BENCHES])
            sys.stderr.write(f"error: there is no bench {given[0]}; there are {names}\n")
            return 2
        return codec.main(given)
    words = [word for word in given[1:] if word != "--json"]
    rows = _BENCHES[given[0]](words)
    text = json.dumps(rows, indent=1) if "--json" in given else table(rows)
    sys.stdout.write(text + "\n")
    return 0 if all(row["met"] for row in rows) else 1
