# SPDX-License-Identifier: Apache-2.0
"""The process that finds out which assertions hold runs while it is wanted, and no longer."""

import sys

import eventlet
import pytest

from vneter_sdn.config import Settings
from vneter_sdn.daemon import judgements
from vneter_sdn.daemon.judgements import Judgements
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.resources import edit_of
from vneter_sdn.store.memory import MemoryStore

pytestmark = pytest.mark.timeout(120)
ENDS = {"source": {"endpoints": {}}, "target": {"endpoints": {}}}
SAYS = """
print(json.dumps({"revision": 3, "against": {"a": "no"}, "seconds": 0.5}), flush=True)
sys.stdin.read()
"""
LATE = """
print(json.dumps({"revision": 3, "against": None, "seconds": 9.0}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def wanted():
    """A snapshot with an assertion."""
    store = MemoryStore()
    manifest = {"apiVersion": "vneter.io/v1", "kind": "Assertion", "metadata": {"name": "a"}}
    store.apply([edit_of(manifest | {"spec": ENDS})], author="test")
    return store.snapshot()


@pytest.fixture
def start(monkeypatch, tmp_path):
    made = []

    def run(script, **settings):
        monkeypatch.setattr(judgements, "IDLE", 0.01)
        monkeypatch.setattr(judgements, "BACK_OFF", 0.01)
        words = (sys.executable, "-c", f"import json, sys\n{script}")
        monkeypatch.setattr(judgements, "command", lambda *_: words)
        heard = []
        one = Judgements(Settings(run_dir=str(tmp_path), **settings), heard.append)
        made.append(one)
        return one, heard

    yield run
    for one in made:
        one.close()


def until(condition):
    while not condition():
        eventlet.sleep(0.01)


def test_it_runs_while_there_are_assertions(start, wanted, monkeypatch):
    one, heard = start(SAYS)
    monkeypatch.setattr(judgements, "LINGER", 0.05)
    task = eventlet.spawn(one.run)
    one.stored(wanted, None)
    until(lambda: heard)
    assert (heard[0].revision, heard[0].against, heard[0].seconds) == (3, {"a": "no"}, 0.5)
    process = one._process
    one.stored(MemoryStore().snapshot(), [Key("Assertion", "", "a")])
    until(lambda: one._process is None)
    assert process.poll() is not None
    one.close()
    task.wait()


def test_it_is_started_again_and_what_it_said_is_not_known_until_then(start, wanted):
    one, heard = start("sys.exit(1)")
    one.stored(wanted, None)
    task = eventlet.spawn(one.run)
    until(lambda: len(heard) > 1)
    assert [said.against for said in heard[:2]] == [None, None]
    assert "ended" in heard[0].why
    one.close()
    task.wait()


def test_what_is_not_found_out_in_time_is_said_with_the_limit(start, wanted):
    one, heard = start(LATE, assertion_limit=9.0)
    one.stored(wanted, None)
    task = eventlet.spawn(one.run)
    until(lambda: heard)
    assert heard[0].against is None
    assert "within 9 s (assertion_limit)" in heard[0].why
    one.close()
    task.wait()


def test_once_closed_none_is_started_any_more(start, wanted):
    one, heard = start(SAYS)
    one.stored(wanted, None)
    task = eventlet.spawn(one.run)
    until(lambda: heard)
    one.close()
    task.wait()
    assert one._process is None


def test_a_limit_of_nothing_starts_none(start, wanted):
    one, _ = start(SAYS, assertion_limit=0.0)
    one.stored(wanted, None)
    task = eventlet.spawn(one.run)
    eventlet.sleep(0.1)
    assert one._process is None
    one.close()
    task.wait()
