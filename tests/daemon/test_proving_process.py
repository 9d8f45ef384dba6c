# SPDX-License-Identifier: Apache-2.0
"""Proofs beside a whole controller: changes before they are written, assertions after that."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from asserted import DENY, NETWORK, manifests

from vneter_sdn.client import Client
from vneter_sdn.errors import IntentError
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.northbound.conditions import condition_of
from vneter_sdn.store.ovsdb import OvsdbStore

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(400)]
PATIENCE = 120
"""Seconds, on a machine that has much else to do."""


def free_port():
    """One outside the range from which outgoing connections get theirs."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return probe.getsockname()[1]


def until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


class Running:
    """A controller with two endpoints that are somewhere."""

    def __init__(self, scratch, *words):
        self.scratch = scratch
        api, self.metrics = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        known = {"STATE_DIR": scratch / "s", "RUN_DIR": scratch / "r", "API_LISTEN": api}
        known["METRICS_LISTEN"] = self.metrics
        with (scratch / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vneter_sdn", "up", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {f"VNETER_{name}": str(value) for name, value in known.items()},
                start_new_session=True,
            )
        self.client = Client(f"http://{api}", timeout=PATIENCE)
        until(self.client.ready, self.process)

    def begin(self):
        self.client.apply(manifests(NETWORK), "", False)
        store = OvsdbStore(f"unix:{self.scratch}/r/db.sock")
        ends = enumerate((("a", "h1"), ("b", "h2")), 1)
        store.bind([Binding(Key("Endpoint", "red", e), h, "p1", 1, n) for n, (e, h) in ends])
        store.close()
        return self

    def apply(self, text):
        return self.client.apply(manifests(text), "", False)

    def holds(self):
        return condition_of(self.client.get("Assertion", "", "talk"), "Holds") or {}

    def await_holds(self, status):
        return until(lambda: self.holds() if self.holds().get("status") == status else None,
                     self.process)  # fmt: skip

    def provers(self):
        """Processes of ours that prove something."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"vneter_sdn.daemon.prover" in words and str(self.scratch).encode() in words[-3]:
                    found.append(int(entry.name))
        return found

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)


@pytest.fixture
def controller():
    with tempfile.TemporaryDirectory(prefix="vp") as scratch:  # short: sockets are made in it
        running = []

        def start(*words):
            running.append(Running(Path(scratch), *words))
            return running[-1]

        yield start
        for one in running:
            one.end()


def refusal(running, text):
    with pytest.raises(IntentError) as refused:
        running.apply(text)
    return refused.value.problems


def proven(running, text):
    """Tried until the proving process has compiled what there is."""

    def tried():
        try:
            return running.apply(text)
        except IntentError as error:
            if {one.reason for one in error.problems} == {"NotProven"}:
                return None
            raise

    return until(tried, running.process)


def test_what_breaks_an_assertion_is_refused_with_a_packet_and_the_time(controller):
    running = controller("--verify-applies", "enforce")
    proven(running, NETWORK)
    running.begin()
    done = proven(running, DENY.replace("PORT", "81"))
    assert done.updated or done.created
    assert done.proven > 0
    (problem,) = refusal(running, DENY.replace("PORT", "80"))
    assert (problem.object, problem.reason) == ("Assertion talk", "BreaksAssertion")
    assert "tcp/80 from Endpoint red/a on h1 to Endpoint red/b" in problem.message
    assert "that took" in problem.message
    assert (
        running.client.get("Policy", "red", "deny")["spec"]["ingress"][0]["ports"][0]["port"] == 81
    )


def test_what_is_not_proven_in_time_is_refused_or_written_with_a_note(controller):
    running = controller("--verify-applies", "enforce", "--verify-limit", "0.1")
    late = refusal_in_time(running)
    assert "verify_limit" in late or "still compiled" in late


def refusal_in_time(running):
    """What is said of a change that cannot be proven in time, for its prover is held up."""
    (prover,) = until(running.provers, running.process)
    os.kill(prover, signal.SIGSTOP)
    try:
        (problem,) = refusal(running, NETWORK)
    finally:
        os.kill(prover, signal.SIGCONT)
    assert problem.reason == "NotProven"
    return problem.message


def test_whether_assertions_hold_is_told_after_every_change(controller):
    running = controller()
    assert running.provers() == []
    running.begin()
    running.await_holds("True")
    running.apply(DENY.replace("PORT", "80"))
    broken = running.await_holds("False")
    assert broken["reason"] == "Broken"
    assert "Endpoint red/a cannot open tcp/80 to Endpoint red/b" in broken["message"]
    assert "by Policy red/deny ingress[0]: drop" in broken["message"]
    assert 'vneter_assertions{holds="false"} 1.0' in metrics(running)
    assert running.client.get("Assertion", "", "talk")["status"]["holds"] == "False"
    (prover,) = running.provers()
    os.kill(prover, signal.SIGKILL)
    running.await_holds("Unknown")
    running.apply(DENY.replace("PORT", "81"))
    running.await_holds("True")
    log = (running.scratch / "log").read_text()
    assert "Assertion talk does not hold: Endpoint red/a cannot open tcp/80" in log
    running.end()
    assert running.provers() == []


def metrics(running):
    with urllib.request.urlopen(f"http://{running.metrics}/metrics", timeout=PATIENCE) as answer:
        return answer.read().decode()


def test_nobody_asks_where_that_is_not_wanted(controller):
    running = controller("--assertion-limit", "0").begin()
    until(lambda: condition_of(running.client.get("Assertion", "", "talk"), "Ready"),
          running.process)  # fmt: skip
    assert running.holds() == {}
    assert running.provers() == []
