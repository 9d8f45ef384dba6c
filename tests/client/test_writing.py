# SPDX-License-Identifier: Apache-2.0
"""Objects are written once, and not over what others wrote."""

from __future__ import annotations

import pytest

from vneter_sdn.client import Client
from vneter_sdn.client.sending import Request
from vneter_sdn.client.transport import Dropped
from vneter_sdn.errors import Conflict, IntentError, NotFound, Stale
from vneter_sdn.model.kinds import TenantSpec
from vneter_sdn.model.snapshot import Key

RED = Key("Tenant", "", "red")


@pytest.fixture
def red(client, make):
    client.apply([make("Tenant", "red", labels={"tier": "gold"})])
    return client.read(TenantSpec, "red")


def test_a_state_is_replaced_or_another_is_refused(client, red, make):
    assert red.etag
    written = client.put(make("Tenant", "red", {"description": "x"}), if_match=red.etag)
    assert written["spec"]["description"] == "x"
    with pytest.raises(Stale):
        client.put(make("Tenant", "red"), if_match=red.etag)
    with pytest.raises(Conflict):
        client.delete(*RED, if_match=red.etag)
    again = client.read(TenantSpec, "red")
    assert (again.spec.description, again.revision) == ("x", 2)
    assert client.delete(*RED, if_match=again.etag).deleted == (RED,)


def test_patches_change_in_places(client, red):
    merged = client.patch(RED, {"metadata": {"labels": {"tier": None, "site": "b"}}})
    assert merged["metadata"]["labels"] == {"site": "b"}
    pointed = client.patch(RED, [{"op": "add", "path": "/spec/description", "value": "y"}])
    assert pointed["spec"]["description"] == "y"
    with pytest.raises(Stale):
        client.patch(RED, {"spec": {"description": "z"}}, if_match=red.etag)
    with pytest.raises(Conflict):
        client.patch(RED, [{"op": "test", "path": "/spec/description", "value": "no"}])
    with pytest.raises(NotFound):
        client.patch(Key("Tenant", "", "blue"), {})


def test_a_dry_run_writes_nothing(client, red, make, store):
    before = store.snapshot()
    assert client.put(make("Tenant", "red", {"description": "x"}), dry_run=True)["spec"][
        "description"
    ]
    assert client.patch(RED, {"spec": {"description": "x"}}, dry_run=True)["spec"]["description"]
    assert client.delete(*RED, dry_run=True).deleted == (RED,)
    would = client.apply([make("Tenant", "blue")], dry_run=True)
    assert [change.key.name for change in would.diff] == ["blue"]
    assert store.snapshot() == before


def test_a_write_whose_answer_is_lost_is_done_once(client, make, store, monkeypatch):
    transport = client._sender.transport
    real, lost = transport.exchange, []

    def exchange(*asked):
        answer = real(*asked)
        if not lost:
            lost.append(answer)
            raise Dropped("the answer is lost")
        return answer

    monkeypatch.setattr(transport, "exchange", exchange)
    done = client.apply([make("Tenant", "red")], "once")
    assert done.created == (RED,)
    assert lost[0].status == 200
    assert store.snapshot().revision == 1


def test_one_key_stands_for_one_request(client, make, store):
    body = {"objects": [make("Tenant", "red")]}
    asked = Request("POST", "/v1/apply", body, key="mine")
    for _ in range(2):
        assert client._ask(asked).value["created"] == [{"kind": "Tenant", "name": "red"}]
    other = Request("POST", "/v1/apply", {"objects": [make("Tenant", "blue")]}, key="mine")
    with pytest.raises((IntentError, Conflict)):
        client._ask(other)
    assert store.snapshot().revision == 1


def test_who_changed_what_is_told_and_undone(client, make, store):
    client.apply([make("Tenant", "red")], "first")
    client.apply([make("Tenant", "red", {"description": "x"})], "second")
    assert [(one.number, one.message) for one in client.revisions()] == [(2, "second"),
                                                                         (1, "first")]  # fmt: skip
    assert client.rollback(1).updated == (RED,)
    assert client.read(TenantSpec, "red").spec.description == ""
    assert isinstance(Client(client.server, author="x").status(), dict)
