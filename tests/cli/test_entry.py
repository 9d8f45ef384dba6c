# SPDX-License-Identifier: Apache-2.0
"""The program as it is started: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import vneter_sdn
from vneter_sdn.cli import main

_PROGRAM = [sys.executable, "-c", "from vneter_sdn.cli.main import main; main()"]


def _run(*arguments, **named):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [*_PROGRAM, *map(str, arguments)],
        capture_output=True, text=True, env=environment, timeout=60, check=False, **named,
    )  # fmt: skip


def test_help_tells_commands_and_exit_codes():
    ended = _run("--help")
    assert ended.returncode == 0
    for word in ("apply", "fleet", "recompute", "Exit codes:", "4   somebody else changed it"):
        assert word in ended.stdout
    assert _run().stdout == ended.stdout


def test_help_groups_every_command_and_shows_only_what_exists():
    program = main.program()
    assert sorted(name for names in main._PARTS.values() for name in names) == sorted(
        program.commands
    )
    assert {command.split()[1] for command, _ in main._EXAMPLES} <= set(program.commands)
    assert all(len(line) <= 80 for line in _run("--help").stdout.splitlines())


def test_the_version_is_told():
    assert _run("--version").stdout == f"vneterctl {vneter_sdn.__version__}\n"


def test_help_imports_nothing_heavy():
    heavy = ("flask", "eventlet", "networkx", "os_ken", "yaml", "h11", "rich", "http.client")
    code = (
        "import sys; from vneter_sdn.cli.main import run; run(['--help']);"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stderr.strip() == "[]"


def test_a_round_trip_through_processes(server, red):
    assert _run("apply", "-f", red).returncode == 0
    assert _run("get", "network", "red/web", "-o", "name").stdout == "network/red/web\n"
    assert _run("apply", "-f", "-", input=red.read_text("utf-8")).returncode == 0
    refused = _run("delete", "tenant", "red")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: Tenant red: ")
    assert _run("wait", "net", "red/web", "--timeout=0").returncode == 6


def test_a_reader_that_leaves_early_is_no_error(server, red):
    _run("apply", "-f", red)
    command = [*_PROGRAM, "get", "net", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


def test_usage_errors_are_code_2():
    ended = _run("get", "pods")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[0].startswith("error: no kind 'pods'")


@pytest.mark.parametrize("words", [["get", "networks", "-o", "yaml"], ["diff"], ["--help"]])
def test_a_disk_that_is_full_is_told(server, red, words):
    """Of commands that end with an exit code of their own, too: of what differs, diff says 1."""
    if words == ["diff"]:
        words = ["diff", "-f", str(red)]
    else:
        _run("apply", "-f", red)
    with open("/dev/full", "w", encoding="utf-8") as full:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment.pop("PYTHONUNBUFFERED", None)  # or every line is written at once
        ended = subprocess.run(
            [*_PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=environment, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "error: cannot write what this answers: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_streams_that_are_closed_are_written_to_by_nobody(server, red, closed):
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *_PROGRAM, "apply", "-f", str(red)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_server_is_named_behind_the_command(vneterctl):
    code, _, told = vneterctl("--server", "http://127.0.0.1:1", "get", "hosts")
    assert code == 2
    assert "vneterctl get hosts --server URL" in told
