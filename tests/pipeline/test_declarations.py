# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError, PipelineError
from vneter_sdn.model.flow import Conntrack, Copy, DecTtl, Output, Resubmit, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.complaints import EVERY_BRIDGE, Complaint, Fault, of_endpoint
from vneter_sdn.pipeline.contracts import Contract
from vneter_sdn.pipeline.cookies import Cookie, is_ours, object_bits
from vneter_sdn.pipeline.locator import (
    ANY_COLOUR_MASK,
    BRIDGE_MASK,
    COLOURS,
    MAX_BRIDGE,
    MAX_SLOT,
    Locator,
)
from vneter_sdn.pipeline.priorities import EXPIRED, UNROUTABLE, route
from vneter_sdn.pipeline.punts import Asked, Names, Service, decode
from vneter_sdn.pipeline.reference import dot, render
from vneter_sdn.pipeline.registers import REGISTERS, TENANT
from vneter_sdn.pipeline.reserved import METERS
from vneter_sdn.pipeline.tables import TABLES, Table, table, table_names

bridges, slots = st.integers(1, MAX_BRIDGE), st.integers(0, MAX_SLOT)
locators = st.builds(Locator, st.integers(0, COLOURS - 1), bridges, slots)


@given(locators, locators)
def test_locators_are_local_unicast_and_told_apart(one, other):
    assert Locator.of(one.mac) == one
    assert one.mac >> 40 & 0b11 == 0b10
    assert (one.mac & BRIDGE_MASK == other.mac & BRIDGE_MASK) == (one[:2] == other[:2])
    assert (one.mac & ANY_COLOUR_MASK == other.mac & ANY_COLOUR_MASK) == (one[1:] == other[1:])


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, (1 << 40) - 1))
def test_cookies_come_apart_again(generation, feature, bits):
    cookie = Cookie(generation, feature, bits)
    assert Cookie.of(cookie.number) == cookie
    assert is_ours(cookie.number)
    assert not is_ours(cookie.number ^ 1 << 60)
    assert Cookie.of(cookie.number ^ 1 << 60) is None


def test_objects_have_bits_of_their_own():
    assert object_bits(Key("Endpoint", "a", "bc")) != object_bits(Key("Endpoint", "ab", "c"))
    assert object_bits(None) == 0


@given(
    st.sampled_from(Fault),
    st.ip_addresses(),
    st.integers(0, (1 << 48) - 1),
    *(st.integers(0, (1 << 20) - 1), st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFF)),
)
def test_punts_say_who_answers(fault, gateway, mac, tenant, vni, mtu):
    punt = Complaint(fault, gateway, mac, tenant, vni, mtu)
    assert decode(punt.encode()) == punt


@given(
    st.sampled_from(Service),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFF),
    st.integers(0, (1 << 48) - 1),
)
def test_questions_say_who_asks(service, port, vni, mac):
    asked = Asked(service, port, vni, mac)
    assert decode(asked.encode()) == asked
    assert asked.meter.meter in METERS


def test_endpoints_have_meters_of_their_own():
    """Nobody's flood is anybody else's, and one of names costs no lease."""
    meters = [
        meter
        for port in (1, 2, 12_287)
        for meter in (
            Names(1, port).meter,
            of_endpoint(port),
            *{Asked(service, port, 1, 1).meter for service in Service},
        )
    ]
    assert len({meter.meter for meter in meters}) == len(meters) == 12


@given(st.binary(max_size=40))
def test_any_other_user_data_is_refused(userdata):
    with contextlib.suppress(DecodeError):
        assert decode(userdata).encode() == userdata


def test_the_meters_are_ours():
    assert all(meter.meter in METERS for meter in (*EVERY_BRIDGE, of_endpoint(1)))
    assert {Complaint(fault, ip_address("::"), 1, 1, 1).meter for fault in Fault} == {
        meter.meter for meter in EVERY_BRIDGE
    }


@pytest.mark.parametrize(
    ("name", "matched", "actions", "goto", "fault"),
    [
        ("switch", {"ip_src": 1, "eth_type": 0x800}, (), None, "switch may not match ip_src"),
        ("switch", {}, (SetField("eth_src", 1, 1),), None, "switch may not set eth_src"),
        ("switch", {}, (Copy("reg1", "reg2", 1),), None, "switch may not set reg2"),
        ("switch", {}, (DecTtl(),), None, "switch may not set ip_ttl"),
        ("switch", {}, (Output(1),), None, "switch may not send a packet"),
        ("switch", {}, (), "deliver", "switch may not go to deliver"),
        ("switch", {}, (Resubmit(0),), None, "switch may not go to entry"),
    ],
)
def test_a_table_refuses_what_breaks_its_contract(name, matched, actions, goto, fault):
    with pytest.raises(PipelineError, match=fault):
        table(name).flow(200, matched, *actions, goto=goto)


def test_packets_only_go_down():
    for one in TABLES:
        assert all(table(name).id > one.id for name in one.contract.goes_to)


def test_registers_do_not_overlap():
    bits = [(r.register, bit) for r in REGISTERS for bit in range(r.first, r.last + 1)]
    assert len(bits) == len(set(bits))
    with pytest.raises(PipelineError, match="tenant holds 20 bits"):
        TENANT.load(1 << 20)


def test_longer_routes_go_first_and_expired_packets_before_all():
    order = [route(length, own) for length in range(129) for own in (False, True)]
    assert order == sorted(set(order))
    assert order[-1] < EXPIRED < UNROUTABLE <= 0xFFFF


def test_every_table_is_in_the_reference_and_the_picture():
    for one in TABLES:
        assert f"`{one.name}`" in render()
        assert f" {one.name} [label=" in dot()
        assert table_names()[one.id] == one.name


TRACKER = Table(
    5,
    Contract(
        "tracker",
        "",
        frozenset({"eth_type", "ct_state"}),
        frozenset({"ct_mark"}),
        frozenset({TABLES[-1].name}),
    ),
)
MARK = SetField("ct_mark", 1, 0xFFFFFFFF)


def test_a_table_tracks_what_open_vswitch_lets_it():
    pin = Conntrack(commit=True, table=TABLES[-1].id, actions=(MARK,))
    assert TRACKER.flow(1, {"eth_type": 0x800}, pin).actions == (pin,)
    assert TRACKER.flow(1, {"eth_type": 0x86DD, "ct_state": (0x20, 0x30)}, pin)
    assert TRACKER.flow(1, {"eth_type": 0x800, "ct_state": (0x30, 0x30)}, Conntrack())


@pytest.mark.parametrize(
    ("matched", "action"),
    [
        ({}, Conntrack()),
        ({"eth_type": 0x806}, Conntrack()),
        ({"eth_type": 0x800}, Conntrack(table=TABLES[0].id)),
        ({"eth_type": 0x800}, Conntrack(commit=True, actions=(SetField("ct_label", 1, 1),))),
        ({"eth_type": 0x800, "ct_state": (0x30, 0x30)}, Conntrack(commit=True)),
    ],
)
def test_a_table_refuses_other_tracking(matched, action):
    with pytest.raises(PipelineError, match="tracker may not"):
        TRACKER.flow(1, matched, action)
