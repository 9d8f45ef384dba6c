# SPDX-License-Identifier: Apache-2.0
"""What a rejected sender is told, held to another implementation's reading of packets."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from os_ken.lib.packet import ethernet, icmp, icmpv6, ipv4, ipv6, packet, tcp, udp

from vneter_sdn.southbound.openflow.refusal import refusal

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
FOUR, SIX = ("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")
SYN, ACK, FIN, RST = 2, 16, 1, 4


def frame(ends, transport, payload=b""):
    six = ":" in ends[0]
    made = packet.Packet()
    made.add_protocol(ethernet.ethernet(B, A, 0x86DD if six else 0x800))
    kinds = {tcp.tcp: 6, udp.udp: 17, icmp.icmp: 1, icmpv6.icmpv6: 58}
    number = kinds[type(transport)]
    header = ipv6.ipv6(src=ends[0], dst=ends[1], nxt=number) if six else None
    made.add_protocol(header or ipv4.ipv4(src=ends[0], dst=ends[1], proto=number))
    made.add_protocol(transport)
    if payload:
        made.add_protocol(payload)
    made.serialize()
    return bytes(made.data)


def read(data, kind):
    seen = packet.Packet(data)
    link, network = seen.get_protocol(ethernet.ethernet), seen.protocols[1]
    assert (link.src, link.dst) == (B, A)
    return network, seen.get_protocol(kind)


@pytest.mark.parametrize("ends", [FOUR, SIX])
@pytest.mark.parametrize(
    ("flags", "payload", "expected"),
    [
        (SYN, b"", (0, 1001, RST | ACK)),
        (SYN, b"fast", (0, 1005, RST | ACK)),
        (0, b"abc", (0, 1003, RST | ACK)),
        (FIN, b"", (0, 1001, RST | ACK)),
        (ACK, b"data", (77, 0, RST)),
        (SYN | ACK, b"", (77, 0, RST)),
        (FIN | ACK, b"", (77, 0, RST)),
    ],
)
def test_tcp_is_reset(ends, flags, payload, expected):
    sent = frame(ends, tcp.tcp(1234, 80, seq=1000, ack=77, bits=flags), payload)
    network, segment = read(refusal(sent), tcp.tcp)
    assert (network.src, network.dst) == (ends[1], ends[0])
    assert (segment.src_port, segment.dst_port) == (80, 1234)
    assert (segment.seq, segment.ack, segment.bits) == expected


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_sums_are_right(ends):
    answer = refusal(frame(ends, tcp.tcp(1234, 80, seq=2**32 - 1, bits=SYN)))
    network, segment = read(answer, tcp.tcp)
    assert segment.ack == 0
    again = frame((ends[1], ends[0]), tcp.tcp(80, 1234, ack=0, bits=RST | ACK, window_size=0))
    assert answer[-20:] == again[: len(answer)][-20:]
    assert network.dst == ends[0]


def test_a_packet_cut_short_counts_as_long_as_it_was():
    sent = frame(FOUR, tcp.tcp(1234, 80, seq=0, bits=SYN), b"x" * 500)
    _, segment = read(refusal(sent[:60]), tcp.tcp)
    assert segment.ack == 501


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_no_reset_answers_a_reset(ends):
    assert refusal(frame(ends, tcp.tcp(1, 2, bits=RST))) is None
    assert refusal(frame(ends, tcp.tcp(1, 2, bits=RST | ACK))) is None


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_others_are_told_by_icmp(ends):
    kind = icmpv6.icmpv6 if ends is SIX else icmp.icmp
    network, told = read(refusal(frame(ends, udp.udp(1, 53), b"ask")), kind)
    assert (network.src, network.dst) == (ends[1], ends[0])
    kind_told = told.type_ if ends is SIX else told.type
    assert (kind_told, told.code) == ((1, 1) if ends is SIX else (3, 10))
    assert ip_address(network.src) == ip_address(ends[1])


def test_no_error_answers_an_error():
    error = icmp.icmp(type_=3, code=1, data=icmp.dest_unreach(data=bytes(28)))
    assert refusal(frame(FOUR, error)) is None


@pytest.mark.parametrize("ends", [("10.0.0.1", "224.0.0.5"), ("fd00::1", "ff02::1")])
def test_nobody_is_answered_for_a_group(ends):
    assert refusal(frame(ends, udp.udp(1, 2))) is None
    assert refusal(frame(ends, tcp.tcp(1, 2, bits=SYN))) is None


def test_what_is_no_packet_is_not_answered():
    whole = frame(FOUR, tcp.tcp(1234, 80, bits=SYN))
    for length in range(14 + 20 + 20):
        assert refusal(whole[:length]) is None
