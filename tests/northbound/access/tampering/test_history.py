# SPDX-License-Identifier: Apache-2.0
"""What was: revisions and rollbacks, and how much of them anybody may have looked through."""

from __future__ import annotations

import json
import threading

import pytest
from two_tenants import network, refused

from vneter_sdn.errors import Throttled
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access import guarded
from vneter_sdn.northbound.access.guarded import GuardedStore
from vneter_sdn.northbound.access.identity import Identity, grant_of


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
