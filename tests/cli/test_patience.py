# SPDX-License-Identifier: Apache-2.0
"""What takes long says so, on terminals only."""

from __future__ import annotations

import io
import sys
from threading import Event

import pytest

from vneter_sdn.cli.patience import patience


class Screen(io.StringIO):
    """A terminal, and whether anything was written to it."""

    def __init__(self):
        super().__init__()
        self.used = Event()

    def isatty(self):
        return True

    def write(self, text):
        self.used.set()
        return super().write(text)


@pytest.fixture
def screen(monkeypatch):
    """Makes standard error a terminal: in the test itself, pytest sets it anew before that."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def look():
        made = Screen()
        monkeypatch.setattr(sys, "stderr", made)
        return made

    return look


def test_what_takes_long_says_so(screen):
    seen = screen()
    with patience("planning", soon=0.0):
        assert seen.used.wait(30)
    assert "planning" in seen.getvalue()


def test_what_is_quick_says_nothing(screen):
    seen = screen()
    with patience("planning", soon=3600):
        pass
    assert seen.getvalue() == ""


def test_nobody_is_told_where_nobody_looks(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with patience("planning", soon=0.0):
        pass
    assert sys.stderr.getvalue() == ""


def test_the_sign_goes_when_something_fails(screen):
    seen = screen()

    def fail():
        with patience("planning", soon=0.0):
            assert seen.used.wait(30)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert "\x1b[?25h" in seen.getvalue()


def test_what_waits_within_something_says_nothing_more(screen):
    seen = screen()
    with patience("planning", soon=0.0):
        assert seen.used.wait(30)
        with patience("reading", soon=0.0):
            pass
    assert "reading" not in seen.getvalue()
    with patience("afterwards", soon=0.0):
        assert seen.used.wait(30)
