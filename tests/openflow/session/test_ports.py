# SPDX-License-Identifier: Apache-2.0
"""Ports of a bridge, as it tells of them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model.flow import LOCAL
from vneter_sdn.southbound.openflow import multipart
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.southbound.openflow.ports import REMOVED, Ports

pytestmark = pytest.mark.filterwarnings("ignore")


def port(number=1, **changes) -> Port:
    return Port(**{"number": number, "name": f"p{number}", "mac": 2, "down": False,
                   "link_down": False, "live": True, "speed": 0} | changes)  # fmt: skip


def test_a_port_that_lost_its_life_is_down_where_ports_tell() -> None:
    ports = Ports([port(1), port(2, live=False), port(LOCAL)])
    assert ports.up(1)
    assert not ports.up(2)
    assert list(ports.by_number) == [1, 2]
    silent = Ports([port(1, live=False), port(2, live=False, link_down=True)])
    assert silent.up(1)
    assert not silent.up(2)
    assert not silent.up(9)
    assert silent.change(2, port(1))
    assert silent.change(2, port(1, live=False))
    assert not silent.up(1), "it has told once, and will again"


def test_only_changes_are_changes() -> None:
    ports = Ports([port(1)])
    assert not ports.change(2, port(1))
    assert not ports.change(0, port(LOCAL))
    assert not ports.change(REMOVED, port(5))
    assert ports.change(0, port(2))
    assert ports.change(REMOVED, port(2))
    assert set(ports.named()) == {"p1"}


def described(speed: int | None, config: int, state: int) -> bytes:
    properties = b""
    if speed is not None:
        properties = struct.pack("!HH4xIIIIII", 0, 32, 0, 0, 0, 0, speed, speed)
    name = b"p7".ljust(16, b"\0")
    head = struct.pack("!IH2x6s2x16sII", 7, 40 + len(properties), b"\2" * 6, name, config, state)
    return head + properties


@given(st.none() | st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 7))
def test_what_a_port_says_is_read(speed, config, state) -> None:
    [found] = multipart.ports(described(speed, config, state), 0)
    assert found.speed == (speed or 0)
    assert found.down == bool(config & 1)
    assert (found.link_down, found.live) == (bool(state & 1), bool(state & 4))
