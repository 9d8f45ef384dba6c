# SPDX-License-Identifier: Apache-2.0
"""The verdicts of recompute --check."""

from __future__ import annotations

import pytest

from vneter_sdn.cli import recompute
from vneter_sdn.cli.terminal import Answer
from vneter_sdn.model.snapshot import Condition, Key, Snapshot, Status
from vneter_sdn.northbound.exports import export


def _snapshot(**details):
    keys = {name: Key("Host", "", name) for name in details}
    return Snapshot(
        revision=5,
        statuses={keys[name]: Status(keys[name], details=found) for name, found in details.items()},
    )


@pytest.mark.parametrize(
    ("details", "word"),
    [
        ({"digest": "aa"}, "same"),
        ({"digest": "bb"}, "differs"),
        ({"digest": "bb", "compiledRevision": 4}, "behind"),
        ({"digest": "bb", "compiledRevision": 5}, "differs"),
        ({}, "unknown"),
    ],
)
def test_verdict(details, word):
    (verdict,) = recompute.verdicts(_snapshot(h1=details), {"h1": "aa"})
    assert (verdict.host, verdict.word) == ("h1", word)


class _Client:
    def __init__(self, snapshot):
        self._snapshot = snapshot

    def snapshot(self):
        return export(self._snapshot)


def test_all_the_same(monkeypatch, capsys):
    monkeypatch.setattr(recompute, "fresh_digests", lambda _: {"h1": "aa"})
    recompute.check(_Client(_snapshot(h1={"digest": "aa"})))
    told = capsys.readouterr().out
    assert "all 1 bridges" in told
    assert "not confirmed by the bridge itself: h1" in told


def test_a_bridge_that_confirmed_is_told_as_such(monkeypatch, capsys):
    monkeypatch.setattr(recompute, "fresh_digests", lambda _: {"h1": "aa"})
    key = Key("Host", "", "h1")
    synced = (Condition("InSync", "True", "Confirmed"),)
    status = Status(key, conditions=synced, details={"digest": "aa"})
    recompute.check(_Client(Snapshot(revision=5, statuses={key: status})))
    assert "not confirmed" not in capsys.readouterr().out


def test_a_difference_is_exit_code_1(monkeypatch):
    monkeypatch.setattr(recompute, "fresh_digests", lambda _: {"h1": "aa", "h2": "cc"})
    with pytest.raises(Answer, match="h2") as answer:
        recompute.check(_Client(_snapshot(h1={"digest": "aa"}, h2={"digest": "bb"})))
    assert answer.value.code == 1
