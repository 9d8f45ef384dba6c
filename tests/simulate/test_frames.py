# SPDX-License-Identifier: Apache-2.0
"""Frames that really pass a dummy datapath leave it as `bridge.run` says, byte for byte.

A trace shows what Open vSwitch decides; this shows what it does, checksums included.
"""

import re
import struct
import time
from random import Random

import pytest
from fleet_intents import FOURS, SIXES, EndpointPlan, Plan, compiled, snapshot_of
from fleet_packets import Vocabulary

from vneter_sdn.model.fields import ETH_ARP, PROTO_ICMPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.text import packet_text

NETWORKS = {Key("Network", "red", f"n{n}"): (FOURS[n], SIXES[n]) for n in (0, 1)}
PLAN = Plan(
    {"h1": "geneve", "h2": "geneve"},
    NETWORKS,
    tuple(EndpointPlan(n, h, h, None, None) for n in NETWORKS for h in ("h1", "h1", "h2")),
)
FRAMES = 60
_HEX_LINE = re.compile(r"^[0-9a-f]{8} (.*)$", re.MULTILINE)


def composed(packet, run_quietly):
    """The bytes of a packet, as ovs-ofctl(8) composes them."""
    dump = run_quietly("ovs-ofctl", "compose-packet", packet_text(packet))
    octets = "".join(line[:49] for line in _HEX_LINE.findall(dump))
    return bytes.fromhex(octets.replace("-", " "))


def frames_of(path):
    """Frames of a pcap file (draft-ietf-opsawg-pcap §4, §5)."""
    data, at = path.read_bytes(), 24
    found = []
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("=I", data, at + 8)
        found.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return found


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
    made.sent = {port: sandbox.directory / f"{made.name}-{port}.pcap" for port in ports}
    for port, path in made.sent.items():
        sandbox.vsctl("set", "Interface", f"{made.name}p{port}", f"options:tx_pcap={path}")
    sandbox.control("netdev-dummy/set-admin-state", "up")
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


def wait_for_frame(path, number):
    deadline = time.monotonic() + 20
    while not path.exists() or len(frames_of(path)) <= number:
        assert time.monotonic() < deadline, f"nothing came out at {path.name}"
        time.sleep(0.005)
    return frames_of(path)[number]


@pytest.mark.ovs
def test_frames_leave_as_simulated(bridge, run_quietly):
    counts = dict.fromkeys(bridge.ports, 0)
    advertised = 0
    for packet, (port, left) in passing(bridge):
        name = f"{bridge.name}p{packet['in_port']}"
        sent = composed(packet.frame, run_quietly)
        bridge.sandbox.control("netdev-dummy/receive", name, sent.hex())
        frame = wait_for_frame(bridge.sent[port], counts[port])
        counts[port] += 1
        expected = left.frame
        if left.get("icmpv6_type") == 136:
            # A solicitation's option became the advertisement's: there is only one.
            expected = expected.with_(nd_sll=0)
            assert icmpv6_sum(frame) == 0xFFFF, packet
            assert frame[58] == left["nd_reserved"] >> 24, packet
            advertised += 1
        assert comparable(frame) == comparable(composed(expected, run_quietly)), packet
    assert advertised
    assert all(counts.values()), counts
