# SPDX-License-Identifier: Apache-2.0
"""Packets too long for where they go: told apart by every length, in proofs as in the simulator."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verify_world import world

from vneter_sdn.model.flow import BridgeState, CheckLength, Flow, Output, match
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.packet import Ends, Packet, udp
from vneter_sdn.verify.checks import black_holes
from vneter_sdn.verify.packets import ALL
from vneter_sdn.verify.state import Sent
from vneter_sdn.verify.values import above, holds
from vneter_sdn.verify.walk import Around, Walker

LIMIT = 1314
STATE = BridgeState.of(
    [
        Flow(0, 1, (), (CheckLength(LIMIT, "reg0", 5),), 1),
        Flow(1, 2, match(reg0=(1 << 5, 1 << 5)), (Output(2),)),
        Flow(1, 1, (), (Output(3),)),
    ]
)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_values_above_another(limit, value):
    assert holds(above(16, limit), value) == (value > limit)


@pytest.mark.parametrize(("length", "port"), [(0, 3), (LIMIT, 3), (LIMIT + 1, 2), (0xFFFF, 2)])
def test_a_frame_is_longer_or_not(length, port):
    result = run(STATE, Packet(in_port=1, length=length))
    assert [sent.port for sent in result.outputs] == [port]


def test_a_proof_knows_both():
    found = {}
    for course in Walker(STATE, Around()).courses(ALL):
        for sent in course.of(Sent):
            found[sent.port] = course.packets
    for length in (0, 1, LIMIT, LIMIT + 1, 0xFFFF):
        packet = Packet(in_port=1, length=length)
        assert (packet in found[2], packet in found[3]) == (length > LIMIT, length <= LIMIT)


SCENARIO = "routers-and-lengths"


def sent(name="a", other="c", length=LIMIT):
    held = world(SCENARIO)
    stations = {station.key.name: station for station in held.meaning.stations.values()}
    one, two = stations[name], stations[other]
    for version in (4, 6):
        source, target = (next(a for a in s.addresses if a.version == version) for s in (one, two))
        ends = Ends(one.mac, held.meaning.gateways[one.network].mac, source, target)
        yield run(held.states[one.host], udp(ends, 1, 2).with_(in_port=one.port, length=length))


def test_who_sends_too_much_is_told_how_much_may_be():
    for result in sent(length=LIMIT + 1):
        assert not result.outputs
        (punted,) = result.punts
        said = punts.decode(punted.action.userdata)
        assert isinstance(said, Complaint)
        assert (said.fault, said.mtu) == (Fault.TOO_LONG, 1300)
        assert said.gateway in (ip_address("10.0.1.1"), ip_address("fd00:0:0:1::1"))


def test_what_fits_goes_on_and_so_does_all_to_where_more_does():
    for result in (*sent(length=LIMIT), *sent("c", "a", 0xFFFF)):
        assert len(result.outputs) == 1
        assert not result.punts


def test_what_is_too_long_and_nobody_is_told_of_is_a_black_hole():
    held = world(SCENARIO)
    assert list(black_holes(held.fabric(), held.directory)) == []
    complaining = [
        flow
        for flow in held.states["h1"].flows.values()
        if flow.table == table("complain").id and "ip_dst" in {t.field for t in flow.match}
    ]
    mute = [replace(flow, actions=()) for flow in complaining]
    silent = held.with_("h1", remove=complaining, add=mute)
    assert list(black_holes(silent.fabric(), held.directory)) != []


def test_nothing_is_measured_where_all_networks_take_the_same():
    size = table("size").id
    for name in ("dual-stack-routing", "overlapping-tenants"):
        for state in world(name).states.values():
            assert not any(flow.goto == size for flow in state.flows.values())
    narrow = world(SCENARIO).states["h2"].flows.values()
    assert not any(flow.goto == size for flow in narrow), "nor from what takes least"
