# SPDX-License-Identifier: Apache-2.0
"""Bad input through REST: the exact fields and reasons, and nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

_TABLE = yaml.safe_load((Path(__file__).parent / "bad_input.yaml").read_text(encoding="utf-8"))
_JSON = "application/json"
_TENANT = {
    "apiVersion": "vneter.io/v1",
    "kind": "Tenant",
    "metadata": {"name": "other"},
    "spec": {},
}


def _whole(manifest):
    return {"apiVersion": "vneter.io/v1", **manifest} if isinstance(manifest, dict) else manifest


def _errors(response, *, status: int):
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body = response.json
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == status
    return body["errors"]


@pytest.fixture
def given(rest, store):
    objects = [_whole(manifest) for manifest in _TABLE["given"]]
    assert rest.post("/v1/apply", json={"objects": objects}).status_code == 200
    return store.snapshot()


@pytest.mark.parametrize("case", _TABLE["cases"], ids=lambda case: case["name"])
def test_a_bad_manifest_is_refused_by_field(rest, store, given, case):
    objects = [_whole(case["manifest"]), _TENANT]
    errors = _errors(rest.post("/v1/apply", json={"objects": objects}), status=422)

    assert [[one["object"], one["field"], one["reason"]] for one in errors] == case["problems"]
    assert all(one["message"] for one in errors)
    assert all(one["pointer"].startswith("/objects/0") for one in errors)
    assert store.snapshot() == given
    assert len(store.revisions()) == 1


def test_pointers_lead_into_the_request(rest, given):
    overlap = next(one for one in _TABLE["cases"] if one["name"].startswith("overlapping-ipv6"))
    asked = {"objects": [_TENANT, _whole(overlap["manifest"])]}
    (error,) = _errors(rest.post("/v1/apply", json=asked), status=422)
    assert error["pointer"] == "/objects/1/spec/prefixes/1"

    path = "/v1/tenants/red/networks/x"
    (error,) = _errors(rest.put(path, json=_whole(overlap["manifest"])), status=422)
    assert error["pointer"] == "/spec/prefixes/1"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "MalformedJson"),
        (b"{", "MalformedJson"),
        (b"{'a': 1}", "MalformedJson"),
        (b"\xff\xfe{}", "InvalidEncoding"),
        (b'{"objects": "\xc3"}', "InvalidEncoding"),
        (b'{"objects": [], "objects": []}', "DuplicateKey"),
        (b'{"objects": NaN}', "InvalidNumber"),
        (b'{"objects": -Infinity}', "InvalidNumber"),
        (b'{"objects": 1e999}', "InvalidNumber"),
        (b'{"objects": ' + b"1" * 5000 + b"}", "InvalidNumber"),
        (b'{"message": "\\u0000"}', "InvalidText"),
        (b'{"message": "\\ud800"}', "InvalidText"),
        (b"[" * 33 + b"]" * 33, "TooDeep"),
        (b"[" * 200_000 + b"]" * 200_000, "TooDeep"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "TooDeep"),
    ],
)
def test_bytes_that_are_no_json_are_refused(rest, store, data, reason):
    (error,) = _errors(rest.post("/v1/apply", data=data, content_type=_JSON), status=400)
    assert (error["reason"], error["field"]) == (reason, "")
    assert store.snapshot().revision == 0


@pytest.mark.parametrize(
    ("path", "asked", "pointers"),
    [
        ("/v1/revisions/0/rollback", {"mesage": "x", "dryRun": 1}, {"/mesage", "/dryRun"}),
        ("/v1/revisions/0/rollback", [], {""}),
        ("/v1/revisions/0/rollback", {"a.b": 1}, {"/a.b"}),
        ("/v1/inject", {"tenant": 5}, {"/tenant", "/source", "/target", "/protocol"}),
        (
            "/v1/inject",
            {"tenant": "t", "source": "a", "target": "b", "protocol": "x", "hosts": ["h", 5]},
            {"/protocol", "/hosts/1"},
        ),
        ("/v1/tokens", {"nme": "x"}, {"/nme", "/name"}),
    ],
)
def test_every_field_of_other_requests_is_pointed_at(rest, path, asked, pointers):
    errors = _errors(rest.post(path, json=asked), status=422)
    assert pointers <= {one["pointer"] for one in errors}
    assert not any("`" in one["message"] or "$" in one["message"] for one in errors)


@pytest.mark.parametrize(
    "objects",
    [
        [0] * 40_000,
        [_TENANT | {"metadata": {"name": f"t{n}"}, "spec": {"nope": 1}} for n in range(2000)],
        [_TENANT | {"spec": {f"field{n}": 1 for n in range(100_000)}}],
        [_TENANT] * 2000,
    ],
    ids=["no-objects", "one-fault-each", "one-object-of-faults", "all-the-same"],
)
def test_garbage_by_the_megabyte_is_answered_in_brief(rest, store, objects):
    answer = rest.post("/v1/apply", json={"objects": objects})
    errors = _errors(answer, status=422)
    assert len(errors) <= 1001
    assert len(answer.data) < 500_000
    assert len(answer.json["detail"]) < 10_000
    assert all(one["pointer"].startswith("/objects/") for one in errors[:-1])
    assert store.snapshot().revision == 0


def test_what_was_meant_perhaps_is_said(rest):
    asked = {"objects": [{"kind": "Netwrok", "metadata": {"name": "x"}}]}
    (error,) = _errors(rest.post("/v1/apply", json=asked), status=422)
    assert "did you mean Network?" in error["message"]
    (error,) = _errors(rest.get("/v1/networks?labelselector=a"), status=400)
    assert "did you mean 'labelSelector'?" in error["message"]
    (error,) = _errors(rest.get("/v1/networks?fieldSelector=spec.mut=1"), status=400)
    assert "did you mean spec.mtu?" in error["message"]
    (error,) = _errors(rest.get("/v1/watch?kinds=netwroks"), status=400)
    assert "did you mean Network?" in error["message"]


def test_the_deepest_nesting_allowed_is_read(rest):
    data = b"[" * 32 + b"]" * 32
    (error,) = _errors(rest.post("/v1/apply", data=data, content_type=_JSON), status=422)
    assert error["reason"] == "WrongType"


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        ([], "", "WrongType"),
        ({"objcts": []}, "objcts", "UnknownField"),
        ({"objects": {}}, "objects", "WrongType"),
        ({"delete": "all"}, "delete", "WrongType"),
        ({"message": 5}, "message", "WrongType"),
        ({"message": "x" * 1025}, "message", "TooLong"),
        ({"dryRun": "yes"}, "dryRun", "WrongType"),
        ({"delete": [5]}, "", "WrongType"),
        ({"delete": [{"kind": "Tenant"}]}, "name", "Missing"),
        ({"delete": [{"kind": "Network", "name": "x"}]}, "tenant", "Missing"),
        ({"delete": [{"kind": "Tenant", "name": "x", "revision": 1}]}, "revision", "UnknownField"),
        ({"objects": [0] * 50_001}, "objects", "TooMany"),
        ({"delete": [0] * 50_001}, "delete", "TooMany"),
    ],
)
def test_a_misshapen_request_is_refused(rest, asked, field, reason):
    (error,) = _errors(rest.post("/v1/apply", json=asked), status=422)
    assert (error["field"], error["reason"]) == (field, reason)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/yaml"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_a_body_that_is_not_called_json_is_refused(rest, store, headers):
    data = json.dumps({"objects": [_TENANT]})
    _errors(rest.post("/v1/apply", data=data, headers=headers), status=415)
    assert store.snapshot().revision == 0


def test_what_the_path_says_the_body_may_not_deny(rest):
    body = {"kind": "Host", "metadata": {"name": "b", "tenant": "blue"}, "spec": {}}
    errors = _errors(rest.put("/v1/tenants/red/networks/a", json=body), status=422)
    fields = ["kind", "metadata.tenant", "metadata.name"]
    assert [(one["field"], one["reason"]) for one in errors] == [
        (field, "PathMismatch") for field in fields
    ]
    assert [one["pointer"] for one in errors] == ["/kind", "/metadata/tenant", "/metadata/name"]


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("labelselector=a", "labelselector", "UnknownParameter"),
        ("labelSelector=a&labelSelector=b", "labelSelector", "Duplicate"),
    ],
)
def test_a_bad_query_is_refused(rest, query, field, reason):
    (error,) = _errors(rest.get(f"/v1/tenants?{query}"), status=400)
    assert (error["object"], error["field"], error["reason"]) == ("query", field, reason)


@pytest.mark.parametrize("query", ["limit=x", "limit=0", "limit=1001", "before=1.5"])
def test_a_bad_number_is_refused(rest, query):
    (error,) = _errors(rest.get(f"/v1/revisions?{query}"), status=400)
    assert error["field"] == query.partition("=")[0]


def test_a_bad_selector_is_refused(rest):
    (error,) = _errors(rest.get("/v1/tenants?labelSelector=a%20b"), status=400)
    assert error["reason"] == "InvalidSelector"


@pytest.mark.parametrize("author", ["x" * 257, "a\x01b"])
def test_a_bad_author_is_refused(rest, author):
    asked = rest.post("/v1/apply", json={}, headers={"X-Vneter-Author": author})
    assert _errors(asked, status=400)[0]["field"] == "X-Vneter-Author"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(rest, store, given, number):
    spec = '{"tenant": "red", "between": "hosts", "source": "s1", "target": "s2", "rateMbps": %s}'
    body = f'{{"metadata": {{"name": "x"}}, "spec": {spec % number}}}'
    answer = rest.post("/v1/reservations", data=body, content_type=_JSON)
    assert answer.status_code in {400, 422}
    assert answer.json["errors"]
    assert store.snapshot() == given
