# SPDX-License-Identifier: Apache-2.0
"""Manifests of Kubernetes in POST /v1/apply."""

from vneter_sdn.config import Settings
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.rest.app import create_app

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "x"}, "spec": {}}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "p", "namespace": "x"},
    "spec": {"podSelector": {}},
}


def wrong(field, value):
    return POLICY | {"spec": POLICY["spec"] | {field: value}}


def errors(answer):
    return {(one["object"], one["pointer"]) for one in answer.json["errors"]}


def test_they_are_taken_in_and_notes_are_answered(rest, store):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    answer = rest.post("/v1/apply", json={"objects": [POD, service, POLICY]})
    assert answer.status_code == 200
    created = {(one["kind"], one["name"]) for one in answer.json["created"]}
    assert {("Endpoint", "x.a"), ("Policy", "x.p"), ("Tenant", "cluster")} <= created
    assert [note.partition(":")[0] for note in answer.json["notes"]] == [
        "objects[1]",
        "made up, as nothing declares it",
    ]
    again = rest.post("/v1/apply", json={"objects": [POD, POLICY]})
    assert "notes" not in again.json
    assert not again.json["created"]


def test_problems_point_into_the_request(rest, store, red):
    far = POD | {"spec": {"nodeName": "far"}}
    answer = rest.post("/v1/apply", json={"objects": [*red, far]})
    assert answer.status_code == 422
    assert errors(answer) == {("Pod x/a", "/objects/4/spec/host")}
    listed = {"apiVersion": "v1", "kind": "List", "items": [POD, wrong("ingress", 3)]}
    answer = rest.post("/v1/apply", json={"objects": [*red[:1], listed]})
    assert errors(answer) == {("NetworkPolicy x/p", "/objects/1/items/1/spec/ingress")}
    nameless = POD | {"metadata": {"namespace": "x"}}
    answer = rest.post("/v1/apply", json={"objects": [*red[:1], nameless]})
    assert errors(answer) == {("Pod in objects[1]", "/objects/1/metadata/name")}
    answer = rest.post("/v1/apply", json={"objects": [POD, 7, red[0] | {"metadata": {}}]})
    assert {pointer for _, pointer in errors(answer)} == {"/objects/1", "/objects/2/metadata/name"}
    bad = red[1] | {"spec": {"prefixes": ["10.0.0/24"]}}
    answer = rest.post("/v1/apply", json={"objects": [POD, red[0], bad]})
    assert errors(answer) == {("Network red/web", "/objects/2/spec/prefixes/0")}
    assert not store.snapshot().objects


def test_hosts_and_tenants_that_are_there_are_known(rest, store):
    host = {
        "apiVersion": "vneter.io/v1",
        "kind": "Host",
        "metadata": {"name": "one"},
        "spec": {"ovsdb": "unix:/run/one.sock", "tunnelAddresses": ["192.0.2.1"]},
    }
    annotations = {"vneter.io/tenant": "own"}
    space = {"apiVersion": "v1", "kind": "Namespace"}
    space["metadata"] = {"name": "x", "annotations": annotations}
    assert rest.post("/v1/apply", json={"objects": [host, space]}).status_code == 200
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    placed = POD | {"spec": {"nodeName": "one"}}
    answer = rest.post("/v1/apply", json={"objects": [node, placed]})
    assert answer.status_code == 200, answer.json
    assert any("is the Host of that name already" in note for note in answer.json["notes"])
    held = store.snapshot().objects
    assert held[Key("Endpoint", "x", "x.a")].spec.host == "one"
    assert held[Key("Host", "", "one")].spec.ovsdb == "unix:/run/one.sock"


def test_the_tenant_is_a_setting(store):
    rest = create_app(store, Settings(cluster_tenant="prod")).test_client()
    assert rest.post("/v1/apply", json={"objects": [POD]}).status_code == 200
    assert Key("Endpoint", "prod", "x.a") in store.snapshot().objects
