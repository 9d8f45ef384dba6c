# SPDX-License-Identifier: Apache-2.0
"""What bridges confirmed outlives the core, and a database that went back stays suspect."""

import os
import stat

import pytest

from vneter_sdn.daemon import highwater
from vneter_sdn.daemon.highwater import Highwater, Mark, forget, mark_file, read, write


class Later:
    """A clock of one's own."""

    def __init__(self):
        self.waiting = []

    def __call__(self, seconds, call):
        assert seconds == highwater.WRITE_EVERY
        self.waiting.append(call)

    def pass_time(self):
        calls, self.waiting = self.waiting, []
        for call in calls:
            call()


@pytest.fixture
def path(tmp_path):
    return mark_file(str(tmp_path))


@pytest.fixture
def later():
    return Later()


def test_the_highest_confirmed_revision_is_kept(path, later):
    first = Highwater(path, 0, later)
    assert first.mark == Mark(0, suspect=False)
    for revision in (3, 7, 5):
        first.confirmed(revision)
    assert len(later.waiting) == 1
    assert not path.exists()
    later.pass_time()
    assert Highwater(path, 7, later).mark == Mark(7, suspect=False)
    first.confirmed(7)
    assert not later.waiting
    first.confirmed(8)
    later.pass_time()
    assert read(path) == Mark(8)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(path.parent) == [path.name]


def test_a_database_that_went_back_stays_suspect_until_it_is_accepted(path, later):
    write(path, Mark(12))
    assert Highwater(path, 10, later).mark == Mark(12, suspect=True)
    grown = Highwater(path, 15, later)  # a few edits prove nothing
    assert grown.mark == Mark(12, suspect=True)
    grown.confirmed(16)
    later.pass_time()
    assert read(path) == Mark(16, suspect=True)
    forget(path)
    forget(path)
    assert Highwater(path, 16, later).mark == Mark(0, suspect=False)


@pytest.mark.parametrize("text", [b"", b"{", b'{"revision": "x"}', b'{"other": 1}', b"\xff"])
def test_a_mark_that_cannot_be_read_is_no_reason_to_trust(path, text):
    path.write_bytes(text)
    assert read(path) == Mark(0, suspect=True)


def test_a_mark_that_cannot_be_written_is_tried_again(tmp_path, later):
    path = mark_file(str(tmp_path / "gone"))
    mark = Highwater(path, 0, later)
    mark.confirmed(1)
    later.pass_time()
    path.parent.mkdir()
    mark.confirmed(2)
    later.pass_time()
    assert read(path) == Mark(2)
