# SPDX-License-Identifier: Apache-2.0
"""Lists: what is selected, in which order, in pages of one instant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import Gone, IntentError
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Condition, Key, Snapshot, Status
from vneter_sdn.northbound.feed import Position
from vneter_sdn.northbound.field_selectors import parse_fields
from vneter_sdn.northbound.pages import LIFETIME, Shelf, Shelves

_ENDPOINTS = "/v1/endpoints"


@pytest.fixture
def applied(rest, red):
    assert rest.post("/v1/apply", json={"objects": red}).status_code == 200


def _names(answer):
    assert answer.status_code == 200, answer.text
    return [one["metadata"]["name"] for one in answer.json["items"]]


def _endpoint(name, network="web"):
    return {"apiVersion": "vneter.io/v1", "kind": "Endpoint",
            "metadata": {"name": name, "tenant": "red"}, "spec": {"network": network}}  # fmt: skip


def _pages(rest, path, **query):
    while True:
        answer = rest.get(path, query_string=query)
        yield answer
        token = answer.json["metadata"].get("continue")
        if token is None:
            return
        query["continue"] = token


def test_ten_thousand_objects_in_pages(rest, red):
    red[1]["spec"]["prefixes"] = ["10.0.0.0/16"]
    endpoints = [_endpoint(f"e{number}") for number in range(10_000)]
    assert rest.post("/v1/apply", json={"objects": red[:2] + endpoints}).status_code == 200
    pages = []
    for page in _pages(rest, _ENDPOINTS, limit=1000):
        pages.append(page.json)
        change = rest.delete(f"/v1/tenants/red/endpoints/e{9000 + len(pages)}")
        added = rest.post("/v1/tenants/red/endpoints", json=_endpoint(f"f{len(pages)}"))
        assert (change.status_code, added.status_code) == (200, 201)
    names = [one["metadata"]["name"] for page in pages for one in page["items"]]
    assert [len(page["items"]) for page in pages] == [1000] * 10
    assert names == sorted(f"e{number}" for number in range(10_000))
    assert len({page["metadata"]["revision"] for page in pages}) == 1
    assert len({page["metadata"]["position"] for page in pages}) == 1
    assert len(_names(rest.get(_ENDPOINTS))) == 10_000


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=a", "a"),
        ("metadata.name!=a", "b"),
        ("metadata.name==a,spec.network=web", "a"),
        ("spec.network=db", ""),
        ("metadata.labels[app]=x", "a"),
        ("metadata.labels.app!=x", "b"),
        ("status.conditions[Ready]=True", "b"),
        ("status.conditions[Ready].status!=True", "a"),
        ("status.addresses=10.0.0.2", "a"),
        ("status.nothing!=x", "ab"),
        ("kind=Endpoint", "ab"),
        ("status.interface.gateways=10.0.0.1", "ab"),
        ("spec.addresses=10.0.0.9", ""),
        ("", "ab"),
    ],
)
def test_a_field_selector_selects(rest, store, applied, selector, names):
    ready = (Condition("Ready", "True", "Programmed"),)
    store.report([Status(Key("Endpoint", "red", "b"), 1, ready)])
    assert _names(rest.get(_ENDPOINTS, query_string={"fieldSelector": selector})) == list(names)


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("spec.netwrok=web", "UnknownField"),
        ("metadata.nam!=x", "UnknownField"),
        ("spec=x", "UnknownField"),
        ("names=x", "UnknownField"),
        ("spec.network.name=x", "UnknownField"),
        ("spec.network", "InvalidSelector"),
        ("spec.network=a,", "InvalidSelector"),
        ("=a", "InvalidSelector"),
        ("spec.network=a\\b", "InvalidSelector"),
        ("spec..network=a", "InvalidSelector"),
        ("spec.network[=a", "InvalidSelector"),
    ],
)
def test_a_bad_field_selector_selects_nothing(rest, selector, reason):
    answer = rest.get(_ENDPOINTS, query_string={"fieldSelector": selector})
    (error,) = answer.json["errors"]
    assert answer.status_code == 400
    assert (error["object"], error["field"], error["reason"]) == ("query", "fieldSelector", reason)


@given(st.text(max_size=40))
def test_any_text_is_a_field_selector_or_refused(text):
    try:
        selector = parse_fields(text, KINDS["Network"])
    except IntentError:
        return
    selector.selects({"metadata": {}, "spec": {"prefixes": [1, "x"]}})


@given(st.text(st.characters(exclude_characters="\\,\0", codec="utf-8")))
def test_any_value_can_be_written(value):
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    selector = parse_fields(f"spec.network={escaped}", KINDS["Endpoint"])
    assert selector.selects({"spec": {"network": value}})


def test_of_a_list_any_member_may_be_meant(rest, applied):
    path = "/v1/networks?fieldSelector=spec.prefixes%3D10.0.0.0/24"
    assert _names(rest.get(path)) == ["web"]
    assert _names(rest.get(path.replace("%3D", "!%3D"))) == []
    assert _names(rest.get(path.replace("prefixes", "prefixes[0]"))) == ["web"]
    assert _names(rest.get(path.replace("prefixes", "prefixes[1]"))) == []


def test_an_escaped_comma_is_one():
    selector = parse_fields(r"spec.network=a\,b\\c", KINDS["Endpoint"])
    assert selector.selects({"spec": {"network": "a,b\\c"}})


def test_pages_of_what_is_selected(rest, applied):
    query = {"fieldSelector": "spec.network=web", "limit": 1}
    assert [_names(page) for page in _pages(rest, _ENDPOINTS, **query)] == [["a"], ["b"]]
    assert [_names(page) for page in _pages(rest, _ENDPOINTS, limit=2)] == [["a", "b"]]


def test_a_token_is_of_its_list_only(rest, applied):
    token = rest.get(_ENDPOINTS, query_string={"limit": 1}).json["metadata"]["continue"]
    for path, query in (
        (_ENDPOINTS, {"labelSelector": "app"}),
        (_ENDPOINTS, {"fieldSelector": "spec.network=web"}),
        ("/v1/tenants/red/endpoints", {}),
        ("/v1/networks", {}),
    ):
        answer = rest.get(path, query_string={**query, "continue": token})
        assert (answer.status_code, answer.json["errors"][0]["reason"]) == (400, "InvalidToken")
    assert _names(rest.get(_ENDPOINTS, query_string={"continue": token})) == ["b"]


@pytest.mark.parametrize(
    "token", ["", "x", "W10", "ÿ", "e30" * 1000, "WyIiLDEsIiIsIiIsIiJd", "%00"]
)
def test_what_is_no_token(rest, applied, token):
    answer = rest.get(_ENDPOINTS, query_string={"continue": token})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "continue")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1.5", "x", "9" * 5000, ""])
def test_a_bad_limit(rest, limit):
    answer = rest.get(_ENDPOINTS, query_string={"limit": limit})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "limit")


def test_a_snapshot_is_kept_for_a_bounded_time():
    now = [0.0]
    shelves = Shelves(lambda: now[0], shelves=2)
    key = Key("Tenant", "", "red")
    one, two, three = (Shelf(Snapshot(), Position(step)) for step in (1, 2, 3))
    token = shelves.put(one, key, "x")
    now[0] += LIFETIME
    assert shelves.take(token, "x") == (one, ("", "red"))
    now[0] += LIFETIME + 1
    with pytest.raises(Gone):
        shelves.take(token, "x")
    token = shelves.put(one, key, "x")
    shelves.put(two, key, "x")
    shelves.put(three, key, "x")
    with pytest.raises(Gone):
        shelves.take(token, "x")


def test_a_list_left_lying_is_gone(rest, applied, monkeypatch):
    token = rest.get(_ENDPOINTS, query_string={"limit": 1}).json["metadata"]["continue"]
    monkeypatch.setattr("vneter_sdn.northbound.pages.Shelves.take", _gone)
    answer = rest.get(_ENDPOINTS, query_string={"continue": token})
    assert (answer.status_code, answer.json["type"]) == (410, "urn:vneter:problem:gone")


def _gone(*_):
    raise Gone("too late")
