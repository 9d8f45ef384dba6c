# SPDX-License-Identifier: Apache-2.0
"""What the REST server asks of the core, over a socket between the two."""

import json
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import eventlet
import msgspec
import pytest

from vneter_sdn.daemon import errand
from vneter_sdn.daemon.heartbeat import errand_socket
from vneter_sdn.errors import (
    Conflict,
    IntentError,
    NotFound,
    Problem,
    StoreUnavailable,
    VneterError,
)
from vneter_sdn.northbound.schemas import Injection

ASKED = Injection(tenant="red", source="a", target="b", protocol="tcp", port=80)


@contextmanager
def core(do):
    """A core in a thread of its own, which does errands."""
    ready, stop = threading.Event(), threading.Event()

    def run(directory):
        serving = eventlet.spawn(errand.serve, directory, do)
        while not stop.is_set():
            eventlet.sleep(0.01)
            if errand_socket(directory).exists():
                ready.set()
        serving.kill()

    with tempfile.TemporaryDirectory(prefix="vc") as directory:  # sockets have short paths
        thread = threading.Thread(target=run, args=(directory,))
        thread.start()
        try:
            assert ready.wait(10)
            yield directory
        finally:
            stop.set()
            thread.join(10)


def test_an_errand_is_done():
    asked = []

    def do(one):
        asked.append(one)
        return {"seen": []}

    with core(do) as directory:
        assert errand.ask(directory, ASKED) == {"seen": []}
        mode = stat.S_IMODE(errand_socket(directory).stat().st_mode)
    assert asked == [ASKED]
    assert mode & 0o077 == 0  # nobody else's to ask


@pytest.mark.parametrize(
    "error",
    [
        Conflict("one at a time"),
        NotFound("no such endpoint"),
        IntentError(Problem("trace from a", "", "NotAttached", "is on no port")),
        VneterError("something else"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_the_core_raises_is_raised_here(error):
    def do(_asked):
        raise error

    with core(do) as directory, pytest.raises(type(error)) as raised:
        errand.ask(directory, ASKED)
    assert str(raised.value) == str(error)
    if isinstance(error, IntentError):
        assert raised.value.problems == error.problems


def test_a_fault_of_the_core_is_told_and_the_next_one_may_ask(caplog):
    faults = [ZeroDivisionError()]

    def do(_asked):
        if faults:
            raise faults.pop()
        return {}

    with core(do) as directory:
        with pytest.raises(VneterError, match="its log says how"):
            errand.ask(directory, ASKED)
        assert errand.ask(directory, ASKED) == {}
    assert "ZeroDivisionError" in caplog.text


def test_without_a_core(tmp_path):
    with pytest.raises(StoreUnavailable, match="the core does not answer: No such file"):
        errand.ask(str(tmp_path), ASKED)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"nonsense", json.dumps({**msgspec.to_builtins(ASKED), "port": -1}).encode()],
)
def test_nonsense_is_refused(line):
    answer = errand._done(line, lambda asked: {"done": True})
    assert set(answer) == {"error", "told"}


def test_a_line_has_a_bound():
    class Endless:
        def recv(self, size):
            return b"x" * size

    with pytest.raises(OSError, match="whole line"):
        errand._line(Endless(), Path(__file__).stat().st_size)
