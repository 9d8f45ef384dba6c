# SPDX-License-Identifier: Apache-2.0
"""The five minutes of README.md, word for word, with real hosts."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import tear_down
from vneter_sdn.fleet.system import namespaces

pytestmark = pytest.mark.fleet
ROOT = Path(__file__).parents[2]
INSTALLING = ("scripts/setup", "export PATH=")
"""What the tour begins with, and the tests have behind them."""


def blocks():
    """The shell blocks below "Five minutes", in order."""
    text = (ROOT / "README.md").read_text("utf-8")
    section = re.search(r"^## Five minutes$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```sh\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def place():
    """Directories, addresses and names that are nobody else's, as variables."""
    if os.geteuid():
        pytest.skip("a fleet needs root; scripts/test runs as root")
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
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        try:
            yield Path(scratch), layout, variables
        finally:
            tear_down(layout)


def play(script, directory, variables, seconds):
    """Run a script as it stands; its output. All it started is told to end when it does."""
    (directory / "tour.sh").write_text(script, "utf-8")
    with (directory / "told").open("w+", encoding="utf-8") as told:
        running = subprocess.Popen(
            ["bash", "-eu", "tour.sh"], cwd=directory, env=os.environ | variables,
            stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True,
        )  # fmt: skip
        try:
            code = running.wait(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGTERM)
            running.wait(20)
        told.seek(0)
        text = told.read()
    assert code == 0, text
    return text


@pytest.mark.timeout(180)
def test_the_five_minutes_work_as_written(place):
    scratch, layout, variables = place
    for name in ("flows", "topologies"):
        (scratch / name).symlink_to(ROOT / name)
    lines = [line for block in blocks() for line in block.splitlines(keepends=True)]
    assert [line for line in lines if line.startswith(INSTALLING)] == lines[:2]
    told = play("".join([*lines[2:], "wait\n"]), scratch, variables, 150)
    for words in ("red/c on h3: 10.0.2.10/24", "1 received", "PASS: all 36 probes agree",
                  "everything is ready", "all 3 bridges are as a fresh", "the fleet is down",
                  "tenant/red deleted", "stopped; bridges keep"):  # fmt: skip
        assert words in told, told
    assert "Traceback" not in told
    assert '"level": "error"' not in told
    assert (scratch / "out" / "h1.flows").exists()
    assert namespaces(layout) == []
    assert not layout.run_dir.exists()
