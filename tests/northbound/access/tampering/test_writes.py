# SPDX-License-Identifier: Apache-2.0
"""What is written: of another tenant, for another, or beyond one's own rank."""

from __future__ import annotations

import json

import pytest
from two_tenants import Asker, endpoint, manifest, network, refused

from vneter_sdn.northbound.access.identity import grant_of


@pytest.mark.parametrize(
    "batch",
    [
        {"objects": [endpoint("blue", "b")]},
        {"objects": [endpoint("red", "b"), endpoint("blue")]},
        {"objects": [], "delete": [{"kind": "Endpoint", "tenant": "blue", "name": "a"}]},
        {"delete": [{"kind": "Tenant", "name": "blue"}]},
        {"delete": [{"kind": "Tenant", "name": "red"}]},
        {"objects": [manifest("Tenant", "green")]},
        {"objects": [manifest("Tenant", "blue", description="mine")]},
        {"objects": [manifest("Host", "h3")]},
        {"objects": [manifest("Link", "l", source="h1", target="h2")]},
        {"delete": [{"kind": "Host", "name": "h1"}]},
        {"delete": [{"kind": "Link", "name": "h1-h2"}]},
        {"objects": [manifest("Tier", "t", priority=5)]},
        {"objects": [manifest("ClusterPolicy", "p")]},
        {"objects": [manifest("PathPolicy", "p")]},
        {"objects": [manifest("Reservation", "r", tenant="red")]},
        {"objects": [endpoint("blue", "b")], "dryRun": True},
        {"objects": [endpoint("red ", "b")]},
        {"objects": [endpoint("RED", "b")]},
        {"objects": [endpoint("*", "b")]},
    ],
)
def test_a_batch_that_touches_anything_of_others_is_refused_whole(red, store, batch):
    refused(red("POST", "/v1/apply", batch), store, store.snapshot())


def test_a_kubernetes_object_goes_to_the_tenant_of_its_namespace_and_no_further(red, store):
    namespace = {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "n", "annotations": {"vneter.io/tenant": "blue"}},
    }  # fmt: skip
    refused(red.apply(namespace), store, store.snapshot())


def test_an_editor_does_not_change_the_tenant_itself_and_an_administrator_does(red, editor, store):
    changed = manifest("Tenant", "red", defaultIngress="drop")
    refused(editor.apply(changed), store, store.snapshot())
    refused(editor("PUT", "/v1/tenants/red", changed), store, store.snapshot())
    assert red.apply(changed).status_code == 200
    assert red("PUT", "/v1/tenants/red", changed).status_code == 200
    assert red.apply(delete=[{"kind": "Tenant", "name": "red"}]).status_code == 403


@pytest.mark.parametrize("body", [network("blue", "x"), endpoint("blue")])
def test_a_body_does_not_say_another_tenant_than_the_path(red, store, body):
    before = store.snapshot()
    kind = {"Network": "networks", "Endpoint": "endpoints"}[body["kind"]]
    answer = red("POST", f"/v1/tenants/red/{kind}", body)
    assert answer.status_code in {403, 422}
    assert store.snapshot() is before


def test_a_patch_does_not_move_an_object_to_another_tenant(red, store):
    before = store.snapshot()
    for patch, media in (
        ({"metadata": {"tenant": "blue"}}, "application/merge-patch+json"),
        ([{"op": "replace", "path": "/metadata/tenant", "value": "blue"}],
         "application/json-patch+json"),
    ):  # fmt: skip
        answer = red._client.open(
            "/v1/tenants/red/networks/web", method="PATCH", data=json.dumps(patch),
            headers=red._headers, content_type=media,
        )  # fmt: skip
        assert answer.status_code in {403, 422}, answer.json
        assert store.snapshot() is before


def test_no_endpoint_binds_by_what_is_another_tenants_to_use(red, root, app, store):
    """Ports have iface-ids before there are endpoints: who claims one first has the workload."""
    claim = endpoint("red", "x")
    claim["spec"]["interfaceId"] = "blue/db"
    merge = {"Content-Type": "application/merge-patch+json"}
    patch = {"spec": {"interfaceId": "blue/db"}}
    for ask in (
        lambda: red.apply(claim),
        lambda: red.apply(claim, dryRun=True),
        lambda: red("POST", "/v1/tenants/red/endpoints", claim),
        lambda: red("PUT", "/v1/tenants/red/endpoints/x", claim),
        lambda: red("PATCH", "/v1/tenants/red/endpoints/a", patch, **merge),
    ):
        refused(ask(), store, store.snapshot())
    roles = (grant_of("viewer"), grant_of("editor", ["red"]))  # reads all, writes in one
    refused(Asker(app, store, "both", *roles).apply(claim), store, store.snapshot())
    before = store.snapshot().revision
    assert root.apply(claim).status_code == 200  # who runs the whole fleet knows what it is for
    claim["metadata"]["labels"] = {"a": "b"}
    assert red.apply(claim).status_code == 200  # what it is by now may stay
    claim["spec"]["interfaceId"] = "red/y"
    assert red.apply(claim).status_code == 200
    refused(red("POST", f"/v1/revisions/{before + 2}/rollback", {}), store, store.snapshot())
    claim["spec"]["interfaceId"] = "4c2f3f86-0d4e"
    assert red.apply(claim).status_code == 200


def test_no_network_of_a_tenant_learns_unless_somebody_let_it(red, root, store):
    """It takes in whoever speaks by a port that is nobody's, wherever that is."""
    learns = network("red", vni=100, learning=True)
    refused(red.apply(learns), store, store.snapshot())
    patch = {"Content-Type": "application/merge-patch+json"}
    where = "/v1/tenants/red/networks/web"
    refused(red("PATCH", where, {"spec": {"learning": True}}, **patch), store, store.snapshot())
    assert root.apply(learns).status_code == 200
    assert red.apply(learns | {"spec": learns["spec"] | {"mtu": 1300}}).status_code == 200
    assert red.apply(network("red", vni=100)).status_code == 200


@pytest.mark.parametrize(
    "near", ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1"]
)
def test_the_controllers_own_machine_is_nobodys_dns_server(red, store, near):
    before = store.snapshot()
    answer = red.apply(network("red", vni=100, dns={"upstreams": ["192.0.2.53", near]}))
    assert (answer.status_code, store.snapshot()) == (422, before)


def test_a_key_of_another_is_a_key_of_ones_own(red, root, store):
    key = {"Idempotency-Key": "k" * 8}
    asked = {"objects": [network("red", mtu=1290)]}
    first = root("POST", "/v1/apply", asked, **key)
    again = red("POST", "/v1/apply", asked, **key)
    assert first.json["updated"]
    assert again.status_code == 200
    assert "Idempotency-Replayed" not in again.headers


def test_few_verbs_do_what_they_say_and_no_more(root, app, store):
    only = {
        verb: Asker(app, store, verb, grant_of("admin", ["red"], [verb]))
        for verb in ("create", "update", "delete", "get")
    }
    before = store.snapshot()
    refused(only["create"].apply(delete=[{"kind": "Endpoint", "tenant": "red", "name": "a"}]),
            store, before)  # fmt: skip
    assert only["create"].apply(network("red", mtu=1290)).status_code == 409
    assert only["update"].apply(endpoint("red", "c")).status_code == 404
    refused(only["get"].apply(endpoint("red", "c")), store, before)
    made = only["create"]("POST", "/v1/tenants/red/endpoints", endpoint("red", "c"))
    assert (made.status_code, made.json["metadata"]["name"]) == (201, "c")
    assert only["create"]("GET", "/v1/tenants/red/endpoints/c").status_code == 403
    assert only["create"]("GET", "/v1/snapshot").status_code == 403
    assert only["update"].apply(network("red", mtu=1290)).status_code == 200
    assert only["delete"].apply(
        delete=[{"kind": "Endpoint", "tenant": "red", "name": "c"}]
    ).status_code == 200  # fmt: skip
