# SPDX-License-Identifier: Apache-2.0
"""Writes to one object: preconditions, patches, keys, dry runs, and editors at the same time."""

from __future__ import annotations

import json
import threading

import pytest

from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH
from vneter_sdn.store.port import Edit

_WEB = "/v1/tenants/red/networks/web"
_SPEC = {"prefixes": ["10.0.0.0/24"]}


@pytest.fixture(autouse=True)
def applied(rest, red):
    assert rest.post("/v1/apply", json={"objects": red}).status_code == 200


def _tag(rest, path=_WEB):
    return rest.get(path).headers["ETag"]


def _refused(answer, status):
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    return answer.json


def _patch(rest, patch, media=MERGE_PATCH, path=_WEB, **more):
    headers = {"Content-Type": media, **more.pop("headers", {})}
    return rest.patch(path, data=json.dumps(patch), headers=headers, **more)


# entity tags


def test_what_the_client_has_is_not_sent_again(rest, store):
    tag = _tag(rest)
    same = rest.get(_WEB, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    assert rest.get(_WEB, headers={"If-None-Match": "*"}).status_code == 304
    store.report([Status(Key("Network", "red", "web"), 1, (Condition("Ready", "True", "Done"),))])
    changed = rest.get(_WEB, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["ETag"] != tag) == (200, True)


def test_a_read_may_have_a_precondition(rest):
    assert rest.get(_WEB, headers={"If-Match": _tag(rest)}).status_code == 200
    _refused(rest.get(_WEB, headers={"If-Match": '"1-0"'}), 412)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_write_of_what_moved_on_is_refused(rest, store, method):
    path = "/v1/tenants/red/endpoints/a"
    old = _tag(rest, path)
    body = {"metadata": {"labels": {"a": "b"}}, "spec": {"network": "web"}}
    done = rest.put(path, json=body, headers={"If-Match": old})
    assert (done.status_code, done.headers["ETag"]) == (200, _tag(rest, path))
    body["metadata"]["labels"] = {"lost": "update"}
    media = MERGE_PATCH if method == "patch" else "application/json"
    headers = {"If-Match": old, "Content-Type": media}
    refused = _refused(getattr(rest, method)(path, data=json.dumps(body), headers=headers), 412)
    assert refused["type"] == "urn:vneter:problem:precondition-failed"
    assert rest.get(path).json["metadata"]["labels"] == {"a": "b"}
    headers["If-Match"] = f'"0-0", {_tag(rest, path)}'
    again = getattr(rest, method)(path, data=json.dumps(body), headers=headers)
    assert again.status_code == 200


def test_a_new_status_is_no_conflict(rest, store):
    tag = _tag(rest)
    store.report([Status(Key("Network", "red", "web"), 1, (Condition("Ready", "True", "Done"),))])
    written = rest.put(_WEB, json={"spec": {**_SPEC, "mtu": 1300}}, headers={"If-Match": tag})
    assert written.status_code == 200


def test_it_must_exist_or_may_not(rest):
    new = "/v1/tenants/red/networks/db"
    body = {"spec": {"prefixes": ["10.9.0.0/24"]}}
    _refused(rest.put(new, json=body, headers={"If-Match": "*"}), 412)
    _refused(rest.put(new, json=body, headers={"If-Match": _tag(rest)}), 412)
    assert rest.put(new, json=body, headers={"If-None-Match": "*"}).status_code == 201
    _refused(rest.put(new, json=body, headers={"If-None-Match": "*"}), 412)
    assert rest.put(new, json=body, headers={"If-Match": "*"}).status_code == 200
    _refused(rest.delete(new, headers={"If-None-Match": "*"}), 412)
    assert rest.delete(new, headers={"If-Match": "*"}).status_code == 200
    _refused(rest.delete(new, headers={"If-Match": "*"}), 404)
    _refused(_patch(rest, {}, path=new, headers={"If-Match": '"1"'}), 404)


@pytest.mark.parametrize("path", ["/v1/apply", "/v1/tenants", "/v1/revisions/0/rollback"])
def test_a_precondition_that_would_not_count_is_refused(rest, store, red, path):
    before = store.snapshot()
    body = red[0] | {"metadata": {"name": "new"}} if path == "/v1/tenants" else {}
    for tag in ('"1-ab"', "*"):
        answer = rest.post(path, json=body, headers={"If-Match": tag})
        assert answer.status_code == 412
        assert "metadata.revision" in answer.json["detail"]
    assert store.snapshot() is before


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/apply"),
        ("POST", "/v1/revisions/0/rollback"),
        ("POST", "/v1/tokens"),
        ("DELETE", "/v1/tokens?name=ci"),
        ("POST", "/v1/inject"),
    ],
)
def test_no_path_leaves_a_precondition_aside(rest, store, method, path, name):
    body = {"name": "ci"} if path == "/v1/tokens" else {}
    answer = rest.open(path, method=method, json=body, headers={name: "*"})
    _refused(answer, 412)
    assert name in answer.json["detail"]
    assert not store.credentials()


def test_to_create_says_itself_that_it_may_not_exist(rest, red):
    new = red[0] | {"metadata": {"name": "new"}}
    for status in (201, 412):
        answer = rest.post("/v1/tenants", json=new, headers={"If-None-Match": "*"})
        assert answer.status_code == status


def test_a_weak_tag_never_matches(rest):
    _refused(rest.put(_WEB, json={"spec": _SPEC}, headers={"If-Match": "W/" + _tag(rest)}), 412)
    _refused(rest.put(_WEB, json={"spec": _SPEC}, headers={"If-Match": '"theirs"'}), 412)


@pytest.mark.parametrize("tag", ["", "12", '"12', "'12'", '"12";', '"1",', '"1" "2"', "*,", '"ÿ'])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_what_is_no_tag(rest, name, tag):
    for answer in (
        rest.get(_WEB, headers={name: tag}),
        rest.put(_WEB, json={"spec": _SPEC}, headers={name: tag}),
    ):
        (error,) = _refused(answer, 400)["errors"]
        assert (error["field"], error["reason"]) == (name, "InvalidHeader")


def test_a_stale_revision_in_the_body_is_still_a_conflict(rest):
    body = {"metadata": {"revision": 99}, "spec": _SPEC}
    _refused(rest.put(_WEB, json=body), 409)
    _refused(_patch(rest, {"metadata": {"revision": 99}}), 409)


# patches


def test_a_merge_patch(rest):
    done = _patch(rest, {"metadata": {"labels": {"a": "b"}}, "spec": {"mtu": 1300}})
    assert (done.status_code, done.json["spec"]["mtu"]) == (200, 1300)
    assert done.json["spec"]["prefixes"] == ["10.0.0.0/24"]
    assert done.headers["ETag"] == _tag(rest)
    done = _patch(rest, {"metadata": {"labels": None}, "spec": {"mtu": None}})
    assert "labels" not in done.json["metadata"]
    assert done.json["spec"]["mtu"] != 1300
    assert rest.get("/v1/status").json["revision"] == 3
    assert _patch(rest, {}).json["metadata"]["revision"] == 3


def test_a_json_patch(rest):
    operations = [
        {"op": "test", "path": "/spec/prefixes/0", "value": "10.0.0.0/24"},
        {"op": "add", "path": "/spec/prefixes/-", "value": "fd00::/64"},
        {"op": "add", "path": "/metadata/labels", "value": {"a/b": "x"}},
        {"op": "copy", "from": "/metadata/labels/a~1b", "path": "/metadata/labels/c"},
    ]
    done = _patch(rest, operations, JSON_PATCH)
    assert done.status_code == 200, done.text
    assert done.json["spec"]["prefixes"] == ["10.0.0.0/24", "fd00::/64"]
    assert done.json["metadata"]["labels"] == {"a/b": "x", "c": "x"}


def test_a_test_that_fails_is_a_conflict(rest, store):
    operations = [
        {"op": "add", "path": "/spec/mtu", "value": 1300},
        {"op": "test", "path": "/spec/prefixes/0", "value": "10.0.0.0/8"},
    ]
    (error,) = _refused(_patch(rest, operations, JSON_PATCH), 409)["errors"]
    assert (error["reason"], error["pointer"]) == ("TestFailed", "/1/value")
    assert store.snapshot().revision == 1


@pytest.mark.parametrize(
    ("patch", "reason", "pointer"),
    [
        ({}, "WrongType", ""),
        ([{"op": "remove", "path": "/spec/nothing"}], "NoSuchPath", "/0/path"),
        ([{"op": "add", "path": "/spec/nothing", "value": 1}], "UnknownField", "/0/value"),
        (
            [
                {"op": "add", "path": "/metadata/labels", "value": {}},
                {"op": "add", "path": "/spec/prefixes/-", "value": "10.0.0.0/25"},
            ],
            "TooManyPrefixes",
            "/1/value",
        ),
        ([{"op": "replace", "path": "/spec", "value": {"mtu": "x"}}], "WrongType", "/0/value/mtu"),
        ([{"op": "remove", "path": "/spec/prefixes"}], "Missing", "/0/path"),
        ([{"op": "replace", "path": "", "value": []}], "WrongType", "/0/value"),
        ([{"op": "replace", "path": "/kind", "value": "Host"}], "PathMismatch", "/0/value"),
        ([{"op": "replace", "path": "/metadata/name", "value": "y"}], "PathMismatch", "/0/value"),
    ],
)
def test_what_is_wrong_with_a_json_patch_is_pointed_at(rest, store, patch, reason, pointer):
    errors = _refused(_patch(rest, patch, JSON_PATCH), 422)["errors"]
    assert (reason, pointer) in [(one["reason"], one["pointer"]) for one in errors]
    assert store.snapshot().revision == 1


@pytest.mark.parametrize(
    ("patch", "reason", "pointer"),
    [
        ([], "WrongType", ""),
        ({"spec": {"prefixes": ["10.0.0.0/24", "10.0.0.0/25"]}}, "TooManyPrefixes",
         "/spec/prefixes/1"),
        ({"spec": None}, "Missing", "/spec/prefixes"),
        ({"metadata": {"tenant": "blue"}}, "PathMismatch", "/metadata/tenant"),
        ({"metadata": 5}, "WrongType", "/metadata"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_merge_patch_is_pointed_at(rest, store, patch, reason, pointer):
    errors = _refused(_patch(rest, patch), 422)["errors"]
    assert (reason, pointer) in [(one["reason"], one["pointer"]) for one in errors]
    assert store.snapshot().revision == 1


@pytest.mark.parametrize(
    "media", ["application/json", "text/plain", "", MERGE_PATCH + "; charset=x"]
)
def test_a_patch_must_be_called_one(rest, media):
    answer = _patch(rest, {}, media)
    _refused(answer, 415)
    assert answer.headers["Accept-Patch"] == f"{JSON_PATCH}, {MERGE_PATCH}"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b'{"a":1e999}', b"[" * 40])
@pytest.mark.parametrize("media", [JSON_PATCH, MERGE_PATCH])
def test_bytes_that_are_no_patch(rest, data, media):
    _refused(rest.patch(_WEB, data=data, content_type=media), 400)


def test_what_others_wrote_meanwhile_is_patched_again(rest, store, monkeypatch):
    plain, others = store.apply, [1, 2, 3]

    def meanwhile(edits, **named):
        if others:
            number = others.pop()
            body = dict(edits[0].manifest) | {"metadata": {"name": "web", "tenant": "red",
                                              "annotations": {"n": str(number)}}}  # fmt: skip
            plain([type(edits[0])("apply", edits[0].key, body)], author="other")
        return plain(edits, **named)

    monkeypatch.setattr(store, "apply", meanwhile)
    done = _patch(rest, {"metadata": {"labels": {"a": "b"}}})
    assert done.status_code == 200, done.text
    assert (done.json["metadata"]["annotations"], done.json["metadata"]["revision"]) == (
        {"n": "1"},
        5,
    )
    others += [4]
    _refused(_patch(rest, {"spec": {"mtu": 1300}}, headers={"If-Match": _tag(rest)}), 412)
    others += range(100)
    _refused(_patch(rest, {"spec": {"mtu": 1300}}), 409)


def test_a_patch_is_of_what_it_was_made_of(rest, store, monkeypatch):
    """Even where If-Match lets pass what came meanwhile, and the patch takes the revision out."""
    plain, came = store.snapshot, []

    def meanwhile():
        before = plain()
        if not came:
            came.append(before)
            metadata = {"name": "web", "tenant": "red", "labels": {"kept": "x"}}
            body = {"apiVersion": "vneter.io/v1", "kind": "Network", "metadata": metadata}
            edit = Edit("apply", Key("Network", "red", "web"), body | {"spec": _SPEC})
            store.apply([edit], author="other")
        return before

    monkeypatch.setattr(store, "snapshot", meanwhile)
    patch = {"metadata": {"revision": None, "annotations": {"a": "b"}}}
    _refused(_patch(rest, patch, headers={"If-Match": '"1", "2"'}), 412)
    assert rest.get(_WEB).json["metadata"]["labels"] == {"kept": "x"}


# keys


def test_a_request_with_a_key_is_done_once(rest, store, red):
    key = {"Idempotency-Key": '"8e03978e"'}
    operations = [{"op": "add", "path": "/spec/prefixes/-", "value": "fd00::/64"}]
    for headers in (key, {"Idempotency-Key": "8e03978e"}):
        done = _patch(rest, operations, JSON_PATCH, headers=headers)
        assert (done.status_code, done.json["metadata"]["revision"]) == (200, 2)
    assert done.headers["Idempotency-Replayed"] == "true"
    operations[0]["value"] = "fd01::/64"
    (error,) = _refused(_patch(rest, operations, JSON_PATCH, headers=key), 422)["errors"]
    assert error["reason"] == "KeyReused"
    key = {"Idempotency-Key": "other"}
    created = [rest.post("/v1/tenants", json={"metadata": {"name": "t"}, "spec": {}}, headers=key)
               for _ in range(2)]  # fmt: skip
    assert [one.status_code for one in created] == [201, 201]
    assert created[0].json == created[1].json
    path, key = "/v1/tenants/t", {"Idempotency-Key": "third"}
    deleted = [rest.delete(path, headers=key) for _ in range(2)]
    assert [one.status_code for one in deleted] == [200, 200]
    assert [one.json["deleted"] for one in deleted] == [[{"kind": "Tenant", "name": "t"}]] * 2
    again = rest.post("/v1/tenants", json={"metadata": {"name": "t"}, "spec": {}},
                      headers={"Idempotency-Key": "other"})  # fmt: skip
    _refused(again, 410)
    batch = [rest.post("/v1/apply", json={"objects": red[:1]}, headers={"Idempotency-Key": "b"})
             for _ in range(2)]  # fmt: skip
    assert batch[1].headers["Idempotency-Replayed"] == "true"
    assert store.snapshot().revision == 4


def test_a_retry_of_a_conditional_write_is_answered_as_before(rest):
    headers = {"If-Match": _tag(rest), "Idempotency-Key": "k"}
    body = {"spec": {**_SPEC, "mtu": 1300}}
    assert [rest.put(_WEB, json=body, headers=headers).status_code for _ in range(2)] == [200, 200]
    headers["Idempotency-Key"] = "l"
    _refused(rest.put(_WEB, json=body, headers=headers), 412)


@pytest.mark.parametrize("key", ["", "x" * 129, "ÿ", "a\tb"])
def test_what_is_no_key(rest, key):
    for answer in (
        rest.put(_WEB, json={"spec": _SPEC}, headers={"Idempotency-Key": key}),
        rest.post("/v1/apply", json={}, headers={"Idempotency-Key": key}),
    ):
        assert _refused(answer, 400)["errors"][0]["field"] == "Idempotency-Key"


# dry runs


def test_a_dry_run_answers_what_would_be_stored(rest, store):
    before = store.snapshot()
    would = _patch(rest, {"spec": {"mtu": 1300}}, query_string={"dryRun": "true"})
    assert (would.status_code, would.json["spec"]["mtu"]) == (200, 1300)
    assert (would.json["metadata"]["revision"], "status" in would.json) == (2, False)
    assert "ETag" not in would.headers
    new = {"metadata": {"name": "db"}, "spec": {"prefixes": ["10.9.0.0/24"]}}
    made = rest.post("/v1/tenants/red/networks?dryRun=true", json=new)
    assert (made.status_code, made.json["metadata"]["name"]) == (201, "db")
    assert "Location" not in made.headers
    put = rest.put("/v1/tenants/red/networks/db?dryRun=true", json=new)
    assert (put.status_code, put.json["spec"]) == (201, made.json["spec"])
    same = rest.put(f"{_WEB}?dryRun=true", json={"spec": _SPEC})
    assert (same.status_code, same.json["metadata"]["revision"]) == (200, 1)
    gone = rest.delete("/v1/tenants/red/endpoints/a?dryRun=true").json
    assert [one["verb"] for one in gone["diff"]] == ["deleted"]
    _refused(rest.delete(f"{_WEB}?dryRun=true"), 422)
    _refused(rest.put(f"{_WEB}?dryRun=maybe", json={"spec": _SPEC}), 400)
    assert store.snapshot() is before


def test_a_dry_run_of_a_batch_answers_the_difference(rest, store, red):
    red[1]["spec"]["mtu"] = 1300
    gone = [{"kind": "Endpoint", "tenant": "red", "name": "b"}]
    asked = {"objects": red[:2], "delete": gone}
    told = rest.post("/v1/apply?dryRun=true", json=asked).json
    endpoint, network = sorted(told["diff"], key=lambda one: one["object"]["kind"])
    assert (endpoint["verb"], "after" in endpoint) == ("deleted", False)
    assert (network["verb"], network["after"]["spec"]["mtu"]) == ("updated", 1300)
    assert network["before"]["spec"]["mtu"] != 1300
    assert rest.post("/v1/apply", json=asked | {"dryRun": True}).json == told
    assert store.snapshot().revision == 1
    assert "diff" not in rest.post("/v1/apply", json=asked).json


# editors at the same time


@pytest.mark.parametrize("way", ["match", "patch"])
def test_no_update_is_lost(rest, store, way):
    """Each of some editors counts in one annotation, ten times."""
    editors, times = 4, 10

    def count(client):
        read = client.get(_WEB)
        body = read.json
        notes = body["metadata"].get("annotations", {})
        notes["n"] = str(int(notes.get("n", 0)) + 1)
        body["metadata"] = {"annotations": notes}
        headers = {"If-Match": read.headers["ETag"]}
        return client.put(_WEB, json=body, headers=headers).status_code == 200

    def add(client, mine):
        patch = {"metadata": {"annotations": {mine: "x"}}}
        return _patch(client, patch).status_code == 200

    def edit(number):
        client = rest.application.test_client()
        for turn in range(times):
            mine = f"e{number}.{turn}"
            while not (count(client) if way == "match" else add(client, mine)):
                pass

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(editors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes = store.snapshot().objects[Key("Network", "red", "web")].annotations
    assert notes == {"n": "40"} if way == "match" else len(notes) == editors * times
    assert store.snapshot().revision == 1 + editors * times


def test_patches_of_one_object_take_turns(rest, store, monkeypatch):
    """Else, with many at once, some are told again and again that others were quicker."""
    inside, two = threading.Semaphore(1), threading.Event()
    apply = store.apply

    def watched(edits, **given):
        if not inside.acquire(blocking=False):
            two.set()
            return apply(edits, **given)
        two.wait(0.5)
        inside.release()
        return apply(edits, **given)

    monkeypatch.setattr(store, "apply", watched)
    answers = []

    def edit(number):
        patch = {"metadata": {"annotations": {f"e{number}": "x"}}}
        answers.append(_patch(rest.application.test_client(), patch))

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not two.is_set()
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(store.snapshot().objects[Key("Network", "red", "web")].annotations) == 3
