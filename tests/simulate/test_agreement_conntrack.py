# SPDX-License-Identifier: Apache-2.0
"""Frames that really pass a dummy datapath are tracked by it as `connections` says.

Each frame shows in its source MAC what the tracker said of it: state, zone and mark.
"""

from ipaddress import ip_address
from random import Random

import pytest

from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    BridgeState,
    Bucket,
    Conntrack,
    Copy,
    Flow,
    Group,
    GroupAction,
    Output,
    OutputField,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.simulate.packet import Ends, echo, ip_packet, tcp, udp

ONE, OTHER = 0x020000000001, 0x020000000002
COMMITS, LOOKS = 0x0100, 0x0000
"""Second octet from the right of the destination: whether the connection is to be remembered."""
SYN, ACK, FIN, RST = 2, 16, 1, 4
SHOWN = (
    Copy("ct_state", "eth_src", 8, 0, 0),
    Copy("ct_zone", "eth_src", 8, 0, 8),
    Copy("ct_mark", "eth_src", 16, 0, 16),
)
MARK = Copy("eth_dst", "ct_mark", 6, 42, 0)
PIN = Conntrack(
    commit=True, zone_field="reg2", table=3, actions=(MARK, SetField("ct_mark", 0x100, 0x300))
)


def tracking_state():
    """Table 1 tracks and shows, 2 remembers, 3 shows what was remembered by another port."""
    flows = []
    for family in (0x800, 0x86DD):
        zone = SetField("reg2", 7, 0xFFFF)
        track = Conntrack(zone_field="reg2", table=1)
        flows.append(Flow(0, 1, match(eth_type=family), (zone, track, Output(3))))
        look = match(eth_type=family, ct_state=(0x20, 0x20))
        flows.append(Flow(1, 1, look, (*SHOWN, OutputField("reg5"))))
        commits = match(eth_type=family, ct_state=(0x20, 0x30), eth_dst=(COMMITS, COMMITS))
        pick = (SetField("reg5", 2, FIELDS["reg5"].full), GroupAction(1))
        flows.append(Flow(1, 2, commits, (*SHOWN, OutputField("reg5"), *pick)))
        flows.append(Flow(2, 1, match(eth_type=family), (PIN,)))
        flows.append(Flow(3, 1, match(eth_type=family, ct_state=(0x20, 0x20)), (*SHOWN, Output(4))))
        flows.append(Flow(3, 0, match(eth_type=family), (Output(5),)))
    # What in_port is after tracking: the port it came by is no obstacle once it is zeroed.
    for flow in list(flows):
        if flow.table == 1:
            back = (*flow.actions, SetField("in_port", 0, FIELDS["in_port"].full), Output(1))
            flows[flows.index(flow)] = Flow(1, flow.priority, flow.match, back)
    group = Group(1, "ff", (Bucket((Resubmit(2),), watch_port=1),))
    return BridgeState.of(flows, [group])


def draw_ends(rng):
    near, far = ("10.0.0.1", "10.0.0.2") if rng.random() < 0.6 else ("fd00::1", "fd00::2")
    ends = Ends(ONE, OTHER, ip_address(near), ip_address(far))
    return ends if rng.random() < 0.5 else ends.back


def draw_packet(rng):
    ends = draw_ends(rng)
    forward = str(ends.source).endswith("1")
    ports = (1000, 53) if forward else (53, 1000)
    kind = rng.choice(("udp", "udp", "tcp", "echo", "reply", "other"))
    if kind == "udp":
        packet = udp(ends, *ports)
    elif kind == "tcp":
        flags = rng.choice((SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST | ACK))
        packet = tcp(ends, *ports, flags=flags)
    elif kind == "other":
        packet = ip_packet(ends, 47)
    else:
        packet = echo(ends, reply=kind == "reply")
    colour, commit = rng.randrange(1, 60), rng.choice((COMMITS, LOOKS))
    return packet.with_(eth_dst=(colour << 2 | 2) << 40 | commit | 5, eth_src=0).at(1)


@pytest.fixture(scope="module")
def bridge(sandbox):
    made = sandbox.bridge((1, 2, 3, 4, 5))
    made.record()
    made.load(tracking_state())
    return made


@pytest.mark.ovs
@pytest.mark.parametrize("seed", range(8))
def test_frames_are_tracked_as_simulated(bridge, seed):
    rng = Random(seed)
    bridge.forward(tracking_state(), (draw_packet(rng) for _ in range(30)))
