# SPDX-License-Identifier: Apache-2.0
"""Punted frames: decoded, and answered where the RFCs allow it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.ip_header import checksum

HOST, ROUTER = 0x020000000001, 0x02000000FFFF
V4, V6 = IPv4Address("10.0.0.1"), IPv6Address("fe80::1")
V4_HOST, V4_FAR = IPv4Address("10.0.0.9"), IPv4Address("10.1.0.9")
V6_HOST, V6_FAR = IPv6Address("2001:db8::9"), IPv6Address("2001:db8:1::9")


def ethernet(kind: int, body: bytes, target: int = ROUTER, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else pack("!HH", 0x8100, vlan)
    return target.to_bytes(6, "big") + HOST.to_bytes(6, "big") + tag + pack("!H", kind) + body


def ip4(payload: bytes, protocol=17, source=V4_HOST, target=V4_FAR, part=0, ttl=1) -> bytes:
    head = pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, part, ttl, protocol, 0)
    return head + source.packed + target.packed + payload


def ip6(payload: bytes, protocol=17, source=V6_HOST, target=V6_FAR) -> bytes:
    return (
        pack("!IHBB", 6 << 28, len(payload), protocol, 1) + source.packed + target.packed + payload
    )


UDP = pack("!HHHH", 1000, 53, 12, 0) + b"data"


def test_arp():
    body = pack("!HHBBH", 1, 0x800, 6, 4, 1) + HOST.to_bytes(6, "big") + V4_HOST.packed
    seen = punt.decode(ethernet(0x806, body + bytes(6) + V4.packed, vlan=5))
    assert seen.ethernet.vlan == 5
    assert seen.network == punt.Arp(1, HOST, V4_HOST, 0, V4)


@pytest.mark.parametrize(
    ("kind", "packet", "source"),
    [(0x800, ip4(UDP), V4_HOST), (0x86DD, ip6(UDP), V6_HOST)],
)
def test_ports(kind, packet, source):
    seen = punt.decode(ethernet(kind, packet + b"trailer"))
    assert isinstance(seen.network, punt.Ip)
    assert seen.network.source == source
    assert seen.network.ttl == 1
    assert seen.network.end == 14 + len(packet)
    assert seen.transport == punt.Ports(1000, 53)


def test_extension_headers_are_walked_a_bounded_number_of_times():
    chain = bytes((60, 0, 0, 0, 0, 0, 0, 0)) * 7 + bytes((17, 0, 0, 0, 0, 0, 0, 0))
    assert punt.decode(ethernet(0x86DD, ip6(chain + UDP, 60))).transport == punt.Ports(1000, 53)
    longer = bytes((60, 0, 0, 0, 0, 0, 0, 0)) * 8 + bytes((17, 0, 0, 0, 0, 0, 0, 0))
    with pytest.raises(DecodeError):
        punt.decode(ethernet(0x86DD, ip6(longer + UDP, 60)))


@pytest.mark.parametrize("size", range(14 + 20 + 4))
def test_truncation(size):
    with pytest.raises(DecodeError):
        punt.decode(ethernet(0x800, ip4(UDP))[:size])


def test_later_fragments_have_no_ports():
    assert punt.decode(ethernet(0x800, ip4(UDP, part=5))).transport is None


def test_time_exceeded_v4():
    frame = ethernet(0x800, ip4(UDP + bytes(1000)), vlan=9)
    answer = punt.time_exceeded(frame, V4, ROUTER)
    seen = punt.decode(answer)
    assert (seen.ethernet.destination, seen.ethernet.source) == (HOST, ROUTER)
    assert seen.ethernet.vlan == 9
    assert (seen.network.source, seen.network.target) == (V4, V4_HOST)
    assert seen.transport == punt.Icmp(11, 0)
    packet = answer[18:]
    assert len(packet) == 576
    assert checksum(packet[:20]) == 0
    assert checksum(packet[20:]) == 0
    assert packet[28:] == frame[18:][:548]


def test_time_exceeded_v6():
    frame = ethernet(0x86DD, ip6(UDP + bytes(2000)))
    answer = punt.time_exceeded(frame, V6, ROUTER)
    seen, packet = punt.decode(answer), answer[14:]
    assert seen.transport == punt.Icmp(3, 0)
    assert len(packet) == 1280
    pseudo = packet[8:40] + (len(packet) - 40).to_bytes(4, "big") + (58).to_bytes(4, "big")
    assert checksum(pseudo + packet[40:]) == 0
    assert packet[48:] == frame[14:][: 1280 - 48]


def test_packet_too_big():
    v4 = punt.packet_too_big(ethernet(0x800, ip4(UDP)), V4, ROUTER, 1450)
    assert punt.decode(v4).transport == punt.Icmp(3, 4)
    assert v4[14 + 20 + 4 : 14 + 20 + 8] == pack("!HH", 0, 1450)
    v6 = punt.packet_too_big(ethernet(0x86DD, ip6(UDP)), V6, ROUTER, 1450)
    assert punt.decode(v6).transport == punt.Icmp(2, 0)
    assert v6[14 + 44 : 14 + 48] == pack("!I", 1450)


GROUP4, GROUP6 = IPv4Address("224.0.0.5"), IPv6Address("ff02::5")
SILENT = {
    "icmp error": ethernet(0x800, ip4(bytes((11, 0, 0, 0)) + bytes(8), 1)),
    "icmp unreachable": ethernet(0x800, ip4(bytes((3, 1, 0, 0)) + bytes(8), 1)),
    "later fragment": ethernet(0x800, ip4(UDP, part=1)),
    "to a group": ethernet(0x800, ip4(UDP, target=GROUP4)),
    "from a group": ethernet(0x800, ip4(UDP, source=GROUP4)),
    "from nobody": ethernet(0x800, ip4(UDP, source=IPv4Address(0))),
    "from loopback": ethernet(0x800, ip4(UDP, source=IPv4Address("127.0.0.1"))),
    "to all": ethernet(0x800, ip4(UDP, target=IPv4Address("255.255.255.255"))),
    "link broadcast": ethernet(0x800, ip4(UDP), 0xFFFFFFFFFFFF),
    "icmpv6 error": ethernet(0x86DD, ip6(bytes((1, 0, 0, 0)) + bytes(8), 58)),
    "icmpv6 redirect": ethernet(0x86DD, ip6(bytes((137, 0, 0, 0)) + bytes(8), 58)),
    "to an IPv6 group": ethernet(0x86DD, ip6(UDP, target=GROUP6)),
    "from nobody in IPv6": ethernet(0x86DD, ip6(UDP, source=IPv6Address(0))),
    "arp": ethernet(0x806, bytes(28)),
    "cut off": ethernet(0x800, b"\x45"),
    "empty": b"",
}


@pytest.mark.parametrize("name", sorted(SILENT))
def test_never_in_answer_to(name):
    assert punt.time_exceeded(SILENT[name], V4, ROUTER) is None
    assert punt.time_exceeded(SILENT[name], V6, ROUTER) is None


def test_echo_requests_are_answered_and_groups_learn_of_a_small_mtu():
    echo = ethernet(0x800, ip4(bytes((8, 0, 0, 0)) + bytes(8), 1))
    assert punt.time_exceeded(echo, V4, ROUTER) is not None
    group = ethernet(0x86DD, ip6(UDP, target=GROUP6), 0x333300000005)
    assert punt.packet_too_big(group, V6, ROUTER, 1280) is not None
    assert punt.time_exceeded(ethernet(0x800, ip4(UDP)), V6, ROUTER) is None


@settings(max_examples=200)
@given(
    st.sampled_from((0x800, 0x806, 0x86DD, 0x8100, 0x1234)),
    st.sampled_from((b"", b"\x45", b"\x46", b"\x60")),
    st.binary(max_size=120),
)
def test_total(kind, first, rest):
    frame = ethernet(kind, first + rest)
    with suppress(DecodeError):
        punt.decode(frame)
    for source in (V4, V6):
        answer = punt.time_exceeded(frame, source, ROUTER)
        if answer is not None:
            assert isinstance(punt.decode(answer).transport, punt.Icmp)
            assert punt.time_exceeded(answer, source, HOST) is None


def arp_body(operation: int, mac: int = HOST, address: IPv4Address = V4_HOST) -> bytes:
    ends = mac.to_bytes(6, "big") + address.packed + bytes(6) + V4.packed
    return pack("!HHBBH", 1, 0x800, 6, 4, operation) + ends


def test_senders() -> None:
    asked = punt.sender(ethernet(0x806, arp_body(1)))
    assert asked == punt.Sender(HOST, V4_HOST, ROUTER, asks=V4)
    told = punt.sender(ethernet(0x806, arp_body(2)))
    assert told == punt.Sender(HOST, V4_HOST, ROUTER, answers=True)
    assert punt.sender(ethernet(0x800, ip4(UDP))) == punt.Sender(HOST, V4_HOST, ROUTER)
    probe = punt.sender(ethernet(0x806, arp_body(1, address=IPv4Address("0.0.0.0"))))
    assert probe == punt.Sender(HOST, None, ROUTER, asks=V4)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ethernet(0x86DD, ip6(UDP)),
        ethernet(0x806, arp_body(1), vlan=7),
        ethernet(0x806, arp_body(1, mac=ROUTER)),
        ethernet(0x806, arp_body(3)),
        ethernet(0x806, arp_body(1)[:-1]),
        bytes(6) + b"\1" + bytes(5) + ethernet(0x806, arp_body(1))[12:],
    ],
)
def test_no_sender_where_a_frame_contradicts_itself(frame: bytes) -> None:
    assert punt.sender(frame) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.1"])
def test_addresses_that_are_no_senders(text: str) -> None:
    found = punt.sender(ethernet(0x800, ip4(UDP, source=IPv4Address(text))))
    assert found is not None
    assert found.address is None


@settings(max_examples=200)
@given(st.binary(max_size=80), st.sampled_from([b"\x08\x06", b"\x08\0", b"\x86\xdd", b"\x81\0"]))
def test_any_frame_has_a_sender_that_may_be_one_or_none(data: bytes, kind: bytes) -> None:
    found = punt.sender(data[:12] + kind + data[12:])
    if found is not None:
        assert found.mac
        assert not found.mac >> 40 & 1
        assert found.address is None or not (
            found.address.is_multicast or found.address.is_loopback or found.address.is_unspecified
        )
