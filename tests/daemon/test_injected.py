# SPDX-License-Identifier: Apache-2.0
"""Where an injected packet was seen, held against the model: on reports made up from the model."""

from __future__ import annotations

import copy

import pytest

from vneter_sdn.daemon.injected import follow
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.daemon.picture import Picture
from vneter_sdn.daemon.reachability import Port
from vneter_sdn.daemon.tracing import trace
from vneter_sdn.model.fields import PROTO_TCP
from vneter_sdn.pipeline.registers import OUT_PORT, RULE
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.simulate.attempts import Wanted
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.text import packet_text, value_of


def manifest(kind, name, tenant=None, **spec):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


HOSTS = [
    manifest("Host", f"h{n}", ovsdb=f"unix:/h{n}", tunnelAddresses=[f"192.0.2.{n}"])
    for n in (1, 2, 3)
]
RED = [
    manifest("Tenant", "red"),
    manifest("Network", "net", "red", prefixes=["10.0.0.0/24"]),
    manifest("Endpoint", "a", "red", network="net", host="h1"),
    manifest("Endpoint", "b", "red", network="net", host="h2"),
    manifest(
        "Policy", "p", "red",
        ingress=[{"action": "drop", "ports": [{"port": 81}]}, {"ports": [{"port": 80}]}],
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def picture():
    result = compile_manifests([*HOSTS, *RED])
    return Picture(result.snapshot, result.compiler)


@pytest.fixture
def asked(picture):
    """Ask of a port: the model's trace, and the ends."""

    def ask(port):
        ends = [next(end for end in picture.ends if end.name == f"red/{one}") for one in "ab"]
        return trace(picture, *ends, Port(f"tcp/{port}", Wanted(PROTO_TCP, port))), ends

    return ask


def as_the_model_says(model):
    """What bridges report that do as the model says."""
    first = model.hops[0]
    seen = []
    for hop in model.hops:
        out = hop.result.outputs[0].packet if hop.result.outputs else {}
        for place, (number, flow) in enumerate(hop.result.trail, 1):
            rule = [t.value for t in flow.match if t.field == RULE.field]
            fields = {"eth_dst": value_of("eth_dst", hop.packet["eth_dst"])}
            fields |= {RULE.field: hex(rule[0])} if rule else {}
            fields |= {OUT_PORT.field: hex(out.get(OUT_PORT.field, 0))}
            seen.append({
                "host": hop.host, "port": hop.packet["in_port"], "table": BY_ID[number].name,
                "place": place, "fields": fields,
            })  # fmt: skip
    return {
        "packet": packet_text(first.packet), "sourcePort": 40000, "revision": 1,
        "host": first.host, "port": first.packet["in_port"],
        "looked": ["h1", "h2", "h3"], "unlooked": {}, "seen": seen[::-1],
    }  # fmt: skip


@pytest.mark.parametrize(("port", "allowed", "rule"), [(80, True, 1), (81, False, 0)])
def test_agreement(picture, asked, port, allowed, rule):
    model, ends = asked(port)
    found = follow(picture, model, ends, as_the_model_says(model))
    assert found.agrees
    assert found.allowed == model.allowed == allowed
    assert found.rule == model.rule == f"Policy red/p ingress[{rule}]"
    assert [(hop.host, hop.edge) for hop in found.hops] == [("h1", ""), ("h2", "h1>h2")]
    assert found.delivered == (PortOf("h2", 1) if allowed else None)
    assert found.document()["agrees"]


def without(told, *, host, after=None):
    """What is left when a bridge drops it after a table, or never sees it."""
    told = copy.deepcopy(told)
    ours = sorted((one for one in told["seen"] if one["host"] == host), key=lambda o: o["place"])
    names = [one["table"] for one in ours]
    gone = ours[names.index(after) + 1 :] if after else ours
    told["seen"] = [one for one in told["seen"] if one not in gone]
    return told


def test_a_bridge_that_drops_it(picture, asked):
    model, ends = asked(80)
    found = follow(
        picture, model, ends, without(as_the_model_says(model), host="h2", after="arrival")
    )
    assert found.allowed is False
    assert found.ended == "h2 arrival"
    assert found.differences == (
        "h2: after arrival the model goes on to remember; the bridge does not",
        "by the model it gets there, injected it does not get there",
    )


def test_a_link_that_loses_it(picture, asked):
    model, ends = asked(80)
    found = follow(picture, model, ends, without(as_the_model_says(model), host="h2"))
    assert found.ended == "h1 transit"
    assert "h2: it does not come to h2 by h1>h2" in found.differences


def test_a_bridge_nobody_looked_at(picture, asked):
    model, ends = asked(80)
    told = without(as_the_model_says(model), host="h2")
    told |= {"looked": ["h1", "h3"], "unlooked": {"h2": "is not connected"}}
    found = follow(picture, model, ends, told)
    assert found.allowed is None
    assert found.agrees
    assert [(hop.host, hop.looked, hop.why) for hop in found.hops][1] == (
        "h2", False, "is not connected",
    )  # fmt: skip


def test_a_detour_and_a_circle(picture, asked):
    """Sent to a bridge where it should not come; and twice by one port."""
    model, ends = asked(80)
    told = as_the_model_says(model)
    there = picture.fleet.tunnels
    (port,) = [far for near, far in there.items() if near.host == "h1" and far.host == "h3"]
    stray = {"host": "h3", "port": port.port, "table": "classify", "place": 1, "fields": {}}
    found = follow(picture, model, ends, told | {"seen": [*told["seen"], stray]})
    assert "h3: by the model it does not come here" in found.differences
    again = follow(picture, model, ends, told | {"seen": told["seen"] * 2})
    assert any("it goes in circles" in one for one in again.differences)


def test_another_rule_than_the_models(picture, asked):
    model, ends = asked(80)
    told = as_the_model_says(model)
    dropped = asked(81)[0]
    (number,) = (
        term.value
        for hop in dropped.hops
        for at, flow in hop.result.trail
        for term in flow.match
        if term.field == RULE.field and BY_ID[at].name == "ingress_verdict"
    )
    for one in told["seen"]:
        if one["table"] == "ingress_verdict":
            one["fields"] = one["fields"] | {RULE.field: hex(number)}
    found = follow(picture, model, ends, told)
    assert (
        "ingress is decided by Policy red/p ingress[1] in the model, "
        "by Policy red/p ingress[0] on the bridge"
    ) in found.differences


def test_another_port_than_its_own(picture, asked):
    model, ends = asked(80)
    told = as_the_model_says(model)
    for one in told["seen"]:
        if one["table"] == "output":
            one["fields"] = one["fields"] | {OUT_PORT.field: "0x9"}
    found = follow(picture, model, ends, told)
    assert found.allowed is False
    assert "it came out on h2 by port 9, where it is not for" in found.differences
