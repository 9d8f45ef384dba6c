# SPDX-License-Identifier: Apache-2.0
"""``vneterctl drain``: what it writes, what it waits for, and what it says meanwhile."""

from __future__ import annotations

import threading

import pytest

from vneter_sdn.cli.terminal import NOT_FOUND, OK, TIMED_OUT, USAGE
from vneter_sdn.compile.outcomes import Usage
from vneter_sdn.engine.paths_report import drained_condition
from vneter_sdn.model.snapshot import Condition, Key, Status


def used(paths):
    return Usage(frozenset(), paths, 0, (), 0)


HOSTS = "".join(
    f"""
apiVersion: vneter.io/v1
kind: Host
metadata: {{name: h{n}}}
spec: {{ovsdb: "unix:/run/h{n}", tunnelAddresses: [192.0.2.{n}]}}
---"""
    for n in (1, 2)
)
LINK, HOST = Key("Link", "", "h1-h2"), Key("Host", "", "h1")
TUNNEL = {
    "origin": "tunnel",
    "source": "h1",
    "target": "h2",
    "medium": "tunnel",
    "edge": "h1>h2",
    "state": "up",
}


@pytest.fixture
def found(vneterctl, store, server):
    """Two hosts, and the tunnel between them, which nobody declared."""
    assert vneterctl("apply", "-f", "-", stdin=HOSTS.encode()).code == OK
    store.report([Status(LINK, 0, (), TUNNEL)])
    return vneterctl


def report(store, key, *conditions):
    revision = store.snapshot().objects[key].revision
    details = TUNNEL if key == LINK else {}
    store.report([Status(key, revision, conditions, details)])


def drained(store, key):
    return store.snapshot().objects[key].spec.drained


def test_a_found_link_is_declared_to_drain_it_and_gone_afterwards(found, store):
    done = found("drain", "link", "h1-h2", "--no-wait")
    assert (done.code, done.out) == (OK, "link h1-h2 is being drained\n")
    assert drained(store, LINK)
    assert store.revisions()[0].message == "drain Link h1-h2"
    report(store, LINK)
    undone = found("drain", "link", "h1-h2", "--undo")
    assert (undone.code, undone.out) == (OK, "link h1-h2 is used again, and no longer declared\n")
    assert LINK not in store.snapshot().objects


def test_a_declared_link_stays(found, store):
    link = "{apiVersion: vneter.io/v1, kind: Link, metadata: {name: h1-h2}, "
    link += "spec: {source: h1, target: h2, cost: 9}}"
    assert found("apply", "-f", "-", stdin=link.encode()).code == OK
    assert found("drain", "link", "h1-h2", "--no-wait").code == OK
    report(store, LINK)
    assert found("drain", "link", "h1-h2", "--undo").out == "link h1-h2 is used again\n"
    assert not drained(store, LINK)
    assert store.snapshot().objects[LINK].spec.cost == 9
    assert found("drain", "link", "h1-h2", "--undo").out == "link h1-h2 is not drained\n"


def test_a_wire_keeps_its_object(found, store):
    wire = {**TUNNEL, "origin": "lldp", "medium": "wire", "ports": "eth1:eth2"}
    wire["edge"] = "h1:eth1>h2:eth2"
    key = Key("Link", "", "h1.eth1-h2.eth2")
    store.report([Status(key, 0, (), wire)])
    assert found("drain", "link", key.name, "--no-wait").code == OK
    assert found("drain", "link", key.name, "--undo").out.endswith(" is used again\n")
    assert not drained(store, key)


def test_every_step_is_told_until_it_is_empty(found, store):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(found("drain", "bridge", "h1")))
    thread.start()
    seen = store.snapshot()
    while not (HOST in seen.objects and drained(store, HOST)):
        changed = store.wait(seen, 10)
        assert changed is not None
        seen = changed[0]
    report(store, HOST, drained_condition(used(0), (), False))
    thread.join(30)
    (done,) = outcome
    assert done.code == OK
    lines = done.out.splitlines()
    assert lines[0] == "bridge of host h1 is being drained"
    assert lines[-2:] == [
        "  no path leads over it, and its ports carry nothing but probes",
        "bridge of host h1 is drained",
    ]


def test_what_is_not_empty_in_time_says_why(found, store):
    assert found("drain", "bridge", "h1", "--no-wait").code == OK
    report(store, HOST, drained_condition(used(2), (), None))
    late = found("drain", "bridge", "h1", "--timeout", "0")
    assert late.code == TIMED_OUT
    assert "is drained already" in late.out
    assert "2 paths still lead over it" in late.err


def test_what_was_reported_of_an_earlier_state_does_not_count(found, store):
    store.report([Status(HOST, 0, (Condition("Drained", "True", "Empty"),), {})])
    late = found("drain", "bridge", "h1", "--timeout", "0")
    assert late.code == TIMED_OUT
    assert "waiting for the controller" in late.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("drain", "network", "web"), USAGE),
        (("drain", "link", "h1-h9"), NOT_FOUND),
        (("drain", "bridge", "h9"), NOT_FOUND),
        (("drain", "link", "a/b"), USAGE),
        (("drain", "link", "h1-h2", "--timeout", "soon"), USAGE),
    ],
)
def test_bad_requests_change_nothing(found, store, words, code):
    before = store.snapshot()
    assert found(*words).code == code
    assert store.snapshot() is before


def test_a_dry_run_says_what_it_would_write(found, store):
    before = store.snapshot()
    done = found("drain", "link", "h1-h2", "--dry-run=server")
    assert (done.code, "link/h1-h2 created (dry run)" in done.out) == (OK, True)
    assert "host/h1 updated (dry run)" in found("drain", "bridge", "h1", "--dry-run").out
    assert found("drain", "link", "none", "--dry-run").code == NOT_FOUND
    assert store.snapshot() == before
    found("drain", "link", "h1-h2", "--no-wait")
    told = found("drain", "link", "h1-h2", "--undo", "--dry-run").out
    assert "link/h1-h2 deleted (dry run)" in told
    assert drained(store, LINK)
