# SPDX-License-Identifier: Apache-2.0
"""The REST server's promises, over the in-memory store."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import StoreUnavailable, VneterError
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.openapi import document
from vneter_sdn.northbound.rest.app import create_app

_WEB = "/v1/tenants/red/networks/web"


@pytest.fixture
def applied(rest, red):
    answer = rest.post("/v1/apply", json={"objects": red, "message": "first"})
    assert answer.status_code == 200
    return answer.json


def _report(store, key, status="True", reason="Programmed", **fields):
    conditions = (Condition("Ready", status, reason, "told"),)
    store.report([Status(key, conditions=conditions, **fields)])


def test_apply_says_what_it_did(rest, applied, red):
    assert applied["revision"] == 1
    assert applied["created"][1] == {"kind": "Network", "tenant": "red", "name": "web"}
    again = rest.post("/v1/apply", json={"objects": red}).json
    assert again["revision"] == 1
    assert len(again["unchanged"]) == 4
    red[1]["spec"]["mtu"] = 1300
    changed = rest.post("/v1/apply", json={"objects": red}).json
    assert (changed["revision"], changed["updated"]) == (2, [applied["created"][1]])


def test_a_dry_run_changes_nothing(rest, store, red):
    answer = rest.post("/v1/apply", json={"objects": red, "dryRun": True})
    assert len(answer.json["created"]) == 4
    assert (store.snapshot().revision, store.snapshot().objects) == (0, {})


def test_objects_come_and_go_in_one_transaction(rest, store, applied, red):
    gone = [one for one in applied["created"] if one["kind"] == "Endpoint"]
    tenant = {**red[0], "metadata": {"name": "blue"}}
    answer = rest.post("/v1/apply", json={"objects": [tenant], "delete": gone}).json
    assert (len(answer["created"]), answer["deleted"], answer["revision"]) == (1, gone, 2)
    missing = [{"kind": "Tenant", "name": "green"}]
    refused = rest.post(
        "/v1/apply", json={"objects": [{**tenant, "spec": {"description": "x"}}], "delete": missing}
    )
    assert refused.status_code == 404
    assert store.snapshot().revision == 2


def test_an_object_is_created_once(rest, red):
    created = rest.post("/v1/tenants", json=red[0])
    assert created.status_code == 201
    assert created.headers["Location"] == "/v1/tenants/red"
    assert created.json["metadata"]["labels"] == {"tier": "gold"}
    assert created.json["metadata"]["uid"]
    assert rest.get(created.headers["Location"]).json == created.json
    refused = rest.post("/v1/tenants", json=red[0])
    assert refused.status_code in {409, 422}
    assert rest.get("/v1/revisions").json["items"][0]["number"] == 1


def test_put_creates_then_replaces(rest, applied):
    body = {"spec": {"prefixes": ["10.1.0.0/24"]}}
    created = rest.put("/v1/tenants/red/networks/db", json=body)
    assert (created.status_code, created.json["metadata"]["name"]) == (201, "db")
    assert created.headers["Location"] == "/v1/tenants/red/networks/db"
    replaced = rest.put("/v1/tenants/red/networks/db", json={"spec": {**body["spec"], "mtu": 1300}})
    assert (replaced.status_code, replaced.json["spec"]["mtu"]) == (200, 1300)


def test_a_tenant_that_is_null_is_the_paths(rest, applied):
    body = {"metadata": {"name": "db", "tenant": None}, "spec": {"prefixes": ["10.1.0.0/24"]}}
    for answer in (
        rest.post("/v1/tenants/red/networks", json=body),
        rest.put("/v1/tenants/red/networks/db", json=body),
    ):
        assert answer.status_code in {200, 201}
        assert answer.json["metadata"]["tenant"] == "red"


def test_a_stale_revision_is_a_conflict(rest, applied):
    body = {"metadata": {"revision": 99}, "spec": {"prefixes": ["10.0.0.0/24"]}}
    refused = rest.put(_WEB, json=body)
    assert refused.status_code == 409
    assert refused.json["type"] == "urn:vneter:problem:conflict"


def test_what_was_read_can_be_written_back(rest, applied):
    read = rest.get(_WEB).json
    written = rest.put(_WEB, json=read)
    assert (written.status_code, written.json) == (200, read)
    assert rest.get("/v1/status").json["revision"] == 1


def test_delete(rest, applied):
    used = rest.delete(_WEB)
    assert (used.status_code, used.json["errors"][0]["reason"]) == (422, "InUse")
    deleted = rest.delete("/v1/tenants/red/endpoints/a")
    assert deleted.json["deleted"] == [{"kind": "Endpoint", "tenant": "red", "name": "a"}]
    assert rest.get("/v1/tenants/red/endpoints/a").status_code == 404
    assert rest.delete("/v1/tenants/red/endpoints/a").status_code == 404


def test_lists_are_of_a_tenant_or_of_all(rest, applied):
    blue = [
        {"kind": "Tenant", "metadata": {"name": "blue"}},
        {"kind": "Network", "metadata": {"name": "web", "tenant": "blue"}},
    ]
    blue[0] |= {"apiVersion": "vneter.io/v1", "spec": {}}
    blue[1] |= {"apiVersion": "vneter.io/v1", "spec": {"prefixes": ["10.0.0.0/24"]}}
    rest.post("/v1/apply", json={"objects": blue})

    def names(path):
        body = rest.get(path).json
        return body["kind"], [one["metadata"].get("tenant") for one in body["items"]]

    assert names("/v1/networks") == ("NetworkList", ["blue", "red"])
    assert names("/v1/tenants/red/networks") == ("NetworkList", ["red"])
    assert names("/v1/tenants/nobody/networks") == ("NetworkList", [])
    assert names("/v1/tenants")[0] == "TenantList"


@pytest.mark.parametrize(
    ("selector", "names"), [("app=x", "a"), ("!app", "b"), ("app in (x,y)", "a"), ("", "ab")]
)
def test_a_selector_selects(rest, applied, selector, names):
    found = rest.get("/v1/endpoints", query_string={"labelSelector": selector}).json["items"]
    assert [one["metadata"]["name"] for one in found] == list(names)


def test_the_author_is_kept(rest, red):
    rest.post("/v1/apply", json={"objects": red[:1], "message": "why"})
    rest.post("/v1/apply", json={"objects": red[1:2]}, headers={"X-Vneter-Author": "ada"})
    newest, oldest = rest.get("/v1/revisions").json["items"]
    assert (oldest["author"], oldest["message"]) == ("anonymous@loopback", "why")
    assert newest["author"] == "ada"
    assert newest["changes"] == ["created Network red/web"]
    assert [one["number"] for one in rest.get("/v1/revisions?before=2").json["items"]] == [1]


def test_status_counts_and_names_what_is_not_ready(rest, store, applied):
    _report(store, Key("Tenant", "", "red"), observed_revision=1)
    _report(store, Key("Network", "red", "web"), "False", "HostDown", observed_revision=1)
    body = rest.get("/v1/status").json
    assert body["kinds"]["Tenant"] == {"total": 1, "ready": 1, "notReady": 0}
    assert body["kinds"]["Network"] == {"total": 1, "ready": 0, "notReady": 1}
    (told,) = (one for one in body["notReady"] if one["object"]["kind"] == "Network")
    assert told.pop("since")
    assert told == {"object": {"kind": "Network", "tenant": "red", "name": "web"},
                    "status": "False", "reason": "HostDown", "message": "told"}  # fmt: skip
    assert (body["revision"], body["lastChange"]["message"]) == (1, "first")


def test_waiting_ends_when_the_condition_is_met(rest, store, applied):
    key = Key("Network", "red", "web")
    early = rest.get(_WEB, query_string={"waitFor": "Ready", "timeout": "0"})
    assert early.json["status"]["conditions"][0]["status"] == "Unknown"
    _report(store, key, observed_revision=1)
    late = rest.get(_WEB, query_string={"waitFor": "Ready", "timeout": "20"})
    assert late.json["status"]["conditions"][0]["status"] == "True"


def test_unknown_paths_and_methods_are_problems(rest):
    missing = rest.get("/v1/nothing")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    refused = rest.patch("/v1/tenants")
    assert refused.status_code == 405
    assert {"GET", "POST"} <= set(refused.headers["Allow"].split(", "))
    assert refused.json["instance"] == "/v1/tenants"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8181", "192.0.2.1", "[2001::1]:1"])
def test_a_rebound_name_is_refused(rest, store, red, host):
    refused = rest.post("/v1/apply", json={"objects": red}, headers={"Host": host})
    assert refused.status_code == 403
    assert store.snapshot().revision == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8181", "[::1]:8181"])
def test_loopback_names_are_served(rest, host):
    assert rest.get("/healthz", headers={"Host": host}).status_code == 200


def test_health(rest, store):
    assert rest.get("/healthz").json["status"] == "ok"
    assert rest.get("/readyz").json == {"status": "ok", "revision": 0, "core": None}
    silent = create_app(store, Settings(), core_alive=lambda: False).test_client()
    assert silent.get("/readyz").status_code == 503


def test_a_database_out_of_reach_is_said_so(rest, store):
    store.close()
    for path in ("/v1/tenants", "/v1/status", "/readyz", "/v1/revisions"):
        answer = rest.get(path)
        assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert rest.get("/healthz").status_code == 200
    assert rest.get("/metrics").status_code == 200


@pytest.mark.parametrize("error", [RuntimeError("secret"), VneterError("secret")])
def test_a_fault_of_ours_is_logged_once_and_told_without_its_trace(
    rest, store, monkeypatch, caplog, error
):
    def fail(*_args, **_named):
        raise error

    monkeypatch.setattr(store, "snapshot", fail)
    with caplog.at_level(logging.ERROR):
        answer = rest.get("/v1/tenants")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert answer.json["instance"] in record.getMessage()
    assert record.exc_info[1] is error


def test_store_unavailable_is_no_fault_of_ours(rest, store, monkeypatch, caplog):
    def fail():
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(store, "snapshot", fail)
    assert rest.get("/v1/tenants").status_code == 503
    assert not caplog.records


def test_metrics_count_by_route(rest, applied):
    rest.get(_WEB)
    rest.get("/v1/nothing/here")
    text = rest.get("/metrics").text
    route = "/v1/tenants/<tenant>/networks/<name>"
    assert f'requests_total{{code="200",method="GET",route="{route}"}} 1.0' in text
    assert 'requests_total{code="404",method="GET",route="unmatched"} 1.0' in text
    rest.patch(_WEB, json={})
    rest.open("/v1/nothing/here", method="BREW")
    text = rest.get("/metrics").text
    assert f'requests_total{{code="415",method="PATCH",route="{route}"}} 1.0' in text
    assert 'requests_total{code="404",method="OTHER",route="unmatched"} 1.0' in text
    assert "vneter_store_revision 1.0" in text


def test_answers_are_not_kept_by_caches(rest):
    assert rest.get("/v1/tenants").headers["Cache-Control"] == "no-store"


def test_one_object_twice_in_a_batch_is_refused(rest, red):
    refused = rest.post("/v1/apply", json={"objects": [red[0], red[0]]})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["reason"] == "Repeated"


def test_what_is_wrong_with_a_change_that_was_done_is_told_whatever_the_route(rest, store, red):
    plain = store.apply
    store.apply = lambda *given, **named: replace(
        plain(*given, **named), notes=('Assertion a: "no"\nway > on',), proven=0.25
    )
    done = rest.post("/v1/apply", json={"objects": red}).json
    assert (done["notes"], done["proven"]) == (['Assertion a: "no"\nway > on'], 0.25)
    red[1]["spec"]["mtu"] = 1300
    put = rest.put(_WEB, json=red[1])
    assert put.headers["Warning"] == '299 vneter "Assertion a: \\"no\\" way > on"'
    assert put.headers["Server-Timing"] == "proof;dur=250.0"
    assert rest.delete("/v1/tenants/red/endpoints/a").json["proven"] == 0.25


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_paths_without_parameters_take_none(rest, path):
    assert rest.get(path).status_code == 200
    answer = rest.get(f"{path}?x=1")
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["reason"]) == (400, "UnknownParameter")


def test_a_parameter_that_a_path_needs(rest):
    answer = rest.delete("/v1/tokens?dryRun=true")
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["reason"], error["field"]) == (400, "Missing", "name")


def test_every_header_of_a_new_credential_is_described(rest):
    made = rest.post("/v1/tokens", json={"name": "ci", "role": "viewer"})
    told = document()["paths"]["/v1/tokens"]["post"]["responses"]["201"]["headers"]
    assert made.status_code == 201
    assert set(made.headers.keys()) <= told.keys() | {"Content-Type", "Content-Length"}


def test_options_say_what_a_path_takes(rest):
    answer = rest.options("/v1/tenants/red")
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert set(answer.allow) == {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert "application/merge-patch+json" in answer.headers["Accept-Patch"]
    assert "Accept-Patch" not in rest.options("/v1/tenants").headers


def test_a_path_is_written_in_one_way(rest):
    assert rest.get("/", environ_overrides={"PATH_INFO": "//healthz"}).status_code == 404
    assert rest.get("/healthz/").status_code == 404


def test_the_instance_is_a_uri_reference(rest):
    answer = rest.get("/v1/tenants/%C3%A9%20%00%22")
    assert answer.json["instance"] == "/v1/tenants/%C3%A9%20%00%22"


@pytest.mark.parametrize(
    ("query", "headers", "subject", "field"),
    [
        ("?dryRun=x", {}, "query", "dryRun"),
        ("", {"If-Match": "x"}, "header", "If-Match"),
        ("", {"Idempotency-Key": "é"}, "header", "Idempotency-Key"),
        ("", {"X-Vneter-Author": "a" * 300}, "header", "X-Vneter-Author"),
    ],
)
def test_what_stands_not_in_the_body_has_no_pointer_into_it(rest, query, headers, subject, field):
    answer = rest.put(f"/v1/tenants/red{query}", json={"spec": {}}, headers=headers)
    (error,) = answer.json["errors"]
    assert answer.status_code == 400
    assert (error["object"], error["field"], error["pointer"]) == (subject, field, "")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/netwroks", "/v1/networks"),
        ("/v1/network/x", "/v1/networks"),
        ("/v1/tenants/red/endpoint", "/v1/tenants/red/endpoints"),
        ("/v1/networks/", "/v1/networks"),
        ("/v1/zzz", ""),
        ("/healthy", ""),
        ("/", ""),
        ("/docs/x", ""),
    ],
)
def test_a_path_that_was_meant_perhaps_is_told(rest, path, meant):
    answer = rest.get(path)
    assert answer.status_code == 404
    detail = answer.json["detail"]
    assert detail.endswith(f"; did you mean {meant}?") if meant else "mean" not in detail


def test_what_is_packed_is_told_to_come_unpacked(rest):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = rest.post("/v1/apply", data=b"x", headers=headers)
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_an_author_may_be_written_in_utf_8(rest, red, encoding):
    named = "Zoë".encode(encoding).decode("latin-1")
    headers = {"X-Vneter-Author": named}
    assert rest.post("/v1/apply", json={"objects": red}, headers=headers).status_code == 200
    assert rest.get("/v1/revisions").json["items"][0]["author"] == "Zoë"
