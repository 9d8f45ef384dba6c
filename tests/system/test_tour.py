# SPDX-License-Identifier: Apache-2.0
"""The five minutes of README.md, typed line by line into a terminal, with real hosts.

Every line is sent as it is written, and what it answers is read as a person would: when the next
prompt is there. A command of the tour that nothing is expected of here is an error, too.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import tear_down
from vneter_sdn.fleet.system import namespaces

pytestmark = pytest.mark.fleet
ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 120, 40
PATIENCE = 90
"""Seconds that one line may take, on a machine that has much else to do."""
PROMPT = re.compile(r"<(?:\d+):(\d+)> |<more> ")
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")
TOUR = (
    ("scripts/setup", r"setup: ready"),
    ("export PATH=", r""),
    ("vneterctl up &", r"\[1\] \d+"),
    ("vneterctl fleet up --hosts 3", r"3 hosts are up after [\s\S]*registered 3 hosts at http://"),
    (
        "vneterctl apply -f -",
        r"tenant/red created\s+network/red/web created\s+network/red/db created\s+revision \d+",
    ),
    ("vneterctl fleet attach h1 a", r"red/a on h1: 10\.0\.1\.\d+/24"),
    ("vneterctl fleet attach h2 b", r"red/b on h2: 10\.0\.1\.\d+/24"),
    ("vneterctl fleet attach h3 c", r"red/c on h3: 10\.0\.2\.10/24"),
    (
        "vneterctl get endpoints -o wide",
        r"TENANT +NAME[\s\S]*red +a +web[\s\S]*red +b +web[\s\S]*red +c +db",
    ),
    ("vneterctl fleet exec red/a -- ping -c1 10.0.2.10", r"1 received, 0% packet loss"),
    ("vneterctl fleet probe --tcp 80 --udp 53", r"PASS: all 36 probes agree"),
    ("vneterctl status", r"everything is ready"),
    ("vneterctl recompute --check", r"all 3 bridges are as a fresh computation has them"),
    ("vneterctl describe host h1", r"Host h1\n[\s\S]*InSync: yes"),
    ("vneterctl fleet exec h1 -- ovs-ofctl", r"table=route,.*actions="),
    ("vneterctl fleet move red/c h2", r"red/c: h3 -> h2"),
    ("vneterctl fleet probe", r"PASS: all \d+ probes agree"),
    ("vneterctl fleet down", r"the fleet is down"),
    ("vneterctl delete network red/web", r"network/red/web deleted"),
    ("vneterctl delete network red/db", r"network/red/db deleted"),
    ("vneterctl delete tenant red", r"tenant/red deleted"),
    ("kill %1", r""),
    ("vneterctl compile -f flows/scenarios/overlapping-tenants -o out/", r"out"),
)
"""What every command of the tour answers, in its order: how it begins, and what is to be seen."""


def blocks():
    """The shell blocks below "Five minutes", in order."""
    text = (ROOT / "README.md").read_text("utf-8")
    section = re.search(r"^## Five minutes$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```sh\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Terminal:
    """A shell in a terminal of a fixed size: what is typed into it, and what it shows."""

    def __init__(self, directory: Path, variables):
        self._socket, fifo = directory / "tmux", directory / "shown"
        self._environment = os.environ | variables | {
            "FIRST": r"<\#:$?> ", "MORE": "<more> ", "HISTFILE": "/dev/null", "LC_ALL": "C.UTF-8",
            "TERM": "screen", "INPUTRC": "/dev/null",
        }  # fmt: skip
        self._environment.pop("TMUX", None)
        self._environment.pop("NO_COLOR", None)
        os.mkfifo(fifo)
        self._shown = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self._keep = os.open(fifo, os.O_WRONLY)  # so that it never ends
        self._directory, self.text = directory, ""

    def __enter__(self):
        # The shell waits for its line until somebody looks at what it shows.
        shell = "read -r _; PS1=$FIRST PS2=$MORE exec bash --norc --noprofile"
        self._tmux(
            "-u", "-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES),
            "-c", str(self._directory), f"sh -c '{shell}'",
        )  # fmt: skip
        self._tmux("set-option", "-g", "default-terminal", "screen")
        self._tmux("pipe-pane", "-o", f"exec cat >'{self._directory}/shown'")
        self._shell = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        self._tmux("send-keys", "Enter")
        self.until(lambda: PROMPT.search(self.text), "a prompt")
        return self

    def __exit__(self, *_):
        jobs = Path(f"/proc/{self._shell}/task/{self._shell}/children")
        with contextlib.suppress(OSError):
            for pid in map(int, jobs.read_text().split()):
                ended(pid)
        with contextlib.suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")
        os.close(self._shown)
        os.close(self._keep)

    def _tmux(self, *words):
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], env=self._environment, check=True,
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        return done.stdout.strip()

    def until(self, condition, what):
        """Read what is shown until something is true of it."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            left = deadline - time.monotonic()
            assert left > 0, f"no {what} in {PATIENCE} s; seen so far:\n{self.text}"
            if select.select([self._shown], [], [], left)[0]:
                data = os.read(self._shown, 65536).decode("utf-8", "replace")
                self.text += ESCAPES.sub("", data).replace("\r", "")
        return found

    def type(self, line):
        """Type a line; what is shown up to the next prompt, and that prompt."""
        before, start = len(PROMPT.findall(self.text)), len(self.text)
        if line:
            self._tmux("send-keys", "-l", "--", line)
        self._tmux("send-keys", "Enter")
        self.until(lambda: len(PROMPT.findall(self.text)) > before, f"prompt after {line!r}")
        prompt = list(PROMPT.finditer(self.text))[before]
        return self.text[start : prompt.start()], prompt


def ended(pid):
    """Tell a process to end, and wait until it has."""
    with contextlib.suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(watched, signal.SIGTERM)
            select.select([watched], [], [], 30)
        finally:
            os.close(watched)


@pytest.fixture
def place():
    """A checkout, directories, addresses and names that are nobody else's, as variables."""
    if os.geteuid():
        pytest.skip("a fleet needs root; scripts/test runs as root")
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed; scripts/test installs it")
    parent = os.environ.get("VNETER_TEST_FLEETS") or None
    with tempfile.TemporaryDirectory(prefix="vs", dir=parent) as scratch:
        prefix = f"vt{digest_of(scratch)[:7]}"
        layout = Layout(prefix, Path(parent or scratch) / prefix)
        address = free_address()
        variables = {
            "VNETER_STATE_DIR": f"{scratch}/state",
            "VNETER_RUN_DIR": str(layout.run_dir),
            "VNETER_FLEET_PREFIX": prefix,
            "VNETER_API_LISTEN": address,
            "VNETER_SERVER": f"http://{address}",
            "VNETER_METRICS_LISTEN": free_address(),
            "VNETER_CONFIG": f"{scratch}/contexts.toml",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        checkout(Path(scratch))
        try:
            yield Path(scratch), layout, variables
        finally:
            tear_down(layout)


def checkout(scratch):
    """What of a checkout the tour needs; installed is what runs the tests."""
    for name in ("flows", "topologies"):
        (scratch / name).symlink_to(ROOT / name)
    for path, text in (
        ("scripts/setup", "echo setup: ready"),
        (".venv/bin/vneterctl", f"exec '{sys.executable}' -W ignore -m vneter_sdn \"$@\""),
    ):
        file = scratch / path
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        file.chmod(0o755)


def alone(told):
    """What a command answered, without what the controller behind it logged meanwhile."""
    return re.sub(r"^\d\d:\d\d:\d\d [a-z]+ .*\n?", "", told, flags=re.MULTILINE)


@pytest.mark.timeout(600)
def test_the_five_minutes_work_as_written(place):
    scratch, layout, variables = place
    expected = iter(TOUR)
    with Terminal(scratch, variables) as terminal:
        begins, command, seen = "", "", ""
        for line in "\n".join(blocks()).splitlines():
            told, prompt = terminal.type(line)
            command, seen = command or line, seen + told
            if prompt[1] is None or not command.strip():  # there is more of it, or nothing
                command, seen = command.strip() and command, seen if command.strip() else ""
                continue
            begins, words = next(expected, ("nothing more", ""))
            assert command.startswith(begins), f"expected {begins!r}, the tour has {command!r}"
            assert prompt[1] == "0", f"{command!r} ended with {prompt[1]}:\n{terminal.text}"
            answer = seen.partition("\n")[2]
            assert re.search(words, alone(answer)), f"{command!r} answered\n{answer}"
            command, seen = "", ""
        assert next(expected, None) is None, "the tour lacks what is expected of it"
        terminal.until(lambda: "stopped; bridges keep" in terminal.text, "end of the controller")
        for words in ("Traceback", "error:", " error "):
            assert words not in terminal.text, terminal.text
    assert (scratch / "out" / "h1.flows").exists()
    assert namespaces(layout) == []
    assert not layout.run_dir.exists()
