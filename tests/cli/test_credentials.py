# SPDX-License-Identifier: Apache-2.0
"""``vneterctl token`` and ``vneterctl audit``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vneter_sdn.cli import credentials
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client.client import Client
from vneter_sdn.client.transport import Dropped
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access import tokens
from vneter_sdn.store.port import Edit


def _make(store, *tenants):
    store.apply(
        [
            Edit(
                "create",
                key,
                {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": key.name}},
            )
            for key in (Key("Tenant", "", name) for name in tenants)
        ],
        author="test",
    )


def test_a_token_is_printed_alone_and_once(server, vneterctl, store):
    absent = vneterctl("token", "create", "ci", "-t", "red", "-t", "blue")
    assert (absent.code, "there is no tenant blue, red" in absent.err) == (1, True)
    _make(store, "red", "blue")
    made = vneterctl("token", "create", "ci", "--role", "editor", "-t", "red", "-t", "blue")
    assert (made.code, made.err) == (0, "")
    name, secret = tokens.split(made.out.strip())
    kept = store.credential("ci")
    assert tokens.matches(name, secret, kept.digest)
    listed = vneterctl("token", "list")
    assert "editor in blue, red" in listed.out
    assert secret not in listed.out + repr(kept)
    store.apply([Edit("delete", Key("Tenant", "", "red"))], author="test")
    assert "editor in blue, red (gone)" in vneterctl("token", "list").out
    again = vneterctl("token", "create", "ci")
    assert (again.code, "take another name" in again.err) == (4, True)
    assert vneterctl("token", "revoke", "ci").out == "ci is revoked\n"
    again = vneterctl("token", "revoke", "ci")
    assert (again.code, "token list" in again.err) == (3, True)
    assert vneterctl("token", "list").out == "there are no credentials\n"


def test_whether_a_token_was_issued_whose_answer_was_lost(server, vneterctl, monkeypatch):
    def lost(_client, asked, *, dry_run=False):
        raise Dropped("the connection broke")

    monkeypatch.setattr(Client, "issue", lost)
    ended = vneterctl("token", "create", "ci")
    assert (ended.code, "revoke it, and ask again" in ended.err) == (5, True)


def test_a_dry_run_issues_and_revokes_nothing(server, vneterctl, store):
    asked = ("token", "create", "ci", "--role", "editor", "--expires", "never")
    tried = vneterctl(*asked, "--dry-run")
    assert tried.out == "ci would be editor everywhere, for ever (dry run)\n"
    assert store.credentials() == ()
    assert store.audited(10) == ()
    assert vneterctl("token", "create", "CI!", "--dry-run").code == 1
    assert vneterctl("token", "revoke", "ci", "--dry-run").code == 3
    assert vneterctl(*asked).code == 0
    assert vneterctl(*asked, "--dry-run").code == 4
    assert vneterctl("token", "revoke", "ci", "--dry-run").out == "ci would be revoked (dry run)\n"
    assert len(store.credentials()) == 1


def test_a_token_of_few_verbs_and_one_that_never_ends(server, vneterctl):
    assert vneterctl("token", "create", "r", "--verbs", "get, list", "--expires", "never").code == 0
    (found,) = json.loads(vneterctl("token", "list", "-o", "json").out)["items"]
    assert found["expires"] is None
    assert found["grants"] == [{"role": "viewer", "tenants": ["*"], "verbs": ["get", "list"]}]
    refused = vneterctl("token", "create", "w", "--verbs", "delete")
    assert (refused.code, "viewer does not have delete" in refused.err) == (1, True)


def test_what_a_certificate_may_do(server, vneterctl, store):
    made = vneterctl("token", "create", "CN=ada", "--certificate", "--expires", "1y")
    assert made.out.startswith("whoever has the certificate CN=ada is viewer everywhere, until 20")
    assert store.credential("CN=ada").digest == tokens.CERTIFICATE


def test_who_am_i(server, vneterctl):
    assert vneterctl("token", "whoami").out == "anonymous@loopback: admin everywhere\n"
    assert json.loads(vneterctl("token", "whoami", "-o", "json").out)["via"] == "local"


@pytest.mark.parametrize("text", ["", "0d", "30", "d", "-1d", "1.5d", "30 d", "123456d"])
def test_no_time_to_live(text):
    with pytest.raises(Usage, match="no time to live"):
        credentials.instant(text)


def test_the_audit_log_is_shown_and_verified(server, vneterctl, store):
    assert vneterctl("audit").out == "nothing is in the audit log\n"
    for name in ("a", "b"):
        vneterctl("token", "create", name)
    shown = vneterctl("audit", "--limit", "2", "--no-headers").out.splitlines()
    assert [line.split()[0] for line in shown] == ["4", "3"]
    assert len(json.loads(vneterctl("audit", "-o", "json").out)["items"]) == 4
    good = vneterctl("audit", "--verify")
    assert (good.code, good.out.splitlines()[0].startswith("audit: 4 entries, head ")) == (0, True)


def test_an_audit_log_that_was_changed_is_found_out(server, vneterctl, store, monkeypatch):
    for name in ("a", "b"):
        vneterctl("token", "create", name)
    audited = store.audited

    def forged(limit=100, before=None):
        entries = audited(limit, before)
        return tuple(replace(one, author="me") if one.position == 2 else one for one in entries)

    monkeypatch.setattr(store, "audited", forged)  # a server that says its chain is whole
    found = vneterctl("audit", "--verify")
    assert found.code == 1
    assert "audit: 2 does not follow from 1" in found.err


def test_a_first_entry_that_was_changed_is_found_out(server, vneterctl, store, monkeypatch):
    vneterctl("token", "create", "a")
    audited = store.audited

    def forged(limit=100, before=None):
        entries = audited(limit, before)
        return tuple(replace(one, author="me") if one.position == 1 else one for one in entries)

    monkeypatch.setattr(store, "audited", forged)
    found = vneterctl("audit", "--verify")
    assert (found.code, "audit: 1 is not what was written" in found.err) == (1, True)


def test_heads_that_were_kept_are_there_or_somebody_cut_the_end_off(server, vneterctl, store):
    vneterctl("token", "create", "a")
    _make(store, "red")
    printed = vneterctl("audit", "--verify").out.splitlines()
    heads = [line.rpartition(" ")[2] for line in printed]
    assert [len(head) for head in heads] == [64, 64]
    vneterctl("token", "create", "b")
    _make(store, "blue")
    words = ["audit", "--verify", *(word for head in heads for word in ("--kept", head))]
    assert vneterctl(*words).code == 0
    cut = vneterctl("audit", "--kept", "0" * 64)
    assert (cut.code, f"{'0' * 64} is in no chain any more" in cut.err) == (1, True)
