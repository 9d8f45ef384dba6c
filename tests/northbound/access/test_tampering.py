# SPDX-License-Identifier: Apache-2.0
"""Two tenants, and one that tries by every way to see or change what is the other one's."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import Forbidden, IntentError, Problem, Throttled
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.access import guarded, tokens
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.guarded import GuardedStore
from vneter_sdn.northbound.access.identity import LOCAL, Identity, grant_of, grants_text
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

VNI = 777


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"tenant": tenant} if tenant else {})}
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def network(tenant: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    return manifest("Network", name, tenant, **({"prefixes": ["10.0.0.0/24"]} | spec))


def endpoint(tenant: str, name: str = "a") -> dict[str, Any]:
    return manifest("Endpoint", name, tenant, network="web")


class Asker:
    """A client with a token."""

    def __init__(self, app: Any, store: MemoryStore, name: str, *grants: Any) -> None:
        token = tokens.fresh(name)
        digest = tokens.digest(*(tokens.split(token) or ("", "")))
        store.issue(Credential(name, digest, grants_text(grants)))
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask."""
        given = {} if body is None else {"json": body}
        return self._client.open(path, method=method, headers=self._headers | headers, **given)

    def apply(self, *objects: Any, delete: Any = (), **more: Any) -> Any:
        """Apply a batch."""
        asked = {"objects": list(objects), "delete": list(delete)} | more
        return self("POST", "/v1/apply", asked)


@pytest.fixture
def app(store):
    settings = Settings(api_read_rate=0, api_write_rate=0)
    return create_app(store, settings, doorkeeper=Doorkeeper(store))


@pytest.fixture
def root(app, store):
    """Made the world: two tenants that look alike, hosts, and a link that was found."""
    asker = Asker(app, store, "root", grant_of("admin"))
    for tenant, vni in (("red", 100), ("blue", VNI)):
        done = asker.apply(
            manifest("Tenant", tenant), network(tenant, vni=vni), endpoint(tenant),
            message=f"secret of {tenant}",
        )  # fmt: skip
        assert done.status_code == 200, done.json
    hosts = (
        manifest("Host", f"h{n}", ovsdb=f"unix:/run/h{n}.sock", tunnelAddresses=[f"192.0.2.{n}"])
        for n in (1, 2)
    )
    assert asker.apply(*hosts).status_code == 200
    seen = {"edge": "h1>h2", "source": "h1", "target": "h2", "medium": "tunnel", "state": "up"}
    store.report(
        [
            Status(Key("Link", "", "h1-h2"), details=seen),
            Status(Key("Endpoint", "blue", "a"), conditions=(Condition("Ready", "True", "x"),)),
        ]
    )
    return asker


@pytest.fixture
def red(root, app, store):
    """An administrator of one tenant."""
    return Asker(app, store, "red", grant_of("admin", ["red"]))


@pytest.fixture
def editor(root, app, store):
    """An editor of it."""
    return Asker(app, store, "editor", grant_of("editor", ["red"]))


def refused(answer: Any, store: MemoryStore, before: Any) -> None:
    """It is refused, tells nothing, and nothing happened."""
    assert answer.status_code == 403, answer.get_data()
    assert answer.mimetype == "application/problem+json"
    for secret in (str(VNI), "secret of blue"):
        assert secret not in answer.get_data(as_text=True)
    assert store.snapshot() is before


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


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/tenants/blue/networks/web", None),
        ("GET", "/v1/tenants/blue/networks/none", None),
        ("GET", "/v1/tenants/blue/networks/web?waitFor=Ready&timeout=0", None),
        ("HEAD", "/v1/tenants/blue/networks/web", None),
        ("GET", "/v1/tenants/blue/networks", None),
        ("GET", "/v1/tenants/blue", None),
        ("GET", "/v1/tenants/none", None),
        ("GET", "/v1/hosts", None),
        ("GET", "/v1/hosts/h1", None),
        ("GET", "/v1/links/h1-h2", None),
        ("GET", "/v1/links", None),
        ("GET", "/v1/topology", None),
        ("GET", "/v1/audit", None),
        ("GET", "/metrics", None),
        ("GET", "/v1/tenants/blue/watch?timeout=0", None),
        ("POST", "/v1/tenants/blue/networks", network("blue", "x")),
        ("PUT", "/v1/tenants/blue/networks/web", network("blue")),
        ("DELETE", "/v1/tenants/blue/networks/web", None),
        ("POST", "/v1/inject", {"tenant": "blue", "source": "a", "target": "a",
                                "protocol": "icmp"}),
        ("POST", "/v1/inject", {"tenant": "red", "source": "a", "target": "a",
                                "targetTenant": "blue", "protocol": "icmp"}),
    ],
)  # fmt: skip
def test_by_no_path_there_is_anything_of_others(red, store, method, path, body):
    before = store.snapshot()
    answer = red(method, path, body)
    if method == "HEAD":
        assert answer.status_code == 403
    else:
        refused(answer, store, before)


def test_what_is_there_and_what_is_not_are_refused_alike(red):
    there = red("GET", "/v1/tenants/blue/networks/web").json
    missing = red("GET", "/v1/tenants/blue/networks/nix").json
    assert there["detail"].replace("/web", "/nix") == missing["detail"]


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


def test_lists_of_everything_hold_what_is_ones_own(red):
    def names(path):
        return [
            (item["metadata"].get("tenant"), item["metadata"]["name"])
            for item in red("GET", path).json["items"]
        ]

    assert names("/v1/tenants") == [(None, "red")]
    assert names("/v1/networks") == [("red", "web")]
    assert names("/v1/endpoints?labelSelector=!none") == [("red", "a")]
    assert names("/v1/networks?limit=1") == [("red", "web")]
    assert names("/v1/networks?fieldSelector=metadata.tenant%3Dblue") == []
    assert names("/v1/tiers") == names("/v1/tiers?limit=100")


def test_pages_of_another_are_not_gone_on_with(red, root):
    for number in range(3):
        assert root.apply(network("blue", f"n{number}", prefixes=[f"10.{number}.9.0/24"]))
    first = root("GET", "/v1/networks?limit=1").json
    token = first["metadata"]["continue"]
    rest = red("GET", f"/v1/networks?limit=9&continue={token}")
    assert rest.status_code in {200, 400, 403, 410}
    assert "blue" not in rest.get_data(as_text=True)


def test_the_whole_is_the_part_that_is_ones_own(red, root):
    found = red("GET", "/v1/snapshot").json
    text = json.dumps(found)
    assert "blue" not in text
    assert str(VNI) not in text
    assert {one["kind"] for one in found["objects"]} == {"Tenant", "Network", "Endpoint"}
    status = red("GET", "/v1/status").json
    assert (status["kinds"]["Network"]["total"], status["kinds"]["Host"]["total"]) == (1, 0)
    assert "blue" not in json.dumps(status)
    assert "blue" in json.dumps(root("GET", "/v1/status").json)


def test_a_watch_tells_of_ones_own(red, root, store):
    watched = red("GET", "/v1/watch?timeout=0").get_data(as_text=True)
    assert '"tenant":"red"' in watched
    assert "blue" not in watched
    assert "h1-h2" not in watched
    since = root("GET", "/v1/networks").json["metadata"]["position"]
    assert root.apply(network("blue", mtu=1300), network("red", mtu=1300)).status_code == 200
    store.report([Status(Key("Endpoint", "blue", "a"), details={"x": 1})])
    watched = red("GET", f"/v1/watch?timeout=0&since={since}").get_data(as_text=True)
    assert '"tenant":"red"' in watched
    assert "blue" not in watched
    assert "blue" in root("GET", f"/v1/watch?timeout=0&since={since}").get_data(as_text=True)


def test_history_is_of_ones_own(red, root):
    both = root.apply(network("red", mtu=1280), network("blue", mtu=1280), message="of both").json[
        "revision"
    ]
    found = red("GET", "/v1/revisions").json["items"]
    assert [line for one in found for line in one["changes"]] == [
        "updated Network red/web",
        "created Tenant red", "created Network red/web", "created Endpoint red/a",
    ] or all("blue" not in line for one in found for line in one["changes"])  # fmt: skip
    assert [one["message"] for one in found] == ["", "secret of red"]
    assert "blue" not in json.dumps(found)
    assert red("GET", "/v1/revisions?object=Network%20blue/web").json["items"] == []
    one = red("GET", f"/v1/revisions/{both}").json
    assert "blue" not in json.dumps(one)
    assert len(one["diff"]) == 1
    assert red("GET", "/v1/revisions/2").status_code == 404
    assert red("GET", "/v1/chains/revisions").status_code == 403


def test_a_status_looks_through_no_history(red, root, store, monkeypatch):
    """One row of the journal at most: anybody may ask for it a hundred times a second."""
    last = red("GET", "/v1/revisions?limit=1").json["items"][0]
    for mtu in range(1280, 1290):
        assert root.apply(network("blue", mtu=mtu)).status_code == 200
    reads: list[int] = []
    read = store.revision
    monkeypatch.setattr(store, "revision", lambda number: reads.append(number) or read(number))
    monkeypatch.setattr(store, "revisions", None)
    told = red("GET", "/v1/status").json
    assert (told["lastChange"], reads) == (last, [last["number"]])


def test_whether_it_is_ready_costs_strangers_one_row(root, app, store, monkeypatch):
    """Anybody on the network may ask that, and may see nothing: they would look through all."""
    asked: list[int] = []
    read = store.revisions
    for mtu in range(1280, 1290):
        assert root.apply(network("blue", mtu=mtu)).status_code == 200
    monkeypatch.setattr(
        store, "revisions", lambda limit, *more, **rest: asked.append(limit) or read(limit)
    )
    clock = [100.0]
    monkeypatch.setattr(guarded, "monotonic", lambda: clock[0])
    stranger = app.test_client()
    for _ in range(3):
        assert stranger.get("/readyz").json["revision"] == store.snapshot().revision
    assert asked == [1]  # a second: this is not limited, for whoever watches must not be refused
    clock[0] += 1.5
    stranger.get("/readyz")
    assert asked == [1, 1]
    root("GET", "/readyz")
    assert asked == [1, 1, 1]  # who is known gets what is so now


def test_few_look_through_the_history_at_once(root, store, monkeypatch):
    own = Identity("token:red", "token", (grant_of("viewer", ["red"]),))
    guard = GuardedStore(store, lambda: own)
    inside, proceed = threading.Semaphore(0), threading.Event()

    def slow(*_words, **_more):
        inside.release()
        assert proceed.wait(30)
        return ()

    monkeypatch.setattr(store, "revisions", slow)
    monkeypatch.setattr(guarded, "_PATIENCE", 0.01)
    threads = [threading.Thread(target=guard.revisions) for _ in range(guarded._SEARCHES)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=30)
    with pytest.raises(Throttled):
        guard.revisions()
    proceed.set()
    for thread in threads:
        thread.join(30)
    assert guard.revisions() == ()


def test_a_rollback_changes_what_is_ones_own_or_nothing(red, root, store):
    ours = store.snapshot().revision
    assert red.apply(network("red", mtu=1300)).status_code == 200
    assert red("POST", f"/v1/revisions/{ours}/rollback", {}).status_code == 200
    assert store.snapshot().objects[Key("Network", "red", "web")].spec.mtu != 1300
    assert root.apply(network("blue", mtu=1300)).status_code == 200
    refused(red("POST", f"/v1/revisions/{ours}/rollback", {}), store, store.snapshot())
    refused(red("POST", "/v1/revisions/0/rollback", {"dryRun": True}), store, store.snapshot())
    refused(red("POST", "/v1/revisions/0/rollback", {}), store, store.snapshot())
    for asked in ({}, {"dryRun": True}):
        told = red("POST", "/v1/revisions/0/rollback", asked).get_data(as_text=True)
        assert "delete Tenant red" in told
        assert not any(others in told for others in ("blue", "h1"))
    assert root("POST", f"/v1/revisions/{ours}/rollback", {}).status_code == 200


def test_a_revision_of_so_many_that_lines_are_left_out_tells_no_more(red, root):
    """What is ones own comes after the last line that the journal has."""
    many = [network("blue", f"secret{n}", prefixes=[f"10.{1 + n // 250}.{n % 250}.0/24"])
            for n in range(1000)]  # fmt: skip
    done = root.apply(*many, network("red", "late", prefixes=["10.9.0.0/24"]), message="of both")
    one = red("GET", f"/v1/revisions/{done.json['revision']}").json
    assert len(one["diff"]) == 1
    assert (one["changes"], one["message"], one["digest"]) == (["created Network red/late"], "", "")
    assert "secret" not in json.dumps(one)


def test_a_store_in_the_hands_of_a_tenant_gives_nothing_away(root, store):
    red = Identity("token:red", "token", (grant_of("admin", ["red"]),))
    kept = GuardedStore(store, lambda: red)
    with pytest.raises(Forbidden, match="Tenant red and what is not theirs") as refusal:
        kept.edits_back_to(0)
    assert "blue" not in str(refusal.value)
    with pytest.raises(Forbidden):
        kept.audited()
    for chain in ("audit", "revisions"):
        with pytest.raises(Forbidden):
            kept.verify(chain)
    seen = kept.snapshot()
    assert {key.tenant or key.name for key in seen.objects} == {"red"}
    assert kept.snapshot() is seen
    store.report([Status(Key("Endpoint", "blue", "a"), details={"x": 2})])
    later, delta = kept.wait(seen, 0)
    assert (delta.objects, delta.statuses) == (frozenset(), frozenset())
    assert later.statuses == seen.statuses
    assert kept.wait(later, 0) is None
    for hidden in ("sweep", "bind", "report", "colour", "issue", "revoke", "credentials", "close"):
        assert not hasattr(kept, hidden)


def test_a_refusal_does_not_name_what_is_in_the_way(red, root):
    answer = red.apply(network("red", "y", prefixes=["10.7.0.0/24"], vni=VNI))
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "blue" not in text
    assert "an object of another tenant" in text
    assert "blue" in root.apply(
        network("red", "y", prefixes=["10.7.0.0/24"], vni=VNI)
    ).get_data(as_text=True)  # fmt: skip


def test_what_a_proof_found_is_told_to_who_may_see_all_of_it(root, store, monkeypatch):
    """Its example has endpoints, hosts and flows of whomever it is about."""
    shown = "for example 10.7.0.9 of blue/a over h1 > h2"
    found = (
        Problem("change", "", "BreaksIsolation", shown),
        Problem("Assertion apart", "", "BreaksAssertion", shown),
    )
    write = store.apply

    def refuse(*_edits, **_more):
        raise IntentError(*found)

    def warn(*edits, **more):
        return replace(write(*edits, **more), notes=tuple(map(str, found)))

    own = Identity("token:red", "token", (grant_of("admin", ["red"]),))
    edit = Edit("apply", Key("Network", "red", "web"), network("red", mtu=1300))
    monkeypatch.setattr(store, "apply", refuse)
    with pytest.raises(IntentError) as refusal:
        GuardedStore(store, lambda: own).apply([edit], author="x")
    monkeypatch.setattr(store, "apply", warn)
    noted = GuardedStore(store, lambda: own).apply([edit], author="x").notes
    for told in (tuple(map(str, refusal.value.problems)), noted):
        text = "; ".join(told)
        assert len(told) == 2
        assert "who runs the controller can tell" in text
        assert not any(secret in text for secret in ("blue", "h1", "10.7", "apart"))
    assert shown in str(GuardedStore(store, lambda: LOCAL).apply([edit], author="x").notes)


def test_a_key_of_another_is_a_key_of_ones_own(red, root, store):
    key = {"Idempotency-Key": "k" * 8}
    asked = {"objects": [network("red", mtu=1290)]}
    first = root("POST", "/v1/apply", asked, **key)
    again = red("POST", "/v1/apply", asked, **key)
    assert first.json["updated"]
    assert again.status_code == 200
    assert "Idempotency-Replayed" not in again.headers


def test_credentials_are_given_out_of_ones_own(red, root, store, editor):
    def asked(role="viewer", *tenants, **more):
        return {"name": "new", "role": role, "tenants": list(tenants)} | more

    for body in (asked(), asked("viewer", "blue"), asked("viewer", "red", "blue"),
                 asked("admin", "*")):  # fmt: skip
        assert red("POST", "/v1/tokens", body).status_code == 403, body
    assert editor("POST", "/v1/tokens", asked("viewer", "red")).status_code == 403
    made = red("POST", "/v1/tokens", asked("admin", "red"))
    assert made.status_code == 201
    listed = [one["name"] for one in red("GET", "/v1/tokens").json["items"]]
    assert listed == ["editor", "new", "red"]
    assert "sha256" not in json.dumps(root("GET", "/v1/tokens").json)
    assert red("DELETE", "/v1/tokens?name=root").status_code == 404
    assert red("DELETE", "/v1/tokens?name=none").status_code == 404
    assert red("DELETE", "/v1/tokens?name=new").status_code == 200
    assert root("DELETE", "/v1/tokens?name=red").status_code == 200
    assert red("GET", "/v1/whoami").status_code == 401


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


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Vneter-Identity": "root"},
        {"Vneter.Identity": "root"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Vneter-Author": "token:root"},
        {"Host": "127.0.0.1"},
    ],
)
def test_headers_make_nobody_somebody_else(red, store, headers):
    refused(red("GET", "/v1/hosts", **headers), store, store.snapshot())


def test_the_journal_says_who_it_was_and_what_they_say_of_themselves(red, root, app, store):
    answer = red("PUT", "/v1/tenants/red/networks/web", network("red", mtu=1290),
                 **{"X-Vneter-Author": "token:root"})  # fmt: skip
    assert answer.status_code == 200
    assert store.revisions(1)[0].author == "token:red (token:root)"


def test_a_local_user_does_not_pass_for_a_credential(store):
    client = create_app(store, Settings()).test_client()
    for author in ("token:root", "certificate:CN=ada"):
        answer = client.post("/v1/apply", json={"objects": []}, headers={"X-Vneter-Author": author})
        assert answer.status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.org"])
def test_pages_of_other_origins_get_nothing_from_the_administrators_door(store, origin):
    client = create_app(store, Settings()).test_client()
    assert client.get("/v1/status", headers={"Origin": origin}).status_code == 403
    for ours in ("http://localhost:8181", "http://127.0.0.1:8181", "http://[::1]:8181"):
        assert client.get("/v1/status", headers={"Origin": ours}).status_code == 200
