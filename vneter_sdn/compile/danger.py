# SPDX-License-Identifier: Apache-2.0
"""Which repairs cannot wait until the graph that stands follows (see `standing`).

Most repairs of the graph as it was are as good for now. Some lead over what has failed meanwhile,
or are missing where a link has come back since: the next failure would cost packets though there is
a way around it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vneter_sdn.compile.ways import Tree, Way
from vneter_sdn.graph.redundant import Redundant
from vneter_sdn.graph.topology import Edge
from vneter_sdn.graph.trees import Trees
from vneter_sdn.pipeline.locator import BLUE, RED

_NOTHING: frozenset[str] = frozenset()


def endangered(now: Trees, stands: Trees, target: str, held: Mapping[int, Tree]) -> bool:
    """Whether some bridge's repair of its next edge is worse than it would be in the graph of now.

    Worse is a repair that does not arrive, and one that does not keep away from the bridge at the
    end of the edge. O(hosts, times colours, times the length of the paths).

    Args:
        now: of the graph as it is.
        stands: of the graph that the repairs go by.
        target: where packets are to arrive.
        held: what bridges hold towards it, by colour and host.
    """
    stood, better = stands.redundant(target), now.redundant(target)
    failed = stands.graph.usable - now.graph.usable
    for colour, tree in held.items():
        for host, way in tree.items() if colour not in (RED, BLUE) else ():
            edge = now.graph.edge(way.edge)
            if edge is None or not edge.usable:
                continue  # what takes that is being led elsewhere
            found = better.repair(host, edge)
            best = Way(edge.name, found[0], found[1].name) if found else Way(edge.name)
            if _worth(stood, host, edge, way, failed) < _worth(better, host, edge, best, _NOTHING):
                return True
    return False


def _worth(both: Redundant, host: str, edge: Edge, way: Way, failed: Collection[str]) -> int:
    """2 for a repair that avoids the bridge at an edge's end, 1 for the edge, 0 for none."""
    path = both.way(way.colour, host, {*failed, edge.name, edge.reverse}) if way.repair else ()
    if not path:
        return 0
    return 1 + all(step.target != edge.target for step in path)
