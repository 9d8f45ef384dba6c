# SPDX-License-Identifier: Apache-2.0
"""What shells are told, and what they make of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from vneter_sdn.cli import completion_command
from vneter_sdn.cli.completing import FILES, candidates
from vneter_sdn.cli.line import ASK

SERVES = 30.0


def words(*line):
    return [one.partition("\t")[0] for one in candidates(list(line), SERVES)]


def test_commands_options_and_kinds():
    assert words("ge") == ["get"]
    assert "apply" in words("")
    assert words("--co") == ["--context"]
    assert words("fleet", "att") == ["attach"]
    assert "set-context" in words("config", "")
    assert words("get", "net") == ["network"]
    assert "--watch" in words("get", "network", "--")
    assert words("get", "network", "-o", "y") == ["yaml"]
    assert words("get", "network", "--output=j") == ["--output=json", "--output=jsonpath="]
    assert words("explain", "network.spec.v") == ["network.spec.vni"]
    assert words("completion", "z") == ["zsh"]
    assert words("logs", "co") == ["core"]
    assert words("drain", "b") == ["bridge"]
    assert words("up", "--verify-applies", "e") == ["enforce"]
    assert words("apply", "-f", "x") == [FILES]
    assert words("apply", "--file=x") == [FILES]
    assert words("fleet", "exec", "h1", "--", "ls", "x") == [FILES]
    assert words("no-such-command", "x") == []
    assert words("status", "x") == []


def test_names_come_from_the_server(applied):
    assert words("get", "network", "") == ["red/web"]
    assert words("get", "network", "red/") == ["red/web"]
    assert words("get", "net", "-t", "red", "") == ["web"]
    assert words("describe", "tenant", "r") == ["red"]
    assert words("label", "ep", "red/") == ["red/a"]
    assert words("get", "ep", "-t", "") == ["red"]
    assert words("get", "network", "red/web", "") == []
    assert words("history", "net") == ["network"]
    assert words("history", "network", "") == ["red/web"]
    assert words("fleet", "exec", "re") == ["red/a"]
    assert words("fleet", "move", "") == words("fleet", "detach", "") == ["red/a"]
    assert words("fleet", "attach", "h1", "x", "--network", "") == ["web"]
    assert words("trace", "--from", "") == words("trace", "--to", "r") == ["red/a"]
    assert words("token", "create", "x", "--role", "e") == ["editor"]
    assert words("rollback", "") == words("history", "--revision", "") == ["1"]


def test_hosts_and_credentials_come_from_the_server(vneterctl, server):
    host = b"{apiVersion: vneter.io/v1, kind: Host, metadata: {name: h1}, spec: {ovsdb: 'unix:/x'}}"
    assert vneterctl("apply", "-f", "-", stdin=host).code == 0
    assert vneterctl("token", "create", "ci").code == 0
    assert words("path", "") == words("path", "h1", "") == words("fleet", "exec", "") == ["h1"]
    assert words("token", "revoke", "") == ["ci"]
    assert words("token", "create", "") == []


def test_contexts_come_from_the_file(vneterctl, contexts, server):
    vneterctl("config", "set-context", "prod", "--server", "http://127.0.0.1:1")
    vneterctl("config", "set-context", "lab", "--server", server)
    assert words("--context", "") == ["prod", "lab"]
    assert words("get", "nets", "--context", "p") == ["prod"]
    assert words("config", "use-context", "l") == ["lab"]


@pytest.mark.parametrize(
    "line", [[], [""], ["get", "pods", "x"], ["get", "network", "--context"],
             ["--context", "none", "get", "network", ""], ["get", "\x00", ""],
             ["get", "network", "--server", "ftp://x", ""], ["\udcff", ""], ["get", "-o"]]
)  # fmt: skip
def test_nothing_is_said_when_something_is_wrong(vneterctl, line):
    ended = vneterctl(ASK, *line)
    assert (ended.code, ended.err) == (0, "")


def test_no_server_offers_nothing(vneterctl, monkeypatch):
    monkeypatch.setenv("VNETER_SERVER", "http://127.0.0.1:1")
    ended = vneterctl(ASK, "get", "network", "")
    assert ended == (0, "", "")


def test_a_server_that_dawdles_is_not_waited_for(monkeypatch, tmp_path):
    """It takes the connection and says a word now and then, for longer than the test may take."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dawdle():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    connection.sendall(b"X: y\r\n")

        other = threading.Thread(target=lambda: _quietly(dawdle))
        other.start()
        ended = _run(["get", "network", ""], f"http://127.0.0.1:{listener.getsockname()[1]}")
        over.set()
        other.join()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def _quietly(function):
    with contextlib.suppress(OSError):
        function()


def _run(line, server, **more):
    program = [sys.executable, "-c", "from vneter_sdn.cli.main import main; main()"]
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [*program, ASK, *line], capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": path, "VNETER_SERVER": server}, check=False, **more,
    )  # fmt: skip


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A shell that finds ``vneterctl``, whose answers are written down beforehand."""

    def make(name, answer):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        program = tmp_path / "vneterctl"
        (tmp_path / "answer").write_text(answer)
        program.write_text(
            f'#!/bin/sh\nshift\nprintf "<%s>" "$@" >"{tmp_path}/asked"\ncat "{tmp_path}/answer"\n'
        )
        program.chmod(0o700)
        script = tmp_path / f"completion.{name}"
        script.write_text(completion_command.SCRIPTS[name])
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return script

    make.asked = (tmp_path / "asked").read_text
    return make


def _said(*line):
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout


def _bash(script, *line):
    cursor = len(line) - 1
    quoted = " ".join(f"'{word}'" for word in line)
    text = (
        f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={cursor}; "
        "_vneterctl 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", text], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_bash(shell):
    script = shell("bash", "red/web\tof red\nred/db\t\n")
    assert _bash(script, "vneterctl", "get", "network", "red/") == ["red/web", "red/db"]
    assert shell.asked() == "<get><network><red/>"
    script = shell("bash", ":files\n")
    assert _bash(script, "vneterctl", "apply", "-f", "") == [""]
    assert shell.asked() == "<apply><-f><>"


def test_zsh(shell):
    script = shell("zsh", "red/web\tof: red\n")
    text = (
        "compdef() { :; }; _describe() { print -l -- ${(P)3}; }; _files() { print files; }; "
        f"source '{script}'; words=(vneterctl get network red/); CURRENT=4; _vneterctl"
    )
    assert _said("zsh", "-f", "-c", text) == "red/web:of: red\n"
    assert shell.asked() == "<get><network><red/>"


def test_fish(shell):
    script = shell("fish", "red/web\tof red\n")
    text = f"source '{script}'; complete -C 'vneterctl get network red/'"
    assert _said("fish", "-N", "-c", text) == "red/web\tof red\n"
    assert shell.asked() == "<get><network><red/>"


def test_scripts_are_printed(vneterctl):
    for name, script in completion_command.SCRIPTS.items():
        assert vneterctl("completion", name).out == script
    assert vneterctl("completion", "tcsh").code == 2
