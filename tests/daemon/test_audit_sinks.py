# SPDX-License-Identifier: Apache-2.0
"""Where lines of the audit log go when things go wrong."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket

import pytest

from vneter_sdn.daemon.audit import Audit, FileSink, SyslogSink
from vneter_sdn.errors import IntentError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.punts import Decided
from vneter_sdn.policy.rule import Rule, Stage
from vneter_sdn.telemetry.audit import Line

RULE = Rule(
    policy=Key("Policy", "red", "web"),
    direction="ingress",
    number=0,
    stage=Stage.TIERED,
    order=(250, 5.0, "web"),
    verdict="drop",
    applied=(),
)
LINE = Line(
    tenant="red",
    source="10.0.0.1",
    target="10.0.0.2",
    source_endpoint="a",
    target_endpoint="b",
    protocol=17,
    transport=None,
    decision=Decided("ingress", "drop", 1, 17, log=True),
    rule=RULE,
    host="h1",
)


def written(audit, lines=1):
    for _ in range(lines):
        audit.take(LINE)
    audit.flush()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


def test_a_file_that_was_moved_away_is_opened_anew(log):
    audit = Audit(100, FileSink(str(log)))
    written(audit)
    log.rename(log.with_suffix(".1"))
    written(audit, 2)
    assert len(log.read_text().splitlines()) == 2
    log.unlink()
    written(audit)
    assert len(log.read_text().splitlines()) == 1
    assert log.stat().st_mode & 0o777 == 0o600
    audit.reopen()
    written(audit)
    assert len(log.read_text().splitlines()) == 2
    assert audit.counts == {"written": 5, "lost": 0, "limited": 0}


def test_what_cannot_be_written_is_told_once_and_counted(tmp_path, caplog):
    log = tmp_path / "none" / "audit.log"
    audit = Audit(100, FileSink(str(log)))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            written(audit, 2)
        log.parent.mkdir()
        written(audit)
    assert [record.getMessage() for record in caplog.records] == [
        f"audit lines for {log} are lost: No such file or directory",
        f"audit lines go to {log} again; 6 were lost",
    ]
    assert audit.counts == {"written": 1, "lost": 6, "limited": 0}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_holds_nobody_up(log, make):
    make(log)
    audit = Audit(100, FileSink(str(log)))
    written(audit)
    assert audit.counts["lost"] == 1


def test_a_full_disk_costs_the_lines_that_do_not_fit(log, monkeypatch):
    audit = Audit(100, FileSink(str(log)))
    written(audit)
    real = os.write

    def full(file, data):
        if log.stat().st_size % 10 == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[: 10 - log.stat().st_size % 10])

    monkeypatch.setattr(os, "write", full)
    written(audit)
    monkeypatch.setattr(os, "write", real)
    written(audit)
    first, torn, last = log.read_text().splitlines()
    assert json.loads(first) | {"time": ""} == json.loads(last) | {"time": ""}
    assert 0 < len(torn) < 10
    assert audit.counts == {"written": 2, "lost": 1, "limited": 0}


def test_a_full_device(caplog):
    audit = Audit(100, FileSink("/dev/full"))
    written(audit)
    written(audit)
    assert audit.counts == {"written": 0, "lost": 2, "limited": 0}
    told = "audit lines for /dev/full are lost: No space left on device"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_a_syslog_daemon_that_comes_back(tmp_path):
    path = str(tmp_path / "log")
    audit = Audit(100, SyslogSink(f"unix:{path}"))
    written(audit)
    assert audit.counts["lost"] == 1
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(path)
            written(audit)
            assert b"vneter - audit - {" in daemon.recv(4096)
        os.unlink(path)
        written(audit)
    assert audit.counts == {"written": 2, "lost": 3, "limited": 0}


def test_a_syslog_daemon_that_does_not_read(tmp_path):
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        audit = Audit(10_000, SyslogSink(f"unix:{path}"))
        written(audit, 5000)
    assert audit.counts["lost"] == 5000


def test_one_that_fails_costs_the_other_nothing(log, tmp_path):
    audit = Audit(100, SyslogSink(f"unix:{tmp_path}/nobody"), FileSink(str(log)))
    written(audit)
    assert len(log.read_text().splitlines()) == 1


def test_what_is_too_much_is_a_line_and_a_count(log):
    audit = Audit(3, FileSink(str(log)))
    written(audit, 10)
    assert '"dropped":7' in log.read_text()
    assert audit.counts == {"written": 4, "lost": 0, "limited": 7}


@pytest.mark.parametrize("target", ["", "unix:log", "udp:", "tcp:h:514", "udp:h:x"])
def test_what_is_no_syslog_target(target):
    with pytest.raises(IntentError, match="no syslog target"):
        SyslogSink(target)
