# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up`` as an operator meets it: what it says, refuses and leaves behind."""

import io
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from vneter_sdn.cli.up import banner
from vneter_sdn.client import Client, Tls
from vneter_sdn.config import Settings
from vneter_sdn.daemon.children import Child
from vneter_sdn.daemon.preflight import check
from vneter_sdn.errors import SouthboundError, Unauthenticated
from vneter_sdn.fleet.controller import answers
from vneter_sdn.telemetry import logs

pytestmark = pytest.mark.timeout(400)
PATIENCE = 120
"""Seconds for a start or an end, on a machine that has much else to do."""


def _free_port():
    """One outside the range from which outgoing connections get theirs: those would take it."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return probe.getsockname()[1]


@pytest.fixture
def scratch():
    with tempfile.TemporaryDirectory(prefix="vu") as made:  # short: sockets are made in it
        yield Path(made)


@pytest.fixture
def start(scratch):
    running = []

    def run(*words, hangup="default", **settings):
        known = {
            "VNETER_STATE_DIR": scratch / "state",
            "VNETER_RUN_DIR": scratch / "run",
            "VNETER_API_LISTEN": f"127.0.0.1:{_free_port()}",
            "VNETER_METRICS_LISTEN": f"127.0.0.1:{_free_port()}",
        } | {f"VNETER_{name}": value for name, value in settings.items()}
        log = scratch / f"log{len(running)}"
        # Who runs the tests may have been started by nohup, and that is inherited.
        env = ("/usr/bin/env", f"--{hangup}-signal=HUP")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*env, sys.executable, "-m", "vneter_sdn", "up", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {name: str(value) for name, value in known.items()},
                start_new_session=True,
            )
        running.append(process)
        return process, f"http://{known['VNETER_API_LISTEN']}", log

    yield run
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)


def _await(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.ovs
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_logs_json_lines_and_leaves_nothing_in_its_run_directory(start, scratch, ending):
    process, server, log = start()
    _await(lambda: answers(server), process)
    _await(lambda: "ready at" in log.read_text(), process)
    process.send_signal(ending)
    assert process.wait(PATIENCE) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["message"] for one in records][-2:] == [
        f"ready at {server}",
        "stopped; bridges keep what they hold",
    ]
    assert [one for one in records if one["level"] != "info"] == []
    assert not (scratch / "run").exists()
    assert (scratch / "state" / "vneter.db").exists()


@pytest.mark.ovs
def test_started_by_nohup_it_goes_on_when_its_terminal_is_gone(start):
    process, _, log = start(hangup="ignore")
    _await(lambda: "ready at" in log.read_text(), process)
    status = Path(f"/proc/{process.pid}/status").read_text()
    ignored = int(re.search(r"^SigIgn:\s*(\w+)", status, re.MULTILINE)[1], 16)
    assert ignored >> (signal.SIGHUP - 1) & 1


@pytest.mark.ovs
def test_a_second_one_is_refused_and_disturbs_nothing(start, scratch):
    process, server, _ = start()
    _await(lambda: answers(server), process)
    for named, directory in (({}, "state"), ({"STATE_DIR": scratch / "other"}, "run")):
        second, _, log = start(**named)
        assert second.wait(PATIENCE) == 1
        said = f"another controller (pid {process.pid}) runs on {scratch / directory};"
        assert said in log.read_text()
    assert answers(server)


@pytest.mark.ovs
def test_a_port_in_use_is_refused_at_once(start, scratch):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        process, _, log = start(API_LISTEN=address)
        assert process.wait(PATIENCE) == 1
    assert log.read_text().startswith(f"error: cannot listen at {address}: Address already in use")
    assert not (scratch / "state").exists()


@pytest.fixture
def tls(scratch):
    """Settings of a certificate that is its own authority."""
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=up"
    paths = {"API_TLS_CERTIFICATE": scratch / "c.pem", "API_TLS_KEY": scratch / "k.pem"}
    files = ["-out", paths["API_TLS_CERTIFICATE"], "-keyout", paths["API_TLS_KEY"]]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", *words.split(), *names, *files], check=True, capture_output=True, timeout=60
    )
    return paths


@pytest.mark.ovs
def test_open_to_the_network_it_ends_when_nobody_could_use_it(start, scratch, tls):
    process, _, log = start(API_LISTEN=f"0.0.0.0:{_free_port()}", **tls)
    assert process.wait(PATIENCE) == 1
    assert "\nerror: nobody could use 0.0.0.0:" in log.read_text()
    assert "--api-first-token FILE" in log.read_text()
    assert not (scratch / "run").exists()


@pytest.mark.ovs
def test_open_to_the_network_a_first_token_lets_in(start, scratch, tls):
    port, path = _free_port(), scratch / "first"
    process, _, log = start(API_LISTEN=f"0.0.0.0:{port}", API_FIRST_TOKEN=path, **tls)
    _await(lambda: "ready at" in log.read_text(), process)
    trusted, server = Tls(ca=str(tls["API_TLS_CERTIFICATE"])), f"https://127.0.0.1:{port}"
    token = path.read_text().strip()
    assert Client(server, token=token, tls=trusted).whoami()["name"] == "token:first"
    with pytest.raises(Unauthenticated):
        Client(server, tls=trusted).status()
    assert Client(f"unix:{scratch}/run/api.sock").whoami()["via"] == "local"
    assert token not in log.read_text()
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not (scratch / "run").exists()


def test_a_directory_that_cannot_be_made_is_said_in_one_line(start):
    process, _, log = start(STATE_DIR="/proc/vneter")
    assert process.wait(PATIENCE) == 1
    assert log.read_text() == (
        "error: cannot use /proc/vneter: No such file or directory; run as root, "
        "or give --state-dir\n"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run_dir": "/run/" + "x" * 120}, "shorter --run-dir"),
        ({"api_listen": "unix:/run/" + "x" * 120}, "shorter --api-listen"),
        ({"run_dir": "/run/" + "x" * 94, "api_tls_certificate": "c"}, "shorter --run-dir"),
        ({"api_listen": "unix:/none/here"}, "in a directory there"),
        ({"api_listen": "unix:here"}, "the full path"),
        ({"metrics_listen": "192.0.2.1:80"}, "on loopback"),
        ({"metrics_listen": "127.0.0.1:http"}, "ADDRESS:PORT"),
        ({"dns_upstreams": ("192.0.2.53", "dns.example")}, "--dns-upstreams dns.example: write an"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, said):
    settings = Settings(api_listen=f"127.0.0.1:{_free_port()}")
    check(settings)
    with pytest.raises(SouthboundError, match=said):
        check(msgspec.structs.replace(settings, **changes))


def test_the_banner_says_how_to_reach_it_only_when_that_is_not_the_default():
    assert not any("VNETER_SERVER" in line for line in banner(Settings()))
    text = "\n".join(banner(Settings(api_listen="127.0.0.1:9000")))
    assert "export VNETER_SERVER=http://127.0.0.1:9000" in text
    assert all(len(line) < 100 for line in banner(Settings()))


def test_the_banner_says_which_door_is_the_administrators():
    text = "\n".join(banner(Settings(api_listen="0.0.0.0:8181", api_tls_certificate="c")))
    assert "https://0.0.0.0:8181" in text
    assert "export VNETER_SERVER=unix:/run/vneter/api.sock" in text


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_a_record(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = _Terminal()
    before = logging.root.handlers[:], logging.root.level
    try:
        logs.set_up(stream=stream)
        logging.getLogger("vneter.some.where").warning("h1: %s", "away\nand gone")
    finally:
        logging.root.handlers, logging.root.level = before
    assert stream.getvalue()[8:] == " warning  h1: away and gone\n"


def test_how_a_child_ended_is_said_by_name(caplog):
    child = Child("core", ("/bin/sh", "-c", "kill -9 $$"))
    child.start()
    child._process.wait()
    child.tend(time.monotonic())
    assert "was ended by SIGKILL" in caplog.text
