# SPDX-License-Identifier: Apache-2.0
"""The law of policies notices: each mutation of the compiled flows makes one decision another."""

from dataclasses import replace

import pytest
from policy_worlds import Policed, endpoint, manifest, topology
from test_policy_laws import every_decision_agrees

from vneter_sdn.model.flow import BridgeState, SetField
from vneter_sdn.pipeline.tables import table


def of_app(app):
    return {"endpoints": {"matchLabels": {"app": app}}}


POLICIES = {
    "red": {
        "isolated": {
            "tier": "kubernetes",
            "isolates": ["ingress"],
            "appliesTo": [of_app("db")],
            "ingress": [{"peers": [of_app("web")], "ports": [{"port": 80}]}],
        },
        "first": {
            "tier": "emergency",
            "appliesTo": [of_app("web")],
            "egress": [{"peers": [of_app("db")]}, {"action": "drop"}],
        },
        "later": {
            "tier": "application",
            "egress": [
                {"action": "drop", "ports": [{"port": 80}]},
                {"ports": [{"port": 8080}]},
                {"action": "pass"},
            ],
        },
        "last": {
            "tier": "baseline",
            "ingress": [{"action": "drop", "peers": [{"cidr": "198.51.100.0/30"}]}],
        },
    },
    "blue": {"other": {"tier": "emergency", "ingress": [{"ports": [{"port": "web"}]}]}},
}


def world():
    made = [*topology(), manifest("Tenant", "red", {})]
    made.append(manifest("Tenant", "blue", {"defaultIngress": "drop"}))
    for tenant, policies in POLICIES.items():
        for app, host, held in (("web", "h1", "web"), ("db", "h1", "high"), ("db", "h2", "none")):
            name = f"{app}-{host}"
            made.append(endpoint((tenant, name), ("front", host), {"app": app}, None, held))
        made += [manifest("Policy", name, spec, tenant) for name, spec in policies.items()]
    return made


def each(suffix, change):
    """A mutation of every flow of the tables with a suffix, of both ways; None removes a flow."""
    numbers = {table(f"{way}{suffix}").id for way in ("egress", "ingress")}

    def mutate(state):
        flows = [change(f) if f.table in numbers else f for f in state.flows.values()]
        return BridgeState({f.key: f for f in flows if f}, state.groups, state.meters)

    return mutate


def without(*fields):
    return lambda flow: replace(flow, match=tuple(t for t in flow.match if t.field not in fields))


def matching(*fields):
    return lambda flow: None if {t.field for t in flow.match} & set(fields) else flow


def silent(field):
    """Without what is written to a register."""

    def change(flow):
        kept = [a for a in flow.actions if not isinstance(a, SetField) or a.field != field]
        return replace(flow, actions=tuple(kept))

    return change


def upside_down(flow):
    return replace(flow, priority=64_100 - flow.priority) if flow.priority > 1000 else flow


def open_verdicts(flow):
    then = {table("egress_verdict").id: "switch", table("ingress_verdict").id: "output"}
    return flow if flow.goto or flow.actions else replace(flow, goto=table(then[flow.table]).id)


MUTATIONS = {
    "nobody is asked about": each("", lambda flow: None if flow.actions else flow),
    "ingress goes by what egress found": each("", silent("reg8")),
    "nobody is known": each("_peer", silent("reg7")),
    "no tenants": each("_baseline", without("reg2")),
    "tiers the other way round": each("_tiers", upside_down),
    "no ports": each("_isolation", matching("tcp_dst")),
    "every port": each("_isolation", without("tcp_dst")),
    "no conjunctions": each("_isolation", matching("conj_id")),
    "whoever it is about": each("_tiers", without("reg6")),
    "nobody isolated": each("_isolation", lambda flow: None if flow.priority == 100 else flow),
    "pass stops": each("_tiers", lambda flow: flow if flow.actions else replace(flow, goto=None)),
    "no addresses": each("_baseline", matching("ip_src")),
    "no default": each("_baseline", lambda flow: None if flow.priority == 100 else flow),
    "nobody refused": each("_verdict", open_verdicts),
    "the same number for all": each("_tiers", silent("reg8")),
}


def test_the_world_itself_is_lawful():
    assert every_decision_agrees(Policed.of(world()))


@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=MUTATIONS)
def test_is_noticed(mutate):
    with pytest.raises(AssertionError):
        every_decision_agrees(Policed.of(world(), mutate))
