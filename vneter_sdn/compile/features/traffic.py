# SPDX-License-Identifier: Apache-2.0
"""Counts what engineered policies send from host to host.

Every packet under such a policy meets one of these flows once, where it starts, whatever becomes of
it then: one whose connection is pinned passes no group, and the flow in `path` that leads it on is
shared by all policies::

    own    packets of whoever began the connection
    rest   answers, and what cannot be tracked

The two are told apart since the paths of a connection are those of whoever began it. Nothing in
them follows from the plan, so they, and what they count, stay when it changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vneter_sdn.compile.features.pin import OWN_DIRECTION
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.links import bridges
from vneter_sdn.compile.policies import pairs, policy_number
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Flow, FlowKey
from vneter_sdn.model.path_kinds import PathPolicySpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.cookies import MAGIC_COOKIE, MAGIC_MASK
from vneter_sdn.pipeline.locator import BRIDGE_MASK, DEFAULT, Locator
from vneter_sdn.pipeline.priorities import LOW, NORMAL
from vneter_sdn.pipeline.registers import POLICY
from vneter_sdn.pipeline.tables import table

ID = 17
TABLE = table("count").id
COOKIE, COOKIE_MASK = MAGIC_COOKIE | ID << 40, MAGIC_MASK | 0xFF << 40
"""What the cookies of these flows, and of no others, have in common."""


def policy(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Of one policy, between all hosts that it is about."""
    spec: PathPolicySpec | None = view.get("PathPolicy", key)
    number, known = view.ask(policy_number, key), view.ask(bridges, None)
    if spec is None or spec.sharing != "engineered" or number is None:
        return
    sources: dict[int, set[str]] = {}
    for source, end in view.ask(pairs, key):
        if source in known and end in known:
            sources.setdefault(known[end], set()).add(source)
    for bridge, at in sorted(sources.items()):
        yield on(at, *_flows(number, bridge, write))


def _flows(number: int, bridge: int, write: Writer) -> Iterator[Flow]:
    there = (Locator(DEFAULT, bridge, 0).mac, BRIDGE_MASK)
    towards: Matched = {"reg5": POLICY.match(number), "eth_dst": there}
    yield write("count", NORMAL, {**towards, "ct_state": OWN_DIRECTION}, goto="path")
    yield write("count", LOW, towards, goto="path")


def counted(flow: FlowKey) -> tuple[int, int, bool] | None:
    """Policy, target bridge, and whether packets are of those who began their connection.

    None for a flow that is not one of these.
    """
    terms: Mapping[str, tuple[int, int]] = {t.field: (t.value, t.mask) for t in flow.match}
    under, towards = terms.get("reg5"), terms.get("eth_dst")
    if flow.table != TABLE or under is None or towards is None:
        return None
    own = terms.get("ct_state", (0, 0))[0] & TRACKED["trk"]
    return under[0], Locator.of(towards[0]).bridge, bool(own)


FEATURE = Feature(
    "traffic", ID, "counts what engineered policies send where", {"PathPolicy": policy}
)
