# SPDX-License-Identifier: Apache-2.0
"""The verdicts of recompute --check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vneter_sdn.cli import recompute
from vneter_sdn.cli.terminal import Answer
from vneter_sdn.compile.network import Observed, compile_snapshot
from vneter_sdn.graph.topology import Observation
from vneter_sdn.model.snapshot import Condition, Key, Snapshot, Status
from vneter_sdn.northbound.exports import export
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


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


def _three(state):
    """Three hosts with tunnels to each other, the one between h1 and h2 as told."""
    store = MemoryStore()
    for place, name in enumerate(("h1", "h2", "h3"), 1):
        manifest = {"apiVersion": "vneter.io/v1", "kind": "Host", "metadata": {"name": name},
                    "spec": {"ovsdb": f"unix:/run/{name}/db.sock",
                             "tunnelAddresses": [f"192.0.2.{place}"]}}  # fmt: skip
        store.apply([Edit("apply", Key("Host", "", name), manifest)], author="me")
    link = {"edge": "h1>h2", "source": "h1", "target": "h2", "medium": "tunnel", "state": state}
    statuses = [Status(Key("Link", "", "h1-h2"), details=link)]
    compiler = compile_snapshot(store.snapshot())
    for host in compiler.hosts():
        ports = {row.name: {"port": 7 + n} for n, row in enumerate(compiler.rows(host).tunnels)}
        statuses.append(Status(Key("Host", "", host), details={"tunnels": ports}))
    store.report(statuses)
    return store.snapshot()


def test_links_that_are_down_are_taken_as_they_are():
    snapshot = _three("down")
    ports = {key.name: {name: one["port"] for name, one in status.details["tunnels"].items()}
             for key, status in snapshot.statuses.items() if key.kind == "Host"}  # fmt: skip
    seen = {"h1>h2": Observation(up=False), "h2>h1": Observation(up=False)}
    there = compile_snapshot(snapshot, ports, seen=Observed(links=seen))
    assert there.digest("h1") != compile_snapshot(snapshot, ports).digest("h1")
    assert recompute.fresh_digests(snapshot)["h1"] == there.digest("h1")


@pytest.mark.parametrize(("ago", "hint"), [(5, "ask again"), (500, "")])
def test_of_links_that_changed_a_moment_ago_it_is_said(monkeypatch, ago, hint):
    monkeypatch.setattr(recompute, "fresh_digests", lambda _: {"h1": "aa"})
    changed = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    key = Key("Link", "", "h1-h2")
    link = Status(key, conditions=(Condition("Up", "False", "Down", "", changed),))
    there = _snapshot(h1={"digest": "bb"})
    with pytest.raises(Answer) as answer:
        recompute.check(_Client(Snapshot(revision=5, statuses={**there.statuses, key: link})))
    assert hint in answer.value.hint
    assert bool(answer.value.hint) == bool(hint)
