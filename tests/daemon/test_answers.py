# SPDX-License-Identifier: Apache-2.0
"""Which answers of DNS are held back, and when they go on; bridges are in memory."""

from __future__ import annotations

import struct

import pytest

from vneter_sdn.compile.features.police import ANSWERED
from vneter_sdn.daemon.answers import LEASE, MOST_TO_ONE, PATIENCE, RENEWAL, Answers
from vneter_sdn.daemon.directory import Directory
from vneter_sdn.model.flow import BridgeState, Output
from vneter_sdn.pipeline.cookies import MAGIC_COOKIE
from vneter_sdn.pipeline.punts import Names
from vneter_sdn.pipeline.tables import table
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge

PORT, DPID = 7, 1
REASON = Names(1, PORT)


class Bridges(MemoryBridges):
    def __init__(self):
        super().__init__()
        self.messages = []

    def send_message(self, dpid, data):
        self.messages.append(data)
        return True


class Tenants(Directory):
    def tenant(self, number):
        return {1: "red"}.get(number)


class World:
    def __init__(self, patterns=("*.example.com",)):
        self.bridges, self.heard, self.alarms, self.now = Bridges(), [], [], 100.0
        self.answers = Answers(
            self.bridges,
            Tenants(),
            lambda tenant: patterns,
            self.heard.append,
            lambda seconds, call: self.alarms.append((self.now + seconds, call)),
            lambda: self.now,
        )
        name, priority, matched = ANSWERED
        passing = table(name).flow(priority, matched, cookie=MAGIC_COOKIE)
        self.bridges.desire(DPID, DesiredBridge(BridgeState({passing.key: passing}), 1))
        self.bridges.connect(DPID)
        self.answers.stored({DPID: "h1"})

    def pass_time(self, seconds):
        self.now += seconds
        due = [one for one in self.alarms if one[0] <= self.now]
        self.alarms = [one for one in self.alarms if one[0] > self.now]
        for _, call in due:
            call()

    def answered(self, data, more=0):
        self.answers.answered(DPID, REASON, data, len(data) + more)

    @property
    def sent(self):
        return [(frame, actions) for frame, actions, _ in self.bridges.bridges[DPID].sent]


@pytest.fixture
def world():
    made = World()
    made.answers.renew()
    return made


def frame(name="www.example.com", address=bytes([192, 0, 2, 1]), padding=b""):
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + b"\0"
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + address
    message = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 0, 0) + labels + struct.pack("!HH", 1, 1)
    message += record + padding
    udp = struct.pack("!HHHH", 53, 4000, 8 + len(message), 0) + message
    ends = bytes([10, 0, 0, 2, 10, 0, 0, 1])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return bytes(12) + b"\x08\x00" + head + ends + udp


def test_a_wanted_answer_waits_for_the_bridge(world):
    told = frame()
    world.answered(told)
    assert not world.sent
    said = world.heard[0]
    assert (said.tenant, said.host) == ("red", "h1")
    assert said.names == {"www.example.com": {"192.0.2.1": 60}}
    said.done(True)
    world.pass_time(PATIENCE / 2)
    assert world.sent == [(told, (Output(PORT),))]
    world.pass_time(PATIENCE)
    assert len(world.sent) == 1
    assert world.answers.counts == {"held": 1}


def test_what_the_bridge_holds_already_goes_on_at_once(world):
    world.answered(frame())
    world.heard[0].done(False)
    assert len(world.sent) == 1


def test_nobody_waits_for_ever(world):
    world.answered(frame())
    world.pass_time(PATIENCE)
    assert len(world.sent) == 1
    world.heard[0].done(True)
    world.pass_time(PATIENCE)
    assert len(world.sent) == 1
    assert world.answers.counts == {"late": 1}


@pytest.mark.parametrize(
    "told",
    [frame("www.other.org"), frame()[:60], b"", bytes(64)],
    ids=("other", "cut", "none", "zeroes"),
)
def test_what_no_rule_wants_goes_on_at_once(world, told):
    world.answered(told)
    assert world.sent == [(told, (Output(PORT),))]
    assert not world.heard


def test_too_many_go_on_at_once_and_are_believed(world):
    for _ in range(MOST_TO_ONE + 3):
        world.answered(frame())
    assert len(world.sent) == 3
    assert len(world.heard) == MOST_TO_ONE + 3
    assert all(said.done is None for said in world.heard[MOST_TO_ONE:])
    world.pass_time(PATIENCE)
    assert len(world.sent) == MOST_TO_ONE + 3
    world.answered(frame())
    assert len(world.sent) == MOST_TO_ONE + 3


def test_half_an_answer_is_not_sent(world):
    world.answered(frame(), more=1)
    assert not world.sent
    assert not world.heard
    assert world.answers.counts == {"too long": 1}


def test_what_the_bridge_sent_out_itself_is_not_sent_again():
    world = World()
    world.answered(frame())
    world.heard[0].done(True)
    world.pass_time(PATIENCE)
    assert not world.sent
    world.answers.renew()
    world.pass_time(LEASE + RENEWAL)
    world.answered(frame("www.other.org"))
    assert not world.sent


def test_bridges_that_hold_no_answers_get_no_lease():
    world = World()
    world.bridges.desire(DPID, DesiredBridge(BridgeState({}), 2))
    world.answers.renew()
    assert not world.bridges.messages
