# SPDX-License-Identifier: Apache-2.0
"""Eras: how a bridge is made to forget what it worked out from flows of before.

A bridge whose userspace datapath has two overlapping megaflows changes the actions of the wrong one
when flows change; the other goes on doing what it did, a rule against it or not, for as long as
packets meet it. (Open vSwitch before 2.17.8, 3.0.5, 3.1.3 and 3.2.0; mended by "dpif-netdev: Fix
dpif_netdev_flow_put", 2023.) A megaflow that would have to match more than it does is not changed,
though, but deleted. So the first table of such a bridge holds one flow that matches a bit which is
zero in every packet that just came in; a bundle that changes anything puts another in its place
that matches another bit. What conntrack sends round again does not pass there, and is told apart by
what was in the registers: by the number of the era, which the same flow writes.
"""

from __future__ import annotations

from vneter_sdn.model.flow import Flow, FlowKey, SetField
from vneter_sdn.pipeline.cookies import GENERATION, Cookie
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import ERA
from vneter_sdn.pipeline.tables import table

FEATURE = 0xFE
"""In cookies; no feature of the compiler has this number."""
ERAS = 1 << ERA.bits
_BITS = (1 << 30, 1 << 31)
_COOKIE = Cookie(GENERATION, FEATURE, 0).number


def flow(era: int) -> Flow:
    """The flow of an era, which is counted modulo `ERAS`."""
    number = era % ERAS
    unset: dict[str, int | tuple[int, int]] = {"ct_mark": (0, _BITS[number % 2])}
    return table("entry").flow(NORMAL, unset, ERA.load(number), goto="classify", cookie=_COOKIE)


KEYS: tuple[FlowKey, ...] = (flow(0).key, flow(1).key)
"""Keys of the flows of all eras: two, for they take turns."""


def era_of(found: Flow) -> int:
    """Which era a flow with one of `KEYS` is of."""
    loads = (a.value for a in found.actions if isinstance(a, SetField) and a.field == ERA.field)
    return next(loads, 0) >> ERA.first
