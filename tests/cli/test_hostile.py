# SPDX-License-Identifier: Apache-2.0
"""Whatever comes through the door of the command line: an error of ours, a documented exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from vneter_sdn.cli.main import program
from vneter_sdn.cli.terminal import EXIT_CODES

CODES = {code for code, _ in EXIT_CODES}
WORDS = [
    *("", " ", "-", "--", "-x", "a/b/c", "../../etc/passwd", "x" * 100_000, "\u202e", "{}"),
    *("ключ/網", "\x1b[2J", "a\nb", "\udcff\udcfe", "%00", "a=b", "a-", "*", "'", "$(id)"),
    *("\U0001f4a9", "--context", "--dry-run=maybe", "-o", "nan", "-1", "9" * 50, "/dev/null"),
]
LINES = """
get; get net; get net -o; get net -l; get net -t; get net --sort-by; describe net; delete net
label net red/web; annotate net red/web; edit net; wait net; wait net --timeout; diff -f; apply -f
explain; events; events --since; logs; config use-context; config set-context; completion; status -o
drain link; history; rollback; --context
"""
COMMANDS = [tuple(line.split()) for line in LINES.replace("\n", ";").split(";") if line.strip()]

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from vneter_sdn.cli.main import main
main()
"""
"""A command that hears SIGINT, though who runs the tests may not: shells have what runs in the
background ignore it."""


def told(ended):
    """An error is told in a line, and none of it commands the terminal."""
    assert ended.code in CODES, ended
    assert "Traceback" not in ended.err
    assert "\x1b" not in ended.err
    if ended.code not in {0, 1, 130}:
        assert ended.err.startswith("error: "), ended
    return ended.code


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_odd_words_are_refused_in_words(vneterctl, applied, store, tmp_path, monkeypatch, command):
    monkeypatch.setenv("VISUAL", "true")
    monkeypatch.setenv("VNETER_STATE_DIR", str(tmp_path))
    before = store.snapshot().objects
    for word in WORDS:
        told(vneterctl(*command, word))
    if command[:1] not in {("label",), ("annotate",)}:
        assert store.snapshot().objects == before


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some.lists(some.one_of(some.sampled_from(WORDS), some.text(max_size=8),
                              some.sampled_from(sorted(program().commands.keys() - {"up", "run",
                                                "fleet", "trace", "verify", "plan"}))),
                  max_size=5))  # fmt: skip
def test_any_line_is_understood_or_refused(vneterctl, monkeypatch, line):
    monkeypatch.setenv("VNETER_SERVER", "http://127.0.0.1:1")
    monkeypatch.setenv("VISUAL", "true")
    told(vneterctl(*line, stdin=b""))


DATA = [
    *(b"\x00" * 100, b"\xff\xfe\x00", b"\x7fELF\x02\x01", os.urandom(4096), b"a: &a [*a]"),
    *(b"- " * 5000, b"{" * 5000, "\u2028".encode() * 10, b"\xef\xbb\xbfkind: X", b"--- \n" * 1000),
    *(b"kind: [x]\n", b"1", b"null", b"[]", b'"x"', b"? {}\n: {}\n", b"x" * (8 * 1024 * 1024 + 1)),
    b'{apiVersion: vneter.io/v1, kind: Tenant, metadata: {name: "a\\0b"}}',
    b"{apiVersion: vneter.io/v1, kind: Tenant, metadata: {name: a}, spec: {x: .nan}}",
]


@pytest.mark.parametrize("command", ["apply", "diff", "delete"])
def test_bytes_that_are_no_manifests(vneterctl, applied, store, command):
    before = store.snapshot()
    for data in DATA:
        ended = vneterctl(command, "-f", "-", stdin=data)
        assert told(ended) in ({1, 3} if command == "delete" else {1}), data[:80]
        assert ended.err.startswith("error: "), data[:80]
    assert store.snapshot() == before


def test_files_that_cannot_be_read(vneterctl, server, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").mkdir()
    for path in ("none", "loop", "empty", "none\x00"):
        assert told(vneterctl("apply", "-f", tmp_path / path if "\x00" not in path else path)) == 1
    for words in (("apply", "-f", ""), ("reachability", "--offline", "")):
        assert told(vneterctl(*words)) == 2  # and not whatever is in this directory


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    *(b"", b"\x00" * 1000, OK + b"\r\n", OK + b"Content-Length: 9\r\n\r\n"),
    *(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % code for code in (200, 401, 403, 999)),
    OK + b'Content-Length: 12\r\n\r\n{"items": 1}',
    OK + b"X: y\r\n" * 500 + b"\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_servers_that_are_none(vneterctl, monkeypatch, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve():
            while not over.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        address = listener.getsockname()
        monkeypatch.setenv("VNETER_SERVER", f"http://127.0.0.1:{address[1]}")
        try:
            for command in (["get", "net"], ["status"], ["apply", "-f", "-"]):
                data = b"{apiVersion: vneter.io/v1, kind: Tenant, metadata: {name: a}}"
                assert told(vneterctl(*command, stdin=data)) in {1, 5, 7}
        finally:
            over.set()
            socket.create_connection(address).close()
            thread.join()


@pytest.mark.parametrize("words", [["get", "net"], ["events", "-f"], ["get", "net", "-w"]])
def test_ctrl_c_while_a_server_is_silent(words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "VNETER_SERVER": f"http://127.0.0.1:{listener.getsockname()[1]}",
        }
        code = INTERRUPTIBLE
        with subprocess.Popen(
            [sys.executable, "-c", code, *words], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            connection, _ = listener.accept()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            connection.close()
    assert (process.returncode, out, err) == (130, "", "")
