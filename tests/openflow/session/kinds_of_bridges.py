# SPDX-License-Identifier: Apache-2.0
"""A bridge in memory and one of real Open vSwitch, driven alike; flows that they are to hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from vneter_sdn.model.flow import (
    BridgeState,
    Bucket,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    match,
)
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.sandbox import Link
from vneter_sdn.southbound.openflow.wire import V15

DPID = 0x42
G, M = reserved.GROUPS.start, reserved.METERS.start


def flow(number: int, *actions, owner: int = 1) -> Flow:
    return Flow(0, 10, match(reg1=number), actions, None, Cookie(1, 1, owner).number)


def state(count: int = 5) -> BridgeState:
    flows = [flow(n, Output(1)) for n in range(1, count)]
    flows += [flow(100, GroupAction(G)), flow(101, MeterAction(M), Output(1))]
    group = Group(G, "select", (Bucket((Output(1),), 1), Bucket((GroupAction(G + 1),), 2)))
    return BridgeState.of(
        flows, [group, Group(G + 1, "all", (Bucket((Output(1),)),))], [Meter(M, 50, 5)]
    )


class Memory:
    """The twin, driven by its own clock."""

    def __init__(self, audit: float) -> None:
        self.bridges = MemoryBridges(audit)
        self.seen: list = []
        self.bridges.subscribe(self.seen.append)

    def connect(self) -> None:
        self.bridges.connect(DPID)

    def restart(self) -> None:
        self.bridges.restart(DPID)

    def foreign(self, number: int) -> None:
        bridge = self.bridges.add(DPID)
        key = flow(number).key
        bridge.observed = replace(bridge.observed, foreign=bridge.observed.foreign | {key})

    def crowd(self, room: int) -> None:
        self.bridges.add(DPID).room = room

    def remove_all(self) -> None:
        bridge = self.bridges.bridges[DPID]
        bridge.observed = replace(bridge.observed, flows={})

    def until(self, kind, count: int = 1):
        for _ in range(200):
            found = [event for event in self.seen if isinstance(event, kind)]
            if len(found) >= count:
                return found[-1]
            self.bridges.advance(0.1)
        raise AssertionError(f"no {kind.__name__}: {self.seen}")

    def wait(self, condition) -> None:
        self.bridges.run()
        assert condition()

    def held(self) -> int:
        return len(self.bridges.bridges[DPID].observed.flows)


class Real:
    """Open vSwitch, asked with ovs-ofctl."""

    def __init__(self, ovs, bridges, eventually) -> None:
        self.ovs, self.bridges, self.eventually = ovs, bridges, eventually
        self.seen = bridges.seen
        ovs.bridge("br0", DPID)
        # Open vSwitch flushes a bridge when it gets its first controller; have that over with.
        ovs.controller("br0", f"unix:{ovs.directory}/nobody")
        self.target = f"unix:{ovs.directory}/c"
        bridges.listen(self.target, frozenset({DPID}))

    def connect(self) -> None:
        self.ovs.controller("br0", self.target)

    def restart(self) -> None:
        self.ovs.restart_switch()

    def foreign(self, number: int) -> None:
        self.ovs.ofctl("add-flow", "br0", f"priority=10,reg1={number},actions=drop")

    def crowd(self, room: int) -> None:
        """Have another bridge of the datapath, on which they depend, hold all other meters."""
        self.ovs.bridge("others", DPID + 1)
        features = self.ovs.ofctl("meter-features", "others")
        most = int(features.split("max_meter:")[1].split()[0])
        meters = (Meter(number, 1, 1) for number in range(1, most - room + 1))
        added = (encode.meter_mod(meter, encode.ADD, V15, 1) for meter in meters)
        with Link(self.ovs.directory / "others.mgmt") as link:
            while some := b"".join(islice(added, 2000)):
                link.send(some)
            link.barrier(2)

    def remove_all(self) -> None:
        self.ovs.ofctl("del-flows", "br0")

    def until(self, kind, count: int = 1):
        self.eventually(lambda: sum(isinstance(e, kind) for e in self.seen) >= count)
        return [event for event in self.seen if isinstance(event, kind)][-1]

    def wait(self, condition) -> None:
        self.eventually(condition)

    def held(self) -> int:
        return sum("cookie=0x76" in line for line in self.ovs.flows("br0"))
