# SPDX-License-Identifier: Apache-2.0
"""A real select group splits connections as `pipeline.shares` asks, whatever their protocol."""

import re
from ipaddress import ip_address

import pytest

from vneter_sdn.model.flow import BridgeState, Bucket, Flow, Group, GroupAction, Output
from vneter_sdn.pipeline.shares import METHOD, VALUES, shares
from vneter_sdn.pipeline.text import flow_text, group_text
from vneter_sdn.simulate.packet import Ends, udp

CONNECTIONS = 2000
WEIGHTS = (10, 20, 30, 40)
SENT = re.compile(r"port\s+(\d+): rx[^\n]*\n\s+tx pkts=(\d+)")
ENDS = Ends(1, 2, ip_address("10.0.0.1"), ip_address("10.0.0.2"))


def split(bridge, group, frames, run_quietly):
    """How many of some frames left by each port."""

    def sent():
        text = run_quietly("ovs-ofctl", "-O", "OpenFlow15", "dump-ports", bridge.address)
        return {int(port): int(count) for port, count in SENT.findall(text) if port != "1"}

    flow = Flow(0, 1, (), (GroupAction(group.group),))
    state = BridgeState.of([flow], [group])
    bridge.load_text(flow_text(flow), "\n".join(map(group_text, state.groups.values())))
    before = sent()
    for number, frame in enumerate(frames, 1):
        bridge.sandbox.control("netdev-dummy/receive", f"{bridge.name}p1", frame)
        if number % 50 == 0:  # the port's queue holds no more than a few hundred
            bridge.until(
                lambda awaited=number: sum(sent().values()) - sum(before.values()) >= awaited
            )
    after = sent()
    return {port: after[port] - before[port] for port in after}


@pytest.mark.ovs
def test_a_select_group_keeps_to_its_shares(sandbox, compose, run_quietly):
    bridge = sandbox.bridge((1, 2, 3, 4, 5))
    sandbox.control("netdev-dummy/set-admin-state", "up")
    first = compose(udp(ENDS, 1, 53).frame)
    frames = [
        # Over IPv4 a UDP checksum of zero says that there is none (RFC 768).
        (first[:34] + port.to_bytes(2, "big") + first[36:40] + b"\0\0" + first[42:]).hex()
        for port in range(1024, 1024 + CONNECTIONS)
    ]
    buckets = tuple(Bucket((Output(position + 2),), weight) for position, weight in shares(WEIGHTS))
    kept = split(bridge, Group(1, "select", buckets, METHOD), frames, run_quietly)
    for port, weight in zip((2, 3, 4, 5), WEIGHTS, strict=True):
        # Hashing is chance (three deviations), and shares are rounded to hash values.
        chance = 3 * (weight / 100 * (1 - weight / 100) / CONNECTIONS) ** 0.5
        assert abs(kept[port] / CONNECTIONS - weight / 100) < chance + 1 / VALUES, kept
    left_alone = split(bridge, Group(1, "select", buckets), frames[:100], run_quietly)
    assert sorted(left_alone.values()) == [0, 0, 0, 100], "UDP ports count without a method too"
