# SPDX-License-Identifier: Apache-2.0
"""Packets, and their text in Open vSwitch's flow syntax."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.simulate.packet import (
    Ends,
    Packet,
    arp_request,
    echo,
    ip_packet,
    neighbour_solicitation,
    raw,
    tcp,
    udp,
)
from vneter_sdn.simulate.text import packet_text, parse_packet

MACS = st.integers(0, (1 << 48) - 1)
FOUR = Ends(1, 2, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"))
SIX = Ends(1, 2, IPv6Address("fd00::1"), IPv6Address("fd00::2"))


@st.composite
def packets(draw):
    version = draw(st.sampled_from((4, 6)))
    addresses = st.ip_addresses(v=version)
    ends = Ends(draw(MACS), draw(MACS), draw(addresses), draw(addresses))
    number = draw(st.integers(0, 65535))
    made = [
        arp_request(ends.eth_src, number, number << 16),
        echo(ends, ttl=number & 0xFF, reply=bool(number & 1)),
        tcp(ends, number, 80),
        udp(ends, 53, number),
        raw(ends.eth_src, ends.eth_dst, 0x88CC),
    ]
    if version == 6:
        made.append(neighbour_solicitation(ends.eth_src, ends.source, ends.target))
    carried = {name: draw(st.integers(0, FIELDS[name].full)) for name in ("reg5", "tun_id")}
    tag = draw(st.sampled_from((0, 0x1000, 0x1FFF)))
    return draw(st.sampled_from(made)).at(number & 0x7FFF).with_(vlan_vid=tag, **carried)


@given(packets())
def test_text_goes_there_and_back(packet):
    assert parse_packet(packet_text(packet)) == packet


def test_an_absent_field_is_zero():
    assert Packet(eth_src=1, tun_id=0) == Packet(eth_src=1)
    assert hash(Packet(eth_src=1, tun_id=0)) == hash(Packet(eth_src=1))
    assert Packet(eth_src=1) != Packet(eth_src=2)


@pytest.mark.parametrize("fields", [{"colour": 1}, {"eth_type": 0x10000}, {"reg0": -1}])
def test_refuses_what_is_no_field(fields):
    with pytest.raises(PipelineError):
        Packet(**fields)


def test_refuses_ends_of_two_families():
    with pytest.raises(PipelineError):
        ip_packet(Ends(1, 2, FOUR.source, SIX.target), 6)
    with pytest.raises(PipelineError):
        neighbour_solicitation(1, FOUR.source, FOUR.target)


def test_a_solicitation_goes_to_the_group_of_its_target():
    packet = neighbour_solicitation(7, SIX.source, IPv6Address("fd00::1:2:3:4"))
    assert packet["eth_dst"] == 0x3333FF030004
    assert packet["ipv6_dst"] == int(IPv6Address("ff02::1:ff03:4"))
    assert packet["nd_sll"] == 7
    assert "nd_sll" not in neighbour_solicitation(7, SIX.source, SIX.target, link_address=0)


def test_frame_is_without_what_bridges_and_tunnels_add():
    packet = tcp(FOUR, 1, 2).at(3).with_(reg0=1, metadata=2, tun_id=9)
    assert packet.wire == tcp(FOUR, 1, 2).with_(tun_id=9)
    assert packet.frame == tcp(FOUR, 1, 2)


def test_reads_what_open_vswitch_prints():
    text = (
        "udp6,reg3=0x5,in_port=2,dl_vlan=5,dl_vlan_pcp=0,vlan_tci1=0x0000,"
        "dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,ipv6_src=fd00::1,ipv6_dst=fd00::2,"
        "ipv6_label=0x00000,nw_tos=8,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=1,tp_dst=2"
    )
    expected = udp(SIX, 1, 2).at(2).with_(vlan_vid=0x1005, reg3=5, ip_dscp=2)
    assert parse_packet(text) == expected


def test_reads_icmp_by_the_family():
    assert parse_packet("icmp6,icmp_type=128,nw_ttl=1")["icmpv6_type"] == 128
    assert parse_packet("icmp,icmp_type=8,nw_ttl=1")["icmp_type"] == 8


@pytest.mark.parametrize("text", ["eth_src=zz", "ip_src=300.1.1.1", "reg0=many"])
def test_refuses_values_that_are_none(text):
    with pytest.raises(PipelineError):
        parse_packet(text)
