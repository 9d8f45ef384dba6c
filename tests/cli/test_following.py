# SPDX-License-Identifier: Apache-2.0
"""get --watch, events and logs: what is told as it comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.logs import log_file

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from vneter_sdn.cli.main import main
main()
"""
"""A command that hears SIGINT, though who runs the tests may not: shells have what runs in the
background ignore it."""
WEB = Key("Network", "red", "web")


def tenant(name, **spec):
    return {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": name},
            "spec": spec}  # fmt: skip


def ready(status="True", reason="Programmed", ago=0.0, message=""):
    changed = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    return Status(WEB, 1, (Condition("Ready", status, reason, message, changed),))


class Following:
    """A command in a process of its own, whose lines are read as they come."""

    def __init__(self, *words):
        program = [sys.executable, "-c", INTERRUPTIBLE]
        path = os.pathsep.join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [*program, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self, *words):
        """The next line that has some words."""
        while True:
            found = self.process.stdout.readline()
            assert found, (words, self.process.stderr.read())
            if all(word in found for word in words):
                return found.rstrip("\n")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


def test_a_watch_tells_what_is_and_what_comes(server, applied, store):
    with Following("get", "tenants", "--watch") as watch:
        assert watch.line("CHANGE").split()[:2] == ["CHANGE", "NAME"]
        assert watch.line("red").startswith("added")
        store.apply([Edit("apply", Key("Tenant", "", "blue"), tenant("blue"))], author="me")
        assert watch.line("blue").startswith("added")
        changed = tenant("blue", description="x")
        store.apply([Edit("apply", Key("Tenant", "", "blue"), changed)], author="me")
        assert watch.line("blue").startswith("modified")
        store.apply([Edit("delete", Key("Tenant", "", "blue"))], author="me")
        assert watch.line("blue").startswith("deleted")
        assert watch.interrupt() == (130, "")


def test_a_watch_for_programs(server, applied, store):
    words = ["get", "net", "red/web", "-w", "-o"]
    with Following(*words, "json") as watch, Following(*words, "name") as names:
        first = json.loads(watch.line())
        assert (first["type"], first["object"]["metadata"]["name"]) == ("added", "web")
        assert names.line() == "network/red/web"
        store.report([ready()])
        then = json.loads(watch.line())
        assert then["type"] == "modified"
        assert then["object"]["status"]["conditions"][0]["status"] == "True"
        assert names.line() == "network/red/web"
    with Following("get", "net", "-w", "-o", "jsonpath={.metadata.name}={.spec.mtu}") as watch:
        assert watch.line() == "web=1400"
    with Following("get", "net", "-w", "-o", "yaml") as watch:
        assert watch.line() == "---"


def test_a_watch_whose_reader_leaves(server, applied, store):
    with Following("get", "net", "-w") as watch:
        watch.line("web")
        watch.process.stdout.close()
        store.report([ready()])
        assert watch.process.wait(60) == 0
        assert watch.process.stderr.read() == ""


def test_events_of_the_journal_and_of_conditions(vneterctl, applied, store):
    store.report([ready("False", "NoPath", 30, "nothing leads there")])
    lines = vneterctl("events").out.splitlines()
    assert any("revision 1  by " in line and "created Tenant red" in line for line in lines)
    told = [line for line in lines if "network/red/web" in line]
    assert any("Ready=False NoPath  nothing leads there" in line for line in told)
    assert [line[:19] for line in lines] == sorted(line[:19] for line in lines)
    assert "NoPath" not in vneterctl("events", "--since", "5s").out
    only = vneterctl("events", "network", "red/web", "-o", "json").out.splitlines()
    found = [json.loads(line) for line in only]
    assert {one["about"] for one in found} == {"network/red/web", "revision 1"}
    assert "Tenant red" not in "".join(only)
    assert set(found[0]) == {"time", "about", "reason", "message"}
    assert vneterctl("events", "host").out == ""


@pytest.mark.parametrize("words", [["pods"], ["-o", "xml"], ["--since", "x"], ["network", "web"]])
def test_events_that_make_no_sense(vneterctl, server, words):
    assert vneterctl("events", *words).code == 2


def test_events_as_they_come(server, applied, store):
    with Following("events", "-f") as events:
        events.line("revision 1", "by ")
        store.report([ready("False", "NoPath", message="nothing leads there")])
        assert "nothing leads there" in events.line("network/red/web", "Ready=False NoPath")
        store.apply(
            [Edit("apply", Key("Tenant", "", "blue"), tenant("blue"))], author="ada", message="why"
        )
        events.line("revision 2", "by ada", "why: created Tenant blue")
        events.line("tenant/blue", "created")
        store.apply([Edit("delete", Key("Tenant", "", "blue"))], author="ada")
        events.line("tenant/blue", "deleted")
        assert events.interrupt()[0] == 130


@pytest.fixture
def written(tmp_path):
    """Logs of a controller that is gone."""

    def write(process, *records):
        file = log_file(str(tmp_path), process)
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.writelines(f"{line if isinstance(line, str) else json.dumps(line)}\n"
                           for line in records)  # fmt: skip
        return file

    def record(message, ago=0.0, level="info", **more):
        at = datetime.now(UTC) - timedelta(seconds=ago)
        text = at.isoformat(timespec="milliseconds")
        return {"time": text, "level": level, "logger": "x", "message": message, **more}

    write.record = record
    write.directory = tmp_path
    return write


def test_logs_of_all_processes_by_time(vneterctl, written):
    record = written.record
    written("core", record("second", 50, host="h1"), record("fourth", 5, "warning"))
    written("api", record("first", 60, "error", exception="Traceback\n  boom"))
    stamp = (datetime.now(UTC) - timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%S.123Z")
    written("database", f"{stamp}|00002|ovsdb_server|WARN|third | with a bar", "not a line of it")

    def told(*words):
        ended = vneterctl("logs", "--state-dir", written.directory, *words)
        assert ended.code == 0, ended.err
        return ended.out

    whole = told()
    order = [whole.index(word) for word in ("first", "second", "third | with a bar", "fourth")]
    assert order == sorted(order)
    assert "host=h1" in whole
    assert "    Traceback" in whole
    assert "first" not in told("core")
    assert [line.split()[-1] for line in told("--level", "warning").splitlines()
            if "oom" not in line and "Trace" not in line and "not a line" not in line
            ] == ["first", "bar", "fourth"]  # fmt: skip
    assert "second" not in told("--since", "30s")
    assert "fourth" in told("--since", "30s")
    assert len(told("--tail", "1").splitlines()) == 1
    last = json.loads(told("--tail", "1", "-o", "json"))
    assert (last["process"], last["message"]) == ("core", "fourth")


def test_logs_over_a_rotation_and_a_crash(vneterctl, written):
    file = written("core", written.record("old", 9))
    file.rename(file.with_name(f"{file.name}.1"))
    file = written("core", written.record("new", 1))
    with file.open("ab") as log:
        log.write(b'{"time": "2026-01-01T00:00:00+00:00", "lev\xff\x1b[2J\n{"half')
    out = vneterctl("logs", "--state-dir", written.directory).out
    assert "old" in out
    assert "new" in out
    assert "\x1b" not in out


def test_logs_as_they_come(written):
    file = written("core", written.record("before"))
    with Following("logs", "-f", "--state-dir", written.directory) as logs:
        logs.line("before")
        written("core", written.record("after"))
        logs.line("after")
        file.rename(file.with_name(f"{file.name}.1"))
        written("core", written.record("rotated " * 500))  # longer than what was read before
        assert logs.line("rotated").startswith("20"), "the time of a whole record"
        written("api", written.record("another"))
        logs.line("api", "another")
        assert logs.interrupt()[0] == 130


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["none"], 2),
        (["--level", "loud"], 2),
        (["-o", "xml"], 2),
        (["--since", "x"], 2),
        (["--tail", "-1"], 2),
        ([], 3),
    ],
)
def test_logs_that_are_none(vneterctl, tmp_path, words, code):
    ended = vneterctl("logs", "--state-dir", tmp_path, *words)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("error: ")


@pytest.fixture
def restarting(store, monkeypatch):
    """A server that can be stopped, and started again where it was."""
    running = []

    def start(listen="127.0.0.1:0"):
        server = Server(store, Settings(api_listen=listen))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        monkeypatch.setenv("VNETER_SERVER", server.address)
        return server.address.removeprefix("http://")

    def stop():
        server, thread = running.pop()
        server.stop()
        thread.join(30)

    yield start, stop
    while running:
        stop()


def test_a_server_that_vanishes_is_waited_for(restarting, vneterctl, red, store):
    start, stop = restarting
    listen = start()
    assert vneterctl("apply", "-f", red).code == 0
    with Following("get", "tenants", "-w") as watch:
        watch.line("red")
        stop()
        assert "trying again" in watch.process.stderr.readline()
        store.apply([Edit("apply", Key("Tenant", "", "blue"), tenant("blue"))], author="me")
        start(listen)
        assert watch.line("blue").startswith("added")
        assert watch.interrupt()[0] == 130
