# SPDX-License-Identifier: Apache-2.0
"""Requests that are asked again, and those that are not."""

from __future__ import annotations

import json

import pytest

from vneter_sdn.client import Client
from vneter_sdn.client.sending import Request, Sender
from vneter_sdn.client.transport import Dropped, Reply, Silent
from vneter_sdn.errors import (
    Conflict,
    Forbidden,
    IntentError,
    Stale,
    StoreUnavailable,
    Throttled,
    Unauthenticated,
    VneterError,
)


class Line:
    """Answers as it was told, and remembers what it was asked."""

    server = "a server"

    def __init__(self, *answers):
        self.answers, self.asked, self.slept = list(answers), [], []

    def exchange(self, method, target, data, headers):
        self.asked.append((method, target, data, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sender(self):
        return Sender(self, {"X-Who": "me"}, sleep=self.slept.append)


def reply(status=200, headers=None, **value):
    return Reply(status, headers or {}, json.dumps(value).encode())


def test_a_lost_answer_is_asked_for_again_by_the_same_key():
    line = Line(Dropped("gone"), StoreUnavailable("starting"), reply(ok=True))
    assert line.sender().ask(Request("POST", "/v1/apply", {"a": 1})).value == {"ok": True}
    keys = {headers["Idempotency-Key"] for _, _, _, headers in line.asked}
    assert (len(line.asked), len(keys)) == (3, 1)
    assert len(keys.pop()) == 32
    assert all(pause > 0 for pause in line.slept)


def test_two_writes_have_two_keys_and_reads_none():
    line = Line(reply(), reply(), reply())
    sender = line.sender()
    for method in ("POST", "DELETE", "GET"):
        sender.ask(Request(method, "/v1/x"))
    keys = [headers.get("Idempotency-Key") for _, _, _, headers in line.asked]
    assert keys[0] != keys[1]
    assert keys[2] is None


def test_what_the_server_keeps_no_key_of_is_asked_once():
    line = Line(Dropped("gone"))
    with pytest.raises(Dropped):
        line.sender().ask(Request("POST", "/v1/tokens", {}, once=True))
    assert "Idempotency-Key" not in line.asked[0][3]
    assert not line.slept


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.issue({"name": "ci"}),
        lambda client: client.revoke("ci"),
        lambda client: client.inject({}),
    ],
    ids=["issue", "revoke", "inject"],
)
def test_credentials_and_packets_are_asked_for_once(ask):
    client, line = Client("http://127.0.0.1:1"), Line(Dropped("gone"))
    client._sender = line.sender()
    with pytest.raises(Dropped):
        ask(client)


def test_nobody_there_is_told_at_once():
    line = Line(StoreUnavailable("refused"))
    with pytest.raises(StoreUnavailable):
        line.sender().ask(Request("GET", "/"))
    assert line.slept == []


def test_silence_is_not_asked_again():
    line = Line(Silent("nothing"))
    with pytest.raises(Silent):
        line.sender().ask(Request("POST", "/", {}))


def test_it_is_given_up_after_some_attempts():
    line = Line(*[Dropped("gone")] * 9)
    with pytest.raises(Dropped):
        line.sender().ask(Request("POST", "/", {}))
    assert len(line.asked) == 4


def test_a_busy_server_is_given_the_time_it_asks_for():
    line = Line(reply(429, {"retry-after": "3"}), reply(done=1))
    assert line.sender().ask(Request("GET", "/")).value == {"done": 1}
    assert line.slept == [3.0]
    line = Line(reply(429, {"retry-after": "3600"}))
    with pytest.raises(Throttled) as busy:
        line.sender().ask(Request("GET", "/"))
    assert busy.value.retry_after == 3600
    line = Line(reply(429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), reply())
    line.sender().ask(Request("GET", "/"))
    assert line.slept == [1.0]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, IntentError),
        (401, Unauthenticated),
        (403, Forbidden),
        (409, Conflict),
        (412, Stale),
        (422, IntentError),
        (500, VneterError),
        (503, StoreUnavailable),
    ],
)
def test_failures_are_errors_of_ours(status, error):
    line = Line(reply(status, detail="why"))
    with pytest.raises(error, match="why"):
        line.sender().ask(Request("GET", "/"))


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b"\xff", b"[" * 100_000])
def test_other_programs_are_told_apart(data):
    line = Line(Reply(200, {}, data))
    with pytest.raises(StoreUnavailable, match="a server does not speak"):
        line.sender().ask(Request("GET", "/"))
