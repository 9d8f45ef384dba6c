# SPDX-License-Identifier: Apache-2.0
"""Finding a flow: tuple space search, as Open vSwitch's own classifier does it.

The flows of one table that match the same bits of the same fields are one hash table, so a
lookup costs one probe per shape of match (a handful in our pipeline), however many flows there
are. Srinivasan, Suri, Varghese: "Packet Classification using Tuple Space Search", 1999.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vneter_sdn.model.flow import BridgeState, Flow, Group, Meter

_Masks = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Flows that match the same bits; the first of each entry has the highest priority."""

    highest: int
    masks: _Masks
    entries: Mapping[tuple[int, ...], Flow]


@dataclass(frozen=True, slots=True)
class Datapath:
    """A bridge's state, indexed for lookups. Shapes of a table stand by falling priority."""

    shapes: Mapping[int, tuple[_Shape, ...]]
    groups: Mapping[int, Group]
    meters: Mapping[int, Meter]

    @classmethod
    def of(cls, state: BridgeState) -> Datapath:
        """Index a state; linear in its flows."""
        tables: defaultdict[int, list[Flow]] = defaultdict(list)
        for flow in state.flows.values():
            tables[flow.table].append(flow)
        return cls({n: _shapes(flows) for n, flows in tables.items()}, state.groups, state.meters)

    def matching(self, table: int, fields: Mapping[str, int]) -> list[Flow]:
        """Flows of the highest priority that match: none on a miss, several if they conflict."""
        best: list[Flow] = []
        priority = -1
        get = fields.get
        for shape in self.shapes.get(table, ()):
            if shape.highest < priority:
                break
            key = tuple([get(name, 0) & mask for name, mask in shape.masks])
            flow = shape.entries.get(key)
            if flow is None or flow.priority < priority:
                continue
            if flow.priority > priority:
                best = [flow]
                priority = flow.priority
            else:
                best.append(flow)
        return best


def _shapes(flows: Iterable[Flow]) -> tuple[_Shape, ...]:
    grouped: defaultdict[_Masks, dict[tuple[int, ...], Flow]] = defaultdict(dict)
    for flow in flows:
        masks = tuple((term.field, term.mask) for term in flow.match)
        values = tuple(term.value for term in flow.match)
        held = grouped[masks].get(values)
        if held is None or held.priority < flow.priority:
            # The lower one can never be met: both match the very same packets.
            grouped[masks][values] = flow
    shapes = [
        _Shape(max(flow.priority for flow in entries.values()), masks, entries)
        for masks, entries in grouped.items()
    ]
    return tuple(sorted(shapes, key=lambda shape: -shape.highest))
