# SPDX-License-Identifier: Apache-2.0
"""Frames that really pass a dummy datapath leave it as `bridge.run` says, byte for byte.

A trace shows what Open vSwitch decides; this shows what it does, checksums included.
"""

import struct
from random import Random

import pytest
from fleet_intents import FOURS, SIXES, EndpointPlan, Plan, compiled, snapshot_of
from fleet_packets import Vocabulary

from vneter_sdn.model.fields import ETH_ARP, PROTO_ICMPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.lookup import Datapath

NETWORKS = {Key("Network", "red", f"n{n}"): (FOURS[n], SIXES[n]) for n in (0, 1)}
PLAN = Plan(
    {"h1": "geneve", "h2": "geneve"},
    NETWORKS,
    tuple(EndpointPlan(n, h, h, None, None) for n in NETWORKS for h in ("h1", "h1", "h2")),
)
FRAMES = 60


def ones_sum(data):
    """The Internet checksum before it is inverted (RFC 1071); 0xffff over correct data."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def icmpv6_sum(frame):
    """Over the pseudo-header of RFC 8200 §8.1 and the message."""
    message = frame[54:]
    return ones_sum(frame[22:54] + struct.pack("!II", len(message), PROTO_ICMPV6) + message)


def comparable(frame):
    """Without the flags of an advertisement, which compose-packet does not know, and the sum."""
    if frame[12:14] == b"\x86\xdd" and frame[20] == PROTO_ICMPV6 and frame[54] == 136:
        return frame[:56] + bytes(6) + frame[62:]
    return frame


@pytest.fixture(scope="module")
def bridge(sandbox):
    states, rows = compiled(snapshot_of(PLAN))
    vocabulary = Vocabulary(snapshot_of(PLAN), Random(1))
    ports = [s.port for s in vocabulary.stations if s.host == "h1"]
    ports += [tunnel.ofport for tunnel in rows["h1"].tunnels]
    made = sandbox.bridge(ports)
    made.load(states["h1"])
    made.datapath, made.vocabulary = Datapath.of(states["h1"]), vocabulary
    made.record()
    return made


def passing(bridge):
    """Distinct packets that a station sends and that go out somewhere, with what goes out."""
    chosen = {}
    while len(chosen) < FRAMES:
        packet = bridge.vocabulary.packet("h1", bridge.ports)
        if "tun_id" in packet or "vlan_vid" in packet or packet["eth_type"] in (0x88CC, 0x8847):
            continue
        outputs = run(bridge.datapath, packet).outputs
        if len(outputs) == 1 and (packet["eth_type"] == ETH_ARP or "ip_proto" in packet):
            chosen[packet] = outputs[0]
    return chosen.items()


@pytest.mark.ovs
def test_frames_leave_as_simulated(bridge, compose):
    advertised = 0
    for packet, (port, left) in passing(bridge):
        bridge.receive(packet)
        frame = bridge.next_frame(port)
        expected = left.frame
        if left.get("icmpv6_type") == 136:
            # A solicitation's option became the advertisement's: there is only one.
            expected = expected.with_(nd_sll=0)
            assert icmpv6_sum(frame) == 0xFFFF, packet
            assert frame[58] == left["nd_reserved"] >> 24, packet
            advertised += 1
        assert comparable(frame) == comparable(compose(expected)), packet
    assert advertised
    assert all(bridge.taken.values()), bridge.taken
