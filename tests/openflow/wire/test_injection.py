# SPDX-License-Identifier: Apache-2.0
"""A packet to be followed: its bytes, the flows that follow it, what they report."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.fields import (
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Punt, Resubmit, SetField
from vneter_sdn.pipeline import traced
from vneter_sdn.pipeline.cookies import is_ours
from vneter_sdn.pipeline.punts import decode as decode_reason
from vneter_sdn.pipeline.reserved import METERS
from vneter_sdn.pipeline.tables import TABLES
from vneter_sdn.simulate.packet import Ends, ip_packet
from vneter_sdn.southbound.openflow import encode, injection, oxm, punt
from vneter_sdn.southbound.openflow.decode import PacketIn
from vneter_sdn.southbound.openflow.ip_header import checksum
from vneter_sdn.southbound.openflow.wire import V14, V15

NAMES = {PROTO_TCP: "tcp", PROTO_UDP: "udp", PROTO_SCTP: "sctp"}
KNOWN = bytes(range(1, 17))
ADDRESSES = {
    4: (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")),
    6: (IPv6Address("fd00::1"), IPv6Address("fd00::2")),
}


def packet(protocol, version=4, ends=None, **fields):
    """A packet of one kind, marked."""
    made = ip_packet(Ends(0x020000000001, 0x020000000002, *(ends or ADDRESSES[version])), protocol)
    if name := NAMES.get(protocol):
        fields = {f"{name}_src": 61234, f"{name}_dst": 80, **fields}
    if protocol == PROTO_ICMP:
        fields = {"icmp_type": 8, **fields}
    if protocol == PROTO_ICMPV6:
        fields = {"icmpv6_type": 128, **fields}
    return made.with_(ip_dscp=traced.DSCP, **fields)


KINDS = [
    packet(protocol, version)
    for version in (4, 6)
    for protocol in (PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_ICMP, PROTO_ICMPV6)
    if (protocol, version) not in ((PROTO_ICMP, 6), (PROTO_ICMPV6, 4))
]


def summed(frame, found, at=None):
    """The Internet checksum of the segment of a frame as it stands: zero when it is right."""
    body = frame[found.payload : found.end]
    if found.protocol == PROTO_ICMP:
        return checksum(body)
    length = 4 if isinstance(found.source, IPv6Address) else 2
    number = found.protocol.to_bytes(length, "big")
    pseudo = found.source.packed + found.target.packed + len(body).to_bytes(length, "big")
    return checksum(pseudo + number + body)


@pytest.mark.parametrize("made", KINDS, ids=str)
def test_bytes_say_what_the_packet_says(made):
    frame = injection.frame(made, KNOWN)
    seen = punt.decode(frame)
    found = seen.network
    four = made["eth_type"] == 0x800
    assert (seen.ethernet.source, seen.ethernet.destination) == (made["eth_src"], made["eth_dst"])
    assert (found.protocol, found.ttl) == (made["ip_proto"], 64)
    assert int(found.target) == made["ip_dst" if four else "ipv6_dst"]
    service = frame[15] if four else (frame[14] << 4 | frame[15] >> 4) & 0xFF
    assert service >> 2 == traced.DSCP
    assert found.end == len(frame)
    assert KNOWN in frame
    assert len(frame) <= traced.LENGTH
    if four:
        assert checksum(frame[14:34]) == 0
    if made["ip_proto"] == PROTO_SCTP:
        body = frame[found.payload :]
        blank = body[:8] + bytes(4) + body[12:]
        assert injection.crc32c(blank).to_bytes(4, "little") == body[8:12]
    else:
        assert summed(frame, found) == 0
    if name := NAMES.get(made["ip_proto"]):
        ports = frame[found.payload : found.payload + 4]
        assert ports == b"".join(made[f"{name}_{end}"].to_bytes(2, "big") for end in ("src", "dst"))


def test_checksum_of_sctp():
    assert injection.crc32c(b"123456789") == 0xE3069283  # RFC 3720 B.4 has its polynomial


@pytest.mark.parametrize("made", KINDS, ids=str)
def test_every_table_reports_once_and_then_does_what_it_does(made):
    flows = list(injection.flows(made, 77))
    assert [flow.table for flow in flows] == [table.id for table in TABLES]
    bits = set()
    for flow, table in zip(flows, TABLES, strict=True):
        assert flow.priority == 0xFFFF
        assert not is_ours(flow.cookie)
        assert flow.cookie == traced.cookie(77)
        mark, copy, *rest = flow.actions
        terms = {term.field: term for term in flow.match}
        assert isinstance(mark, SetField)
        assert isinstance(copy, Punt)
        assert mark.field == traced.SEEN
        assert mark.value == mark.mask == terms[traced.SEEN].mask  # so it is met once
        assert terms[traced.SEEN].value == 0
        assert copy.meter in METERS
        bits.add(mark.value)
        assert rest == ([] if table.name == "output" else [Resubmit(table.id)])
        assert terms["ip_dscp"].value == traced.DSCP
        for version in (V14, V15):
            encode.flow_mod(flow, encode.ADD, version, 1, seconds=traced.HOLD)
    assert len(bits) == len(TABLES) <= 64


def test_no_flow_that_stays_knows_of_the_mark():
    for table in TABLES:
        assert traced.SEEN not in table.contract.matches | table.contract.sets


def reported(number, table, **fields):
    terms = [(name, value, (1 << bits) - 1) for name, (value, bits) in fields.items()]
    meta = b"".join(oxm.encode_term(*term) for term in terms)
    return PacketIn(1, 5, table, 1, 0, traced.userdata(number, table), b"", 0, meta)


def test_a_copy_says_where_it_was_seen():
    seen = injection.sighting(
        reported(9, 12, metadata=(0b10110, 64), reg2=(3, 32), ct_state=(33, 32))
    )
    assert (seen.number, seen.table, seen.port, seen.seen) == (9, 12, 5, 3)
    assert seen.fields["reg2"] == 3
    assert injection.zone_of(seen) == 3
    untracked = injection.sighting(reported(9, 12, metadata=(1, 64), reg2=(3, 32)))
    assert injection.zone_of(untracked) == 0


def test_what_is_not_a_copy_is_none():
    assert injection.sighting(PacketIn(1, 5, 0, 1, 0, b"\x02", b"", 0)) is None
    with pytest.raises(DecodeError):
        decode_reason(traced.userdata(1, 2))  # nor is a copy anything else


@given(st.binary(max_size=200))
def test_whatever_a_switch_says_beside_a_copy(data):
    seen = injection.sighting(PacketIn(1, 5, 0, 1, 0, traced.userdata(1, 2), b"", 0, data))
    assert seen.seen <= 64


BY_OFCTL = {
    PROTO_TCP: "0604006800000001000023200000002006000000000000000000004800000000000000140000000000"
    "0000000000ffff0a000001000000000001001400000000000000000000ffff0a0000020000000000020008ee48"
    "000000030008005000000002000800070000",
}
"""What ``ovs-ofctl ct-flush`` of Open vSwitch 3.1.0 sends, for zone 7."""


def test_a_connection_is_forgotten_as_ofctl_would():
    made = packet(PROTO_TCP, tcp_src=61000)
    assert injection.forget(made, KNOWN, 7, V15, 1).hex() == BY_OFCTL[PROTO_TCP]


def test_echoes_of_icmpv6_are_left_to_be_forgotten():
    """Open vSwitch 3.1.0 ends when it is told to forget one."""
    assert injection.forget(packet(PROTO_ICMPV6, 6), KNOWN, 7, V15, 1) == b""
    assert injection.forget(packet(PROTO_ICMP), KNOWN, 7, V15, 1)
