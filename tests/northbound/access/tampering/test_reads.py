# SPDX-License-Identifier: Apache-2.0
"""What is read: by every path, in lists, watches, refusals and proofs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from two_tenants import VNI, network, refused

from vneter_sdn.errors import Forbidden, IntentError, Problem
from vneter_sdn.model.snapshot import Key, Status
from vneter_sdn.northbound.access.guarded import GuardedStore
from vneter_sdn.northbound.access.identity import LOCAL, Identity, grant_of
from vneter_sdn.store.port import Edit


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
