# SPDX-License-Identifier: Apache-2.0
"""``trace --inject`` where others trace, too."""

import pytest

from vneter_sdn.cli import injecting
from vneter_sdn.errors import Conflict


def busy(times):
    left = [Conflict("another packet is traced just now")] * times

    def inject():
        if left:
            raise left.pop()
        return {"revision": 1}

    return inject


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(injecting, "PAUSE", 0)


def test_one_that_comes_too_early_waits_for_its_turn():
    assert injecting._in_turn(busy(injecting.TURNS)) == {"revision": 1}


def test_it_does_not_wait_for_ever():
    with pytest.raises(Conflict):
        injecting._in_turn(busy(injecting.TURNS + 1))
