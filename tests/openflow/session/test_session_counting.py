# SPDX-License-Identifier: Apache-2.0
"""What a session is asked to count, and how a bridge answers; without sockets."""

from __future__ import annotations

import struct

import pytest
from bridge_words import at, error, part, sent

from vneter_sdn.model.flow import FlowKey, match
from vneter_sdn.southbound.openflow.events import Counted, FlowsCounted, Reason
from vneter_sdn.southbound.openflow.multipart import FlowCounters, PortCounters
from vneter_sdn.southbound.openflow.session import Phase

pytestmark = pytest.mark.filterwarnings("ignore")


def test_ports_are_counted_when_asked_and_the_parts_come_as_one() -> None:
    session = at(Phase.IDLE)
    sent(session)
    session.count_ports(1.0)
    session.count_ports(1.0)
    [(_, xid, body)] = [found for found in sent(session) if found[0] == 18]
    assert body == struct.pack("!HH4xI4x", 4, 0, 0xFFFFFFFF)
    entry = struct.pack("!H2xIIIQQQQQQQQ", 80, 3, 1, 0, 10, 20, 1000, 2000, 1, 2, 0, 0)
    other = struct.pack("!H2xIIIQQQQQQQQ", 80, 4, 1, 0, *range(8))
    assert session.receive(part(xid, 4, entry, more=True), 1.1) == []
    [counted] = session.receive(part(xid, 4, other), 1.2)
    assert counted == Counted(
        (PortCounters(3, 10, 20, 1000, 2000, 1, 2), PortCounters(4, 0, 1, 2, 3, 4, 5))
    )
    session.count_ports(2.0)
    [again] = [found[1] for found in sent(session) if found[0] == 18]
    assert again != xid
    assert session.receive(error(again), 2.1) == []
    session.count_ports(3.0)
    assert [found for found in sent(session) if found[0] == 18], "a refusal ends the question"


MATCHED = struct.pack("!HHHBBI", 1, 12, 0x8000, 0, 4, 7) + bytes(4)
"""in_port=7, as a match."""


def described(octets: int, *, lying: int = 0) -> bytes:
    """A flow description of 1.5 with its statistics."""
    fields = struct.pack("!HBBII", 0x8002, 0, 8, 3, 500_000_000)
    fields += struct.pack("!HBBQ", 0x8002, 3 << 1, 4, 0)[:8]
    fields += struct.pack("!HBBQ", 0x8002, 4 << 1, 8, 6)
    fields += struct.pack("!HBBQ", 0x8002, 5 << 1, 8, octets)
    statistics = struct.pack("!HH", 0, 4 + len(fields) + lying) + fields
    statistics += bytes(-len(statistics) % 8)
    head = struct.pack("!H2xBxHHHHHQ", 24 + len(MATCHED + statistics), 75, 200, 0, 0, 0, 0, 9)
    return head + MATCHED + statistics


def test_flows_are_counted_when_asked_beside_ports() -> None:
    session = at(Phase.IDLE)
    sent(session)
    session.count_ports(1.0)
    session.count_flows(75, 9, 0xFF, 1.0)
    session.count_flows(75, 9, 0xFF, 1.0)
    [_, (_, xid, body)] = [found for found in sent(session) if found[0] == 18]
    assert body[8:] == struct.pack("!B3xII4xQQHH4x", 75, 2**32 - 1, 2**32 - 1, 9, 255, 1, 4)
    assert session.receive(part(xid, 1, described(1000), more=True), 1.1) == []
    [counted] = session.receive(part(xid, 1, described(5)), 1.2)
    key = FlowKey(75, 200, match(in_port=7))
    assert counted == FlowsCounted(tuple(FlowCounters(key, 9, 3.5, 6, n) for n in (1000, 5)))
    session.count_flows(75, 9, 0xFF, 2.0)
    [(_, again, _)] = [found for found in sent(session) if found[0] == 18]
    assert session.receive(error(again), 2.1) == []
    session.count_flows(75, 9, 0xFF, 3.0)
    assert [found for found in sent(session) if found[0] == 18], "a refusal ends the question"


def test_statistics_that_lie_end_the_session() -> None:
    for lying in (-40, -2, 1000):
        session = at(Phase.IDLE)
        sent(session)
        session.count_flows(75, 9, 0xFF, 1.0)
        [(_, xid, _)] = [found for found in sent(session) if found[0] == 18]
        [closed] = session.receive(part(xid, 1, described(1, lying=lying)), 1.1)
        assert closed.reason is Reason.MALFORMED
