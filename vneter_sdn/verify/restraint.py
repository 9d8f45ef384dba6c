# SPDX-License-Identifier: Apache-2.0
"""What cannot go wrong with policies, as it does not without them.

Where policies only say whether packets go on, all that they do to packets is to hold some back. So
none goes further than it goes without them, nor elsewhere: what is wrong with where packets end is
wrong without policies as well. Without them packets are few sets; with them each rule makes some.
What is wrong without them may be hidden by them, so then it has to be asked with them.

That policies do no more is asked of every flow, and of what forwarding reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from vneter_sdn.model.flow import Action, Conntrack, Flow, Resubmit
from vneter_sdn.pipeline.registers import LOCAL, PEER, RULE
from vneter_sdn.simulate.bridge import MAX_RECIRCULATIONS, MAX_STEPS
from vneter_sdn.verify.facts import FIRST
from vneter_sdn.verify.findings import Finding
from vneter_sdn.verify.fleet import Fabric, Trace
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.packets import Packets
from vneter_sdn.verify.policed import POLICED, Unpoliced, is_tame
from vneter_sdn.verify.summary import Read, all_actions
from vneter_sdn.verify.tracking import ANYTHING
from vneter_sdn.verify.walk import Walker

_OWN = frozenset((LOCAL.field, PEER.field, RULE.field))
_ASKED = frozenset(("ct_state", "ct_mark", "ct_label"))
_TOLD = _ASKED | {"ct_zone"}
_POLICIES = min(POLICED)
_FIRST = frozenset(FIRST.values())
Wrong = Callable[[Trace], Finding | None]


class Restrained:
    """Bridges whose policies are left aside as long as nothing is wrong without them.

    Args:
        fabric: with policies. They are only left aside where its tracker may say anything.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._bare = _stripped(fabric)

    @property
    def is_sure(self) -> bool:
        """Whether policies only hold packets back, on all bridges."""
        return self._bare is not None

    def findings(self, host: str, packets: Packets, wrong: Wrong) -> Iterator[Finding]:
        """What is wrong with where packets end, policies being asked.

        Args:
            host: where they come in.
            packets: which.
            wrong: what is wrong with some that end. It goes by where they end, by the bridges on
                their way and by what they came in as, so that what is wrong with some is wrong with
                more of them.
        """
        if not self._are_clear(host, packets, wrong):
            for trace in self._fabric.traces(host, packets):
                found = wrong(trace)
                if found is not None:
                    yield found

    def _are_clear(self, host: str, packets: Packets, wrong: Wrong) -> bool:
        """Whether nothing is wrong without policies, and so with them."""
        if self._bare is None:
            return False
        traces = self._bare.traces(host, packets)
        return all(wrong(trace) is None and _is_short(trace) for trace in traces)


def _stripped(fabric: Fabric) -> Fabric | None:
    bare: dict[str, Walker] = {}
    for host, walker in fabric.walkers.items():
        if walker.around.tracking != ANYTHING:
            return None  # others know where forwarding asks what policies committed
        index = without_policies(walker.index)
        if index is None:
            return None
        bare[host] = Walker(index, walker.around, host)
    return replace(fabric, walkers=bare)


def _is_short(trace: Trace) -> bool:
    """Whether it would be within a bridge's limits with policies: a table of these is met once."""
    asked = sum(step.flow.table in _FIRST for step in trace.trail)
    return len(trace.trail) + asked * len(POLICED) < MAX_STEPS


def without_policies(index: BridgeIndex) -> Unpoliced | None:
    """A bridge without policies; None if these may do more than hold packets back. O(flows)."""
    seen = _Seen(index)
    flows = (flow for number in index.tables() for flow in index.flows(number))
    return Unpoliced(index, told=seen.may_ask) if all(map(seen.is_fair, flows)) else None


class _Seen:
    """What there is to know of a bridge, from flow to flow."""

    def __init__(self, index: BridgeIndex) -> None:
        self._index = index
        self._asking: set[int] = set()
        """Tables behind policies that match what the tracker said."""
        self._entered: set[int] = set()
        """Tables that packets come to otherwise than from forwarding's own question to it."""
        self._asked = False
        """Whether policies ask the tracker at all."""
        self._recirculated: set[int] = set()
        self._early: set[str] = set()
        """What is done in tables before policies that is only fair if they are not come back to."""

    @property
    def may_ask(self) -> bool:
        """Whether forwarding may match what the tracker said to policies."""
        return self._asked and not self._asking.isdisjoint(self._entered)

    def is_fair(self, flow: Flow) -> bool:
        """Whether policies do no more than hold packets back, as far as flows were seen.

        As all lead to later tables, each is recirculated to at most once before a packet is done.
        """
        actions = list(all_actions(self._index, flow.actions))
        tracks = [one for one in actions if isinstance(one, Conntrack)]
        tracked = [one.table for one in tracks if one.table is not None]
        resubmitted = [one.table for one in actions if isinstance(one, Resubmit)]
        onward = [*resubmitted, *([] if flow.goto is None else [flow.goto])]
        self._recirculated.update(tracked)
        self._entered.update(onward)
        if any(number <= flow.table for number in (*onward, *tracked)):
            return False
        if len(self._recirculated) > MAX_RECIRCULATIONS:
            return False
        if flow.table in POLICED:
            self._entered.update(tracked)
            self._asked |= bool(tracked)
            return is_tame(flow) and len(onward) + len(tracked) <= 1
        if resubmitted and flow.table < _POLICIES:
            self._early.add("resubmits")
        known = any(one.commit and one.table is not None for one in tracks)
        return not known and self._reads_fairly(flow, actions) and len(self._early) < 2

    def _reads_fairly(self, flow: Flow, actions: Iterable[Action]) -> bool:
        """Whether a flow of forwarding goes by nothing that policies wrote."""
        matched, read = {term.field for term in flow.match}, Read()
        for action in actions:
            read.by(action)
        theirs = (matched | read.bits.keys()) & (_OWN | _TOLD)
        if not theirs:
            return True
        if flow.table < _POLICIES:
            self._early.add("reads")
            return True
        self._asking.add(flow.table)
        return theirs <= _ASKED and theirs.isdisjoint(read.bits)
