# SPDX-License-Identifier: Apache-2.0
"""Links that were found beside those that are declared, and the graph that they make."""

from __future__ import annotations

import pytest

from vneter_sdn.cli.output import Form
from vneter_sdn.cli.rendering import prose, render
from vneter_sdn.graph.atlas.exchange import topology_document, topology_of
from vneter_sdn.graph.topology import Edge, Topology, Vertex
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound import schemas
from vneter_sdn.northbound.topology import View


def manifest(kind, name, **spec):
    return {
        "apiVersion": "vneter.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


HOSTS = [
    manifest("Host", f"h{n}", ovsdb=f"unix:/run/h{n}", tunnelAddresses=[f"192.0.2.{n}"], site="x")
    for n in (1, 2)
]
WIRE = {
    "origin": "lldp",
    "source": "h1",
    "target": "h2",
    "medium": "wire",
    "ports": "eth1:eth2",
    "edge": "h1:eth1>h2:eth2",
    "state": "up",
    "capacityMbps": 1000.0,
}
TUNNEL = {
    "origin": "tunnel",
    "source": "h1",
    "target": "h2",
    "medium": "tunnel",
    "edge": "h1>h2",
    "state": "up",
    "latencyMs": 1.25,
    "loss": 0.00049,
    "utilisation": 0.5,
    "back": {"latencyMs": 2.0},
}
UP = Condition("Ready", "True", "Up")


def key(name):
    return Key("Link", "", name)


@pytest.fixture
def found(rest, store):
    """Two hosts, with a tunnel and a wire between them that nobody declared."""
    assert rest.post("/v1/apply", json={"objects": HOSTS}).status_code == 200
    reports = [
        Status(key("h1-h2"), 0, (UP,), TUNNEL),
        Status(key("h1.eth1-h2.eth2"), 0, (), WIRE),
    ]
    store.report(reports)
    return rest


def edges(rest):
    return {edge["name"]: edge for edge in rest.get("/v1/topology").json["edges"]}


def test_found_links_are_listed_and_read(found):
    items = found.get("/v1/links").json["items"]
    assert [item["metadata"] for item in items] == [{"name": "h1-h2"}, {"name": "h1.eth1-h2.eth2"}]
    tunnel = found.get("/v1/links/h1-h2").json
    assert tunnel == items[0]
    assert tunnel["status"]["origin"] == "tunnel"
    assert tunnel["status"]["conditions"][0]["reason"] == "Up"
    wire = items[1]
    assert (wire["spec"]["sourcePort"], wire["spec"]["targetPort"]) == ("eth1", "eth2")
    assert wire["status"]["conditions"][0]["reason"] == "Pending"
    assert found.get("/v1/links?labelSelector=a=b").json["items"] == []
    assert found.get("/v1/links/h1-h3").status_code == 404
    assert found.get("/v1/links/h1-h2?waitFor=Ready").status_code == 200


def test_found_links_are_printed(found):
    items = found.get("/v1/links").json["items"]
    lines = render(KINDS["Link"], items, Form("wide")).splitlines()
    words = [line.split() for line in lines]
    assert words[0][:5] == ["NAME", "SOURCE", "TARGET", "MEDIUM", "COST"]
    assert words[1][:9] == ["h1-h2", "h1", "h2", "tunnel", "1", "up", "1.25", "0.0005", "0.5"]
    assert words[2][-5:] == ["eth1:eth2", "lldp", "Unknown", "-", "Pending"]
    assert "found, not declared" in prose(items[0])


def test_found_links_cannot_be_deleted(found):
    refused = found.delete("/v1/links/h1-h2")
    assert refused.status_code == 422
    (problem,) = refused.json["errors"]
    assert problem["reason"] == "NotDeclared"
    assert "disabled" in problem["message"]
    batch = found.post("/v1/apply", json={"delete": [{"kind": "Link", "name": "h1-h2"}]})
    assert batch.status_code == 422
    assert found.delete("/v1/links/h1-h3").status_code == 404


def test_a_found_link_declares_itself(found):
    wire = found.get("/v1/links/h1.eth1-h2.eth2").json
    before = edges(found)
    wire["spec"]["cost"] = 7
    assert found.put("/v1/links/h1.eth1-h2.eth2", json=wire).status_code == 201
    declared = found.get("/v1/links/h1.eth1-h2.eth2").json
    assert declared["spec"]["cost"] == 7
    assert declared["status"]["origin"] == "lldp"
    assert len(found.get("/v1/links").json["items"]) == 2
    after = edges(found)
    assert after.keys() == before.keys()
    assert after["h2:eth2>h1:eth1"]["cost"] == 7
    assert found.delete("/v1/links/h1.eth1-h2.eth2").status_code == 200
    assert set(edges(found)) == {"h1>h2", "h2>h1"}


def test_the_topology_merges_what_is_asked_and_what_is_seen(found):
    answer = found.get("/v1/topology").json
    assert answer["revision"] == 1
    assert [v["bridge"] for v in answer["vertices"]] == [1, 2]
    seen = edges(found)
    assert set(seen) == {"h1>h2", "h2>h1", "h1:eth1>h2:eth2", "h2:eth2>h1:eth1"}
    assert (seen["h1>h2"]["latency"], seen["h2>h1"]["latency"]) == (1.25, 2.0)
    assert seen["h2>h1"]["utilisation"] == 0.5
    assert seen["h1>h2"]["link"] == seen["h2>h1"]["link"] == "h1-h2"
    assert seen["h1:eth1>h2:eth2"]["capacity"] == 1000.0
    graph = topology_of(answer)
    assert {edge.name for edge in graph.edges} == set(seen)
    assert graph.vertices[0] == Vertex("h1", 1, ("192.0.2.1",), site="x")


def test_the_topology_follows_reports_and_objects(found, store):
    assert edges(found)["h1>h2"]["usable"]
    store.report([Status(key("h1-h2"), 0, (), TUNNEL | {"state": "down"})])
    assert not edges(found)["h1>h2"]["usable"]
    assert not edges(found)["h2>h1"]["up"]
    store.report([], [key("h1.eth1-h2.eth2")])
    assert set(edges(found)) == {"h1>h2", "h2>h1"}
    link = manifest("Link", "l", source="h1", target="h2", capacityMbps=100, cost=5)
    found.post("/v1/links", json=link)
    assert edges(found)["h2>h1"]["cost"] == 5
    ends = {"between": "hosts", "source": "h1", "target": "h2", "rateMbps": 30}
    found.post("/v1/tenants", json=manifest("Tenant", "red"))
    booking = manifest("Reservation", "r", tenant="red", **ends)
    assert found.post("/v1/reservations", json=booking).status_code == 201
    store.report([Status(Key("Reservation", "", "r"), 0, (), {"booked": {"h1>h2": 30.0}})])
    assert (edges(found)["h1>h2"]["reserved"], edges(found)["h1>h2"]["residual"]) == (30.0, 70.0)


def test_the_topology_is_made_once(found, store):
    view = View()
    assert view.of(store.snapshot()) is view.of(store.snapshot())
    first = view.of(store.snapshot())
    store.report([Status(key("h1-h2"), 0, (), TUNNEL | {"loss": 0.25})])
    assert view.of(store.snapshot()) is not first


def test_the_schema_has_every_attribute():
    described = schemas.components()
    for kind, name in ((Vertex, "TopologyVertex"), (Edge, "TopologyEdge")):
        part = kind("h", 1) if kind is Vertex else kind(name="", reverse="", source="", target="")
        graph = Topology((part,)) if kind is Vertex else Topology((), (part,))
        document = topology_document(graph)
        (said,) = document["vertices"] + document["edges"]
        assert set(said) <= set(described[name]["properties"]), name


def test_nothing_is_an_empty_graph(rest):
    assert rest.get("/v1/topology").json == {"revision": 0, "vertices": [], "edges": []}


def test_what_says_nothing_does_no_harm(found, store):
    odd = [{"edge": 3}, {"edge": "x"}, {"medium": "wire"}, {"edge": "h1>h2", "loss": "much"}]
    store.report([Status(key(f"odd{n}"), 0, (), details) for n, details in enumerate(odd)])
    assert set(edges(found)) >= {"h1>h2", "h2>h1"}
    assert found.get("/v1/links/odd0").json["spec"] == {}


def test_a_link_declared_under_another_name_is_not_listed_twice(found, store):
    wan = manifest("Link", "wan", source="h2", target="h1", cost=4)
    assert found.post("/v1/links", json=wan).status_code == 201
    items = {item["metadata"]["name"]: item for item in found.get("/v1/links").json["items"]}
    assert set(items) == {"wan", "h1.eth1-h2.eth2"}
    status = items["wan"]["status"]
    assert (status["state"], status["latencyMs"], status["origin"]) == ("up", 1.25, "declared")
    up = Condition("Up", "True", "Up")
    store.report([Status(key("h1-h2"), 0, (UP, up), TUNNEL), Status(key("wan"), 2, (UP,), {})])
    told = found.get("/v1/links/wan").json["status"]["conditions"]
    assert [(one["type"], one["status"]) for one in told] == [
        ("Ready", "True"),
        ("Allocated", "True"),
        ("Up", "True"),
    ]
    assert found.get("/v1/links/h1-h2").status_code == 200


def test_a_tunnel_between_other_addresses_declares_itself(found, store):
    hosts = [
        {**one, "spec": {**one["spec"], "tunnelAddresses": [f"192.0.2.{n}", f"198.51.100.{n}"]}}
        for n, one in enumerate(HOSTS, 1)
    ]
    assert found.post("/v1/apply", json={"objects": hosts}).status_code == 200
    store.report([Status(key("h1-h2.1.1"), 0, (UP,), {**TUNNEL, "edge": "h1#1>h2#1"})])
    second = found.get("/v1/links/h1-h2.1.1").json
    ends = {"sourceAddress": "198.51.100.1", "targetAddress": "198.51.100.2"}
    assert {name: second["spec"].get(name) for name in ends} == ends
    second["spec"]["cost"] = 9
    assert found.put("/v1/links/h1-h2.1.1", json=second).status_code == 201
    after = edges(found)
    assert (after["h1#1>h2#1"]["cost"], after["h1>h2"]["cost"]) == (9, 1)


def test_links_that_flap_are_left_out(found, store):
    store.report([Status(key("h1-h2"), 0, (), TUNNEL | {"state": "damped"})])
    assert not edges(found)["h1>h2"]["up"]
