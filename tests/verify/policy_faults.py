# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind, put into compiled policies and into what is remembered of connections.

Each kind gives all faults of it that there can be in a place; `policy_traffic` says what a fault
is, and which of them packets meet.
"""

import itertools
from dataclasses import replace

from vneter_sdn.model.flow import Conntrack, SetField
from vneter_sdn.pipeline.registers import DENIED, ISOLATED, LOCAL, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.verify.written import is_clause, tenant_of

STAGES = [f"{w}_{s}" for w in ("egress", "ingress") for s in ("tiers", "isolation", "baseline")]
WAYS = ("egress", "ingress")


def flows(place, *names, wanted=lambda flow: True):
    numbers = {table(name).id for name in names}
    return [
        (host, flow)
        for host, state in sorted(place.states().items())
        for flow in sorted(state.flows.values(), key=lambda f: (f.table, -f.priority, f.match))
        if flow.table in numbers and flow.priority > 1 and wanted(flow) and not six(flow)
    ]


def six(flow):
    """Nobody of this network has an address of IPv6, but that of a link."""
    return any(term == ("eth_type", 0x86DD, 0xFFFF) for term in flow.match)


def matches(flow, name):
    return any(term.field == name for term in flow.match)


def loads(flow, name):
    return any(isinstance(a, SetField) and a.field == name for a in flow.actions)


def loaded(flow, name):
    return next(
        (a.value for a in flow.actions if isinstance(a, SetField) and a.field == name), None
    )


def deciding(flow):
    return loads(flow, RULE.field) and not is_clause(flow)


def of_rule(flow):
    return deciding(flow) and loaded(flow, RULE.field) not in (ISOLATED, DENIED)


def gone(host, flow):
    return {host: {flow.key: None}}


def instead(host, flow, **changes):
    changed = replace(flow, **changes)
    return {host: {flow.key: None, changed.key: changed}}


def writing(host, flow, register, value):
    actions = tuple(
        replace(a, value=value) if isinstance(a, SetField) and a.field == register else a
        for a in flow.actions
    )
    return instead(host, flow, actions=actions)


def terms(flow, name, value=None, mask=None):
    """A match with another term, or without it."""
    return tuple(
        t._replace(value=value & (t.mask if mask is None else mask), mask=mask or t.mask)
        if t.field == name
        else t
        for t in flow.match
        if t.field != name or value is not None
    )


def _whole_rule(place, host, flow):
    held = place.states()[host].flows.values()
    mine = [f for f in held if (f.table, f.priority, tenant_of(f)) == _rank(flow)]
    return {host: {f.key: None for f in mine}}


def _rank(flow):
    return flow.table, flow.priority, tenant_of(flow)


def deleted_rule(place):
    return [_whole_rule(place, h, f) for h, f in flows(place, *STAGES, wanted=of_rule)]


def swapped_rules(place):
    found = []
    for host in sorted(place.states()):
        rules = [f for h, f in flows(place, *STAGES, wanted=of_rule) if h == host]
        for one, other in itertools.combinations(rules, 2):
            if _rank(one)[::2] == _rank(other)[::2] and one.priority != other.priority:
                found.append(_swapped(place, host, one, other))
    return found


def _swapped(place, host, one, other):
    places = {one.priority: other.priority, other.priority: one.priority}
    held = place.states()[host].flows.values()
    mine = [f for f in held if f.table == one.table and f.priority in places]
    turned = [replace(f, priority=places[f.priority]) for f in mine]
    return {host: {f.key: None for f in mine} | {f.key: f for f in turned}}


def lowered_rule(place):
    """A rule below the table's miss."""
    found = flows(place, *STAGES, wanted=lambda f: of_rule(f) and not matches(f, "conj_id"))
    return [instead(h, f, priority=0) for h, f in found]


def wider_ports(place):
    found = []
    for name in ("tcp_dst", "udp_dst"):
        for host, flow in flows(place, *STAGES, wanted=lambda f, n=name: matches(f, n)):
            value = next(t.value for t in flow.match if t.field == name)
            found += [
                instead(host, flow, match=terms(flow, name, value, mask))
                for mask in (0xFFFE, 0xFFFC, 0xFF00)
            ]
            found.append(instead(host, flow, match=terms(flow, name)))
    return found


def wider_addresses(place):
    found = []
    for host, flow in flows(place, *STAGES, wanted=lambda f: matches(f, "ip_src")):
        if is_clause(flow):
            value = next(t.value for t in flow.match if t.field == "ip_src")
            found += [
                instead(host, flow, match=terms(flow, "ip_src", value, mask))
                for mask in (0xFFFF0000, 0xFFFFFC00, 0xFFFFFF80)
            ]
    return found


def other_prefix(place):
    found = flows(place, *STAGES, wanted=lambda f: is_clause(f) and matches(f, "ip_src"))
    return [
        instead(
            h,
            f,
            match=tuple(
                t._replace(value=t.value ^ 1 << 8) if t.field == "ip_src" else t for t in f.match
            ),
        )
        for h, f in found
    ]


def deleted_clause(place):
    return [gone(*found) for found in flows(place, *STAGES, wanted=is_clause)]


def wider_clause(place):
    """Anybody, in place of the one that a clause is about."""
    return [
        instead(host, flow, match=terms(flow, register))
        for register in (LOCAL.field, PEER.field)
        for host, flow in flows(
            place, *STAGES, wanted=lambda f, r=register: is_clause(f) and matches(f, r)
        )
    ]


def other_tenants_rule(place):
    found = flows(place, *STAGES, wanted=deciding)
    return [instead(h, f, match=terms(f, TENANT.field, 99)) for h, f in found]


def other_number(place):
    """A rule decides as isolation does, and isolation as something that is allowed."""
    return [
        writing(h, f, RULE.field, 0 if loaded(f, RULE.field) == ISOLATED else ISOLATED)
        for h, f in flows(place, *STAGES, wanted=deciding)
    ]


def deleted_isolation(place):
    def isolates(flow):
        return loaded(flow, RULE.field) == ISOLATED

    return [gone(*found) for found in flows(place, *STAGES, wanted=isolates)]


def wrong_default(place):
    """What a tenant denies by default is let through, or never asked for."""
    found = flows(place, *STAGES, wanted=lambda f: loaded(f, RULE.field) == DENIED)
    return [gone(*one) for one in found] + [writing(*one, RULE.field, 0) for one in found]


def wrong_local(place):
    """An endpoint is taken for one of another kind."""
    found = flows(place, *WAYS, wanted=lambda f: loads(f, LOCAL.field))
    kinds = sorted({loaded(f, LOCAL.field) for _, f in found})
    return [
        writing(h, f, LOCAL.field, kind)
        for h, f in found
        for kind in (9, *kinds)
        if kind != loaded(f, LOCAL.field)
    ]


def wrong_peer(place):
    """An address is taken for that of an endpoint of another kind."""
    found = flows(place, *(f"{w}_peer" for w in WAYS), wanted=lambda f: loads(f, PEER.field))
    kinds = sorted({loaded(f, PEER.field) for _, f in found})
    return [
        writing(h, f, PEER.field, kind)
        for h, f in found
        for kind in (9, *kinds)
        if kind != loaded(f, PEER.field)
    ]


def deleted_peer(place):
    return [gone(*found) for found in flows(place, *(f"{w}_peer" for w in WAYS))]


def not_asked(place):
    """An endpoint comes under no policy."""
    return [gone(*found) for found in flows(place, *WAYS)]


def shadowed_rule(place):
    """An earlier, wider rule: it decides otherwise, or the same."""
    found = []
    verdicts = [f for _, f in flows(place, *STAGES, wanted=of_rule)]
    for host, flow in flows(place, *STAGES, wanted=of_rule):
        number = table("egress_verdict" if "egress" in BY_ID[flow.table].name else
                       "ingress_verdict").id  # fmt: skip
        others = {loaded(f, RULE.field) for f in verdicts if f.goto == number}
        for other in sorted(others):
            match = tuple(t for t in flow.match if t.field == TENANT.field)
            actions = tuple(replace(a, value=other) for a in flow.actions)
            above = replace(flow, match=match, priority=flow.priority + 600, actions=actions)
            found.append({host: {above.key: above}})
    return found


def refused(flow):
    return not flow.actions and flow.goto is None and matches(flow, RULE.field)


def let_through(place):
    then = {"egress_verdict": table("switch").id, "ingress_verdict": table("output").id}
    return [
        instead(h, f, goto=then[BY_ID[f.table].name])
        for h, f in flows(place, *then, wanted=refused)
    ]


def commits(flow):
    return any(isinstance(a, Conntrack) and a.commit for a in flow.actions) and flow.goto


def refuses_what_is_allowed(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=(), goto=None) for h, f in found]


# ---- state of connections


def uncommitted(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=()) for h, f in found]


def untracked(place):
    """The connection tracker is not asked before the table that goes by what it says."""
    found = []
    for host, flow in flows(place, *WAYS):
        asks = [a for a in flow.actions if isinstance(a, Conntrack)]
        rest = tuple(a for a in flow.actions if a not in asks)
        found += [instead(host, flow, actions=rest, goto=a.table) for a in asks]
    return found


def past_the_state(place):
    """Straight to where packets of known connections go."""
    then = {"egress": table("switch").id, "ingress": table("output").id}
    return [
        instead(h, f, actions=(), goto=then[BY_ID[f.table].name]) for h, f in flows(place, *then)
    ]


def _replies(flow):
    return matches(flow, "ct_state") and not matches(flow, "ct_label") and flow.goto is not None


def not_established(place):
    """What lets answers pass lets any packet pass."""
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [instead(h, f, match=terms(f, "ct_state")) for h, f in found]


def new_as_known(place):
    """New connections count as answers."""
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [instead(h, f, match=terms(f, "ct_state", 0x20, 0x20)) for h, f in found]


def no_answers(place):
    found = flows(place, *(f"{w}_state" for w in WAYS), wanted=_replies)
    return [gone(*one) for one in found]


def _zoned(flow, zone):
    return tuple(
        replace(a, zone=zone, zone_field="", zone_offset=0) if isinstance(a, Conntrack) else a
        for a in flow.actions
    )


def other_zone_asked(place):
    return [instead(h, f, actions=_zoned(f, 77)) for h, f in flows(place, *WAYS)]


def other_zone_written(place):
    found = flows(place, *(f"{w}_verdict" for w in WAYS), wanted=commits)
    return [instead(h, f, actions=_zoned(f, 77)) for h, f in found]


def one_zone_for_all(place):
    """Tenants that have the same addresses share what a bridge remembers."""
    found = {}
    for host in sorted(place.states()):
        mine = [f for h, f in flows(place, *WAYS, "egress_verdict", "ingress_verdict") if h == host]
        changed = [replace(f, actions=_zoned(f, 7)) for f in mine]
        found[host] = {
            f.key: f for f in changed if any(isinstance(a, Conntrack) for a in f.actions)
        }
    return [found, *({host: held} for host, held in found.items())]


FAULTS = (
    *(deleted_rule, swapped_rules, lowered_rule, shadowed_rule, wider_ports, wider_addresses),
    *(other_prefix, deleted_clause, wider_clause, other_tenants_rule, other_number),
    *(deleted_isolation, wrong_default, wrong_local, wrong_peer, deleted_peer, not_asked),
    *(let_through, refuses_what_is_allowed),
)
STATE_FAULTS = (
    *(uncommitted, untracked, past_the_state, not_established, new_as_known, no_answers),
    *(other_zone_asked, other_zone_written, one_zone_for_all),
)
