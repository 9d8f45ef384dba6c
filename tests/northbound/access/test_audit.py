# SPDX-License-Identifier: Apache-2.0
"""What is written of those who were refused and of those who let others in; the first token."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import Conflict, StoreUnavailable
from vneter_sdn.model.access import Credential
from vneter_sdn.northbound.access import auditing, tokens
from vneter_sdn.northbound.access.auditing import Auditor, plain
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.first import NAME, first_token
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.wire.gateway import TRUSTED

from .conftest import Caller


def told(store):
    return [(one.author, one.action, one.outcome) for one in reversed(store.audited(1000))]


@pytest.fixture
def auditor(store):
    made = Auditor(store)
    yield made
    made.close()


def test_who_is_refused_is_in_the_audit_log(start, secure, trusting, grant, store):
    token = grant("ci", "viewer", "red")
    server = start(secure())
    caller = Caller(server, trusting())
    assert caller("/v1/networks").status == 401
    assert caller("/v1/networks", token=token[:-4] + "0000").status == 401
    assert caller("/v1/hosts", token=token).status == 403
    assert caller("/v1/tenants/red/networks/x", token=token, method="DELETE").status == 403
    server.stop()
    server._auditor.close()
    assert [one[:2] for one in told(store)] == [
        ("nobody", "GET /v1/networks"),
        ("nobody (as token:ci)", "GET /v1/networks"),
        ("token:ci", "GET /v1/hosts"),
        ("token:ci", "DELETE /v1/tenants/red/networks/x"),
    ]
    assert all(one.outcome.startswith("refused: ") for one in store.audited())
    assert {one.source for one in store.audited()} == {"127.0.0.1"}
    assert token.rpartition("_")[2] not in repr(store.audited())
    assert store.verify("audit").broken is None


def test_too_many_refusals_are_counted(auditor, store):
    for number in range(auditing.BURST + 7):
        auditor.refused("nobody", f"GET /{number}", "no", "192.0.2.1")
    auditor.close()
    written = told(store)
    assert len(written) >= auditing.BURST
    counted = [int(one[2].split()[1]) for one in written if one[0] == "several"]
    assert len(written) - len(counted) + sum(counted) == auditing.BURST + 7


def test_a_flood_does_not_wash_the_log_out(store):
    """The log keeps so many entries: who fills it makes it forget who let others in."""
    seconds = 0.0
    auditor = Auditor(store, lambda: seconds)
    for number in range(20_000):
        seconds = number * 0.18  # an hour
        auditor.refused("nobody", "GET /", "no", f"198.51.{number % 100}.{number % 250}")
    auditor.refused("token:ci", "GET /v1/hosts", "no", "192.0.2.1")
    auditor.close()
    written = told(store)
    assert len([one for one in written if one[0] == "nobody"]) <= auditing.STRANGERS + 61
    counted = [int(one[2].split()[1]) for one in written if one[0] == "several"]
    assert len(written) - len(counted) + sum(counted) == 20_001
    assert len(written) < 250
    assert "token:ci" in [one[0] for one in written]  # strangers hide no one who is known


def test_who_is_refused_often_hides_no_other(auditor, store):
    for _ in range(1000):
        auditor.refused("nobody", "GET /", "no", "2001:db8::1")
        auditor.refused("token:loud", "GET /", "no", "192.0.2.1")
    auditor.refused("nobody", "GET /", "no", "2001:db8:0:1::1")
    auditor.refused("token:ci", "GET /", "no", "192.0.2.1")
    auditor.close()
    written = [(one.author, one.source) for one in store.audited(1000)]
    assert {("nobody", "2001:db8:0:1::1"), ("token:ci", "192.0.2.1")} < set(written)
    assert len([one for one in written if one[0] != "several"]) == 2 * auditing.BURST + 2


def test_nobody_waits_for_the_audit_log(store, monkeypatch):
    begun, proceed = threading.Event(), threading.Event()
    write = store.audit

    def slow(entries):
        begun.set()
        assert proceed.wait(30)
        write(entries)

    monkeypatch.setattr(store, "audit", slow)
    auditor = Auditor(store)
    auditor.refused("a", "GET /", "no", "")
    assert begun.wait(30)
    auditor.refused("b", "GET /", "no", "")
    proceed.set()
    auditor.close()
    assert [one[0] for one in told(store)] == ["a", "b"]
    auditor.refused("c", "GET /", "no", "")
    assert len(told(store)) == 2


def test_a_log_that_cannot_be_written_stops_nobody(store, monkeypatch, caplog):
    def away(_entries):
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "audit", away)
    auditor = Auditor(store)
    auditor.refused("a", "GET /", "no", "")
    auditor.close()
    assert "not in the audit log: away" in caplog.text


def test_text_of_others_is_made_harmless():
    assert plain("a\nb\x1b[31m\u202e") == "a?b?[31m?"
    assert len(plain("x" * 10_000)) == 200
    token = tokens.fresh("ci")
    assert plain(f"GET /v1/{token}/x") == "GET /v1/vnt_ci_…/x"


def test_operations_on_credentials_are_written_before_and_after(store, monkeypatch):
    client = create_app(store, Settings()).test_client()
    client.put("/v1/tenants/red", json={"spec": {}})
    asked = {"name": "ci", "role": "editor", "tenants": ["red"]}
    made = client.post("/v1/tokens", json=asked, headers={"X-Vneter-Author": "ada"})
    assert made.status_code == 201
    assert client.post("/v1/tokens", json=asked).status_code == 409
    assert client.delete("/v1/tokens?name=ci").status_code == 200
    named = 'Credential ci [{"role":"editor","tenants":["red"]}]'
    assert [(one.action, one.object) for one in store.audited()] == [
        *[("token revoke", named)] * 2,
        *[("token create", named)] * 4,
    ]
    outcomes = [one[2] for one in told(store)]
    assert outcomes[:3] == ["asked", "done", "asked"]
    assert outcomes[3].startswith("refused: there is a credential ci")
    assert outcomes[4:] == ["asked", "done"]
    assert told(store)[0][0] == "ada"
    assert made.json["token"].rpartition("_")[2] not in repr(store.audited())

    def away(_entries):
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "audit", away)
    assert client.post("/v1/tokens", json=asked).status_code == 503
    assert store.credentials() == ()  # what cannot be audited is not done


def test_all_that_was_granted_is_written(store):
    client = create_app(store, Settings()).test_client()
    names = [f"{'t' * 50}-{number}" for number in range(8)]
    for name in names:
        client.put(f"/v1/tenants/{name}", json={"spec": {}})
    asked = {"name": "ci", "role": "editor", "tenants": names}
    assert client.post("/v1/tokens", json=asked).status_code == 201
    (_, entry) = store.audited()
    assert entry.object.endswith(f'"{names[-1]}"]}}]')


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "name"),
        ({"name": "A"}, "name"),
        ({"name": "CN=ada"}, "name"),
        ({"name": "ada", "certificate": True}, "name"),
        ({"name": "a", "role": "root"}, "role"),
        ({"name": "a", "verbs": ["create"]}, "verbs"),
        ({"name": "a", "expires": "tomorrow"}, "expires"),
        ({"name": "a", "expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"name": "a", "more": 1}, "more"),
        ({"name": "a", "tenants": "red"}, "tenants"),
    ],
)
def test_credentials_that_make_no_sense(store, asked, field):
    answer = create_app(store, Settings()).test_client().post("/v1/tokens", json=asked)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field
    assert store.credentials() == ()


def test_a_certificates_credential_has_no_token(store):
    client = create_app(store, Settings()).test_client()
    asked = {"name": "URI=spiffe://x/ada", "certificate": True, "role": "admin"}
    assert client.post("/v1/tokens", json=asked).json["token"] is None
    assert store.credential("URI=spiffe://x/ada").digest == tokens.CERTIFICATE
    listed = client.get("/v1/tokens").json["items"][0]
    assert (listed["certificate"], listed["expired"]) == (True, False)
    assert (
        client.delete("/v1/tokens", query_string={"name": "URI=spiffe://x/ada"}).status_code == 200
    )


def test_the_audit_log_is_read_in_pages_and_verified(store):
    client = create_app(store, Settings()).test_client()
    for name in ("a", "b"):
        client.post("/v1/tokens", json={"name": name})
    newest = client.get("/v1/audit?limit=3").json["items"]
    assert [one["position"] for one in newest] == [4, 3, 2]
    assert [one["position"] for one in client.get("/v1/audit?before=2").json["items"]] == [1]
    verified = client.get("/v1/audit?limit=1&verify=true").json["verified"]
    assert [(one["chain"], one["broken"]) for one in verified] == [
        ("audit", None),
        ("revisions", None),
    ]
    assert verified[0]["head"] == newest[0]["digest"]


def test_authentications_are_counted(store):
    keeper = Doorkeeper(store)
    client = create_app(store, Settings(), doorkeeper=keeper).test_client()
    overrides = {TRUSTED: True}
    client.get("/healthz", environ_overrides=overrides)
    client.get("/v1/status", headers={"Authorization": "Bearer x"}, environ_overrides=overrides)
    keeper.handshake_failed()
    text = client.get("/metrics", environ_overrides=overrides).text
    for result, count in (("local", 2), ("refused", 1), ("handshake", 1), ("token", 0)):
        assert f'vneter_api_authentications_total{{result="{result}"}} {count}.0' in text


# ---- the first token


def test_a_first_token_is_written_once(store, tmp_path):
    path = tmp_path / "t"
    path.write_text("old")
    path.chmod(0o644)
    assert first_token(store, str(path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    token = path.read_text().strip()
    found = Doorkeeper(store).identify({"HTTP_AUTHORIZATION": f"Bearer {token}"})
    assert (found.name, found.everywhere) == (f"token:{NAME}", True)
    assert not first_token(store, str(path))
    assert path.read_text().strip() == token
    assert len(store.audited()) == 1


def test_a_first_token_is_not_written_into_a_file_that_another_has_open(store, tmp_path):
    path = tmp_path / "t"
    with path.open("w+") as spy:
        assert first_token(store, str(path))
        assert spy.read() == ""
    assert path.read_text().startswith("vnt_")


def test_no_first_token_without_a_file_or_beside_another_credential(store, tmp_path):
    assert not first_token(store, "")
    with pytest.raises(OSError, match="No such file"):
        first_token(store, str(tmp_path / "no" / "t"))
    assert store.credentials() == ()
    store.issue(Credential("x", "y"))
    assert not first_token(store, str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()


def test_a_server_that_was_slower_leaves_no_token_that_does_not_work(store, tmp_path, monkeypatch):
    def late(_credential):
        raise Conflict("another was quicker")

    monkeypatch.setattr(store, "issue", late)
    assert not first_token(store, str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()


def test_a_first_token_follows_no_link(store, tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "t").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        first_token(store, str(tmp_path / "t"))
    assert (tmp_path / "target").read_text() == "precious"
    assert store.credentials() == ()
