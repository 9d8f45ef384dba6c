# SPDX-License-Identifier: Apache-2.0
"""Revisions over REST: which there are, what one changed, and back again."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from vneter_sdn.model.access import AuditEntry
from vneter_sdn.store.memory import MemoryStore


@pytest.fixture
def lived(rest: FlaskClient, red: list[dict[str, Any]]) -> FlaskClient:
    """A server whose revision 1 made everything, 2 changed a network, 3 deleted an endpoint."""
    ada = {"X-Vneter-Author": "ada"}
    assert rest.post("/v1/apply", json={"objects": red, "message": "first"}).status_code == 200
    wider = red[1] | {"spec": {"prefixes": ["10.0.0.0/24"], "mtu": 1300}}
    assert rest.put("/v1/tenants/red/networks/web", json=wider, headers=ada).status_code == 200
    assert rest.delete("/v1/tenants/red/endpoints/a", headers=ada).status_code == 200
    return rest


def numbers(rest: FlaskClient, query: str) -> list[int]:
    answer = rest.get(f"/v1/revisions?{query}")
    assert answer.status_code == 200, answer.json
    return [one["number"] for one in answer.json["items"]]


def test_revisions_by_author_and_object(lived: FlaskClient) -> None:
    assert numbers(lived, "") == [3, 2, 1]
    assert numbers(lived, "author=ada") == [3, 2]
    assert numbers(lived, "author=ada&before=3&limit=1") == [2]
    assert numbers(lived, "object=Network red/web") == [2, 1]
    assert numbers(lived, "object=endpoints/red/a&author=ada") == [3]
    assert numbers(lived, "object=tenant/red") == [1]
    assert numbers(lived, "object=tenant/re") == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "OutOfRange"),
        ("limit=1001", "OutOfRange"),
        ("limit=x", "WrongType"),
        ("before=1.5", "WrongType"),
        ("object=cloud red", "UnknownKind"),
        ("object=network web", "WrongType"),
        ("object=tenant a/b", "WrongType"),
        ("object=network red/", "WrongType"),
        ("object=%00", "UnknownKind"),
        ("who=ada", "UnknownParameter"),
        ("author=a&author=b", "Duplicate"),
    ],
)
def test_bad_queries_are_refused(lived: FlaskClient, query: str, reason: str) -> None:
    answer = lived.get(f"/v1/revisions?{query}")
    assert (answer.status_code, answer.json["errors"][0]["reason"]) == (400, reason)


def test_one_revision_has_a_diff(lived: FlaskClient) -> None:
    told = lived.get("/v1/revisions/2").json
    assert (told["number"], told["author"], told["position"]) == (2, "ada", 2)
    assert told["previous"] == lived.get("/v1/revisions/1").json["digest"]
    (change,) = told["diff"]
    assert change["object"] == {"kind": "Network", "tenant": "red", "name": "web"}
    assert change["verb"] == "updated"
    before, after = change["before"]["spec"], change["after"]["spec"]
    assert after == before | {"mtu": 1300}
    (gone,) = lived.get("/v1/revisions/3").json["diff"]
    assert (gone["verb"], "after" in gone) == ("deleted", False)
    assert gone["before"]["metadata"]["labels"] == {"app": "x"}


PLACES = ["4", "0", "x", "-1", "1" * 400, "1.5", "%00", "²"]


@pytest.mark.parametrize("number", PLACES)
def test_revisions_that_are_not_there(lived: FlaskClient, number: str) -> None:
    answer = lived.get(f"/v1/revisions/{number}")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("number", [one for one in PLACES if one != "0"])
def test_no_rollback_to_what_is_not_there(lived: FlaskClient, number: str) -> None:
    answer = lived.post(f"/v1/revisions/{number}/rollback", json={})
    assert answer.status_code == 404
    assert numbers(lived, "") == [3, 2, 1]


@pytest.mark.parametrize("body", [[], {"messsage": "x"}, {"message": 1}, {"message": "x" * 1025}])
def test_bad_rollbacks_are_refused(lived: FlaskClient, body: Any) -> None:
    assert lived.post("/v1/revisions/1/rollback", json=body).status_code == 422
    assert lived.post("/v1/revisions/1/rollback", data="{").status_code == 415
    assert numbers(lived, "") == [3, 2, 1]


@pytest.mark.parametrize("how", [("?dryRun=true", {}), ("", {"dryRun": True})])
def test_a_dry_run_tells_what_a_rollback_would_do(lived: FlaskClient, how: Any) -> None:
    query, body = how
    told = lived.post(f"/v1/revisions/1/rollback{query}", json=body).json
    assert told["revision"] == 3
    assert [one["verb"] for one in told["diff"]] == ["created", "updated"]
    assert numbers(lived, "") == [3, 2, 1]


def test_rollback(lived: FlaskClient) -> None:
    bob = {"X-Vneter-Author": "bob", "Idempotency-Key": "k1"}
    told = lived.post("/v1/revisions/1/rollback", json={"message": "night"}, headers=bob)
    assert told.json["revision"] == 4
    assert [one["name"] for one in told.json["created"]] == ["a"]
    again = lived.post("/v1/revisions/1/rollback", json={"message": "night"}, headers=bob)
    assert again.json["revision"] == 4
    assert again.headers["Idempotency-Replayed"] == "true"
    newest = lived.get("/v1/revisions?limit=1").json["items"][0]
    assert (newest["author"], newest["message"]) == ("bob", "rollback to 1: night")
    assert lived.get("/v1/tenants/red/networks/web").json["spec"]["mtu"] != 1300
    other = lived.post("/v1/revisions/2/rollback", json={}, headers=bob)
    assert (other.status_code, other.json["errors"][0]["reason"]) == (422, "KeyReused")


def test_chains_are_verified(lived: FlaskClient, store: MemoryStore) -> None:
    store.audit([AuditEntry("ada", "token create")])
    found = lived.get("/v1/chains/revisions").json
    assert (found["entries"], found["broken"]) == (3, None)
    assert found["head"] == lived.get("/v1/revisions/3").json["digest"]
    assert lived.get("/v1/chains/audit").json["entries"] == 1
    assert lived.get("/v1/chains/letters").status_code == 404
