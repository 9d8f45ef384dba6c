# SPDX-License-Identifier: Apache-2.0
"""What processes of a controller write of their log to files."""

from __future__ import annotations

import io
import json
import logging
import stat

import pytest

from vneter_sdn.telemetry import logs


@pytest.fixture
def alone():
    """The log of this process as it was, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level


def test_lines_are_kept_in_a_file_too(alone, tmp_path):
    file = logs.log_file(str(tmp_path / "state"), "core")
    stream = io.StringIO()
    for text in ("first", "second"):
        logs.set_up(stream=stream, file=file)
        logging.getLogger("x").warning(text, extra={"host": "h1"})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["message"] for one in lines] == ["first", "second"]
    assert lines[0]["host"] == "h1"
    assert stream.getvalue() == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) & 0o027 == 0


def test_files_do_not_grow_for_ever(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_MOST", 2000)
    file = logs.log_file(str(tmp_path), "api")
    logs.set_up(stream=io.StringIO(), file=file)
    for number in range(200):
        logging.getLogger("x").warning("line %d", number)
    kept = sorted(file.parent.iterdir())
    assert [one.name for one in kept] == ["api.jsonl", "api.jsonl.1"]
    assert all(one.stat().st_size <= 2000 for one in kept)
    assert "line 199" in file.read_text()


def test_a_file_that_cannot_be_written_stops_nobody(alone, tmp_path, capsys):
    (tmp_path / "log").write_text("in the way")
    stream = io.StringIO()
    logs.set_up(stream=stream, file=logs.log_file(str(tmp_path), "core"))
    logging.getLogger("x").warning("heard")
    assert "heard" in stream.getvalue()
    handler = logs._Kept("/dev/full")
    handler.setFormatter(logs.JsonLines())
    handler.emit(logging.makeLogRecord({"msg": "lost"}))
    handler.stream = None
    assert capsys.readouterr().err == ""


def test_the_database_writes_as_those_do():
    assert logs.log_file("/s", "database").name == "database.log"
