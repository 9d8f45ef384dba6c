# SPDX-License-Identifier: Apache-2.0
"""No credential, a wrong one, one that expires: exit code 7, and what to do."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.model.access import Credential
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore

VIEWER = '[{"role": "viewer", "tenants": ["*"]}]'
ADMIN = '[{"role": "admin", "tenants": ["*"]}]'


@pytest.fixture
def issue(store: MemoryStore):
    """Makes a token that is good for so many seconds."""

    def make(name, grants=ADMIN, seconds=3600.0):
        token = tokens.fresh(name)
        expires = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        kept = tokens.digest(*tokens.split(token))
        store.issue(Credential(name, kept, grants, "me", "2026-01-01T00:00:00Z", expires))
        return token

    return make


@pytest.fixture
def strict(store, issue, monkeypatch):
    """A server that lets nobody in without a credential, and a token of an administrator."""
    token = issue("root")
    settings = Settings(api_listen="127.0.0.1:0", api_require_credential=True)
    running = Server(store, settings)
    thread = threading.Thread(target=running.run)
    thread.start()
    monkeypatch.setenv("VNETER_SERVER", running.address)
    yield token
    running.stop()
    thread.join(30)


def test_without_a_token_or_with_a_wrong_one(vneterctl, strict, monkeypatch):
    for token in ("", "nonsense", tokens.fresh("root"), tokens.fresh("nobody")):
        monkeypatch.setenv("VNETER_TOKEN", token)
        for words in (["get", "tn"], ["status"], ["events"], ["get", "tn", "-w"]):
            ended = vneterctl(*words)
            assert (ended.code, ended.out) == (7, ""), ended
            assert "hint: give a token" in ended.err
            assert not token or token not in ended.err
    monkeypatch.setenv("VNETER_TOKEN", strict)
    assert vneterctl("get", "tn").code == 0


def test_one_that_expired(vneterctl, strict, issue, monkeypatch):
    monkeypatch.setenv("VNETER_TOKEN", issue("old", seconds=-1))
    ended = vneterctl("get", "tn")
    assert (ended.code, "hint: give a token" in ended.err) == (7, True)


def test_one_that_may_not_do_that(vneterctl, strict, issue, monkeypatch, red, store):
    monkeypatch.setenv("VNETER_TOKEN", issue("looker", VIEWER))
    assert vneterctl("get", "tn").code == 0
    for words in (["apply", "-f", red], ["diff", "-f", red], ["delete", "tenant", "x"]):
        ended = vneterctl(*words)
        assert (ended.code, ended.out) == (7, ""), (words, ended)
        assert "hint: ask who runs the controller" in ended.err
    assert store.snapshot().revision == 0


def test_one_that_is_revoked_ends_a_watch(vneterctl, strict, issue, monkeypatch, store, capsys):
    monkeypatch.setenv("VNETER_TOKEN", issue("short"))
    revoking = threading.Timer(0.3, store.revoke, ["short"])
    revoking.start()
    ended = vneterctl("get", "tn", "--watch")
    revoking.join()
    assert ended.code == 7
    assert "hint: give a token" in ended.err


def test_the_token_of_a_context(vneterctl, strict, monkeypatch):
    words = ["config", "set-context", "here", "--token", "-"]
    server = os.environ["VNETER_SERVER"]
    assert vneterctl(*words, "--server", server, stdin=strict.encode()).code == 0
    monkeypatch.delenv("VNETER_SERVER")
    assert vneterctl("get", "tn").code == 0
