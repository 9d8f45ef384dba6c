# SPDX-License-Identifier: Apache-2.0
"""Where locators of a bridge end, and as what: the same before a change and after it, or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vneter_sdn.model.flow import Action, GroupAction, Output
from vneter_sdn.pipeline.locator import MAX_SLOT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.fleet import Fabric, Trace
from vneter_sdn.verify.packets import Packets
from vneter_sdn.verify.touch import Locators

_TRANSIT = table("transit").id
_NO_SLOT = MAX_SLOT
"""A slot that nothing is at."""
Ways = Mapping[tuple[str, Locators], object]
"""By host that sends, and by locators."""


def ends_of(fabric: Fabric, locators: Iterable[Locators]) -> Ways:
    """Where locators end that any bridge sends."""
    found: dict[tuple[str, Locators], object] = {}
    for value, mask in locators:
        packets = Packets(
            ({"eth_dst": frozenset((value | _NO_SLOT & ~mask,)), "in_port": frozenset((0,))},)
        )
        for host in fabric.walkers:
            ends = fabric.traces(host, packets, _TRANSIT)
            found[host, (value, mask)] = frozenset(
                (type(t.end), t.hops[-1], _rewritten(t)) for t in ends
            )
    return found


def _rewritten(trace: Trace) -> frozenset[Action]:
    """What is done to a frame on its way, besides that it is sent on."""
    flows = (step.flow for step in trace.trail if step.flow.table == _TRANSIT)
    return frozenset(a for f in flows for a in f.actions if not isinstance(a, Output | GroupAction))


def unequal(before: Ways, after: Ways) -> frozenset[Locators]:
    """Locators that end elsewhere, or as something else."""
    both = before.keys() | after.keys()
    return frozenset(at[1] for at in both if before.get(at) != after.get(at))
