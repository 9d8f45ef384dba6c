# SPDX-License-Identifier: Apache-2.0
"""What senders are told of packets that cannot be forwarded, in bytes."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.southbound.openflow import datagram, punt
from vneter_sdn.southbound.openflow.complaint import answer
from vneter_sdn.southbound.openflow.icmp6 import Ends6, framed
from vneter_sdn.southbound.openflow.ip_header import checksum

HOST, ROUTER = 0x020000000001, 0x02000000FFFF
OWN = {4: ip_address("10.0.0.9"), 6: ip_address("fd00::9")}
FAR = {4: ip_address("10.0.1.9"), 6: ip_address("fd00:1::9")}
GATEWAY = {4: ip_address("10.0.0.1"), 6: ip_address("fd00::1")}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def udp(family, target=FAR, size=8):
    ends = (HOST, ROUTER, OWN[family], target[family], 1000, 33434)
    return datagram.written(datagram.Datagram(*ends, bytes(size)))


def with_protocol(frame, protocol):
    at = 23 if frame[12:14] == b"\x08\0" else 20
    return frame[:at] + bytes((protocol,)) + frame[at + 1 :]


def complaint(fault, family, mtu=0):
    return Complaint(fault, GATEWAY[family], ROUTER, 1, 2, mtu)


def told(frame, said):
    """Type, code and what comes after the checksum of an error; that it is sound, too."""
    back = answer(frame, said)
    seen = punt.decode(back)
    packet = seen.network
    assert (seen.ethernet.source, seen.ethernet.destination) == (ROUTER, HOST)
    assert packet.target == OWN[packet.target.version]
    body = back[packet.payload : packet.end]
    pseudo = b""
    if packet.source.version == 6:
        ends = packet.source.packed + packet.target.packed
        pseudo = ends + len(body).to_bytes(4, "big") + (58).to_bytes(4, "big")
    assert checksum(pseudo + body) == 0
    return packet.source, (seen.transport.type, seen.transport.code), body[4:8], body[8:]


@FAMILIES
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (Fault.EXPIRED, {4: (11, 0), 6: (3, 0)}),
        (Fault.NO_ROUTE, {4: (3, 0), 6: (1, 0)}),
        (Fault.NOBODY, {4: (3, 1), 6: (1, 3)}),
    ],
)
def test_errors_are_the_gateways_and_quote_the_packet(family, fault, kinds):
    frame = udp(family)
    source, kind, rest, quoted = told(frame, complaint(fault, family))
    assert (source, kind, rest) == (GATEWAY[family], kinds[family], bytes(4))
    assert quoted == frame[14:]


@FAMILIES
def test_too_long_says_what_is_not(family):
    frame = udp(family, size=1372)
    _, kind, rest, quoted = told(frame[:1294], complaint(Fault.TOO_LONG, family, 1300))
    assert kind == {4: (3, 4), 6: (2, 0)}[family]
    assert int.from_bytes(rest, "big") == 1300
    assert quoted == frame[14 : 14 + {4: 576 - 28, 6: 1280 - 48}[family]]


@FAMILIES
@pytest.mark.parametrize("fault", [Fault.GATEWAY, Fault.NOBODY])
def test_nobody_listens_at_a_gateway(family, fault):
    said = complaint(fault, family)
    source, kind, _, _ = told(udp(family, GATEWAY), said)
    assert (source, kind) == (GATEWAY[family], {4: (3, 3), 6: (1, 4)}[family])
    source, kind, rest, _ = told(with_protocol(udp(family, GATEWAY), 47), said)
    assert (source, kind) == (GATEWAY[family], {4: (3, 2), 6: (4, 1)}[family])
    assert int.from_bytes(rest, "big") == {4: 0, 6: 6}[family], "where the protocol stands"


@FAMILIES
def test_a_connection_to_a_gateway_is_reset(family):
    syn = with_protocol(udp(family, GATEWAY, 12), 6)
    at = {4: 34, 6: 54}[family]
    syn = syn[: at + 12] + b"\x50\x02" + syn[at + 14 :]
    back = answer(syn, complaint(Fault.GATEWAY, family))
    seen = punt.decode(back)
    assert seen.network.source == GATEWAY[family]
    assert seen.transport == punt.Ports(33434, 1000)
    assert back[at + 13] == 0x14, "RST and ACK"


def echo(family, target=GATEWAY, size=56):
    body = bytes(({4: 8, 6: 128}[family], 0, 0, 0, 1, 2, 0, 7)) + bytes(range(size))
    if family == 6:
        return framed(Ends6(HOST, ROUTER, OWN[6], target[6]), body, 63)
    frame = with_protocol(udp(4, target, len(body) - 8), 1)
    return frame[:34] + body


@FAMILIES
def test_another_networks_gateway_answers_pings(family):
    source, kind, rest, data = told(echo(family), complaint(Fault.NOBODY, family))
    assert (source, kind) == (GATEWAY[family], {4: (0, 0), 6: (129, 0)}[family])
    assert (rest, data) == (bytes((1, 2, 0, 7)), bytes(range(56)))


@FAMILIES
def test_what_is_cut_short_is_no_ping(family):
    assert answer(echo(family)[:-1], complaint(Fault.NOBODY, family)) is None


@FAMILIES
@pytest.mark.parametrize("fault", Fault)
def test_nothing_is_said_about_errors_and_to_groups(family, fault):
    said = complaint(fault, family, 1300)
    error = answer(udp(family), complaint(Fault.EXPIRED, family))
    assert answer(error, said) is None
    everybody = {4: ip_address("224.0.0.1"), 6: ip_address("ff02::1")}
    if (family, fault) != (6, Fault.TOO_LONG):  # RFC 4443 §2.4(e)(3)
        assert answer(udp(family, everybody), said) is None


@given(
    st.binary(max_size=200),
    st.sampled_from([4, 6]),
    st.sampled_from(Fault),
    st.sampled_from([b"", b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0\x45", b"\2" * 12 + b"\x86\xdd\x60"]),
)
def test_any_bytes_are_answered_or_not(data, family, fault, head):
    back = answer(head + data, complaint(fault, family, 1300))
    assert back is None or isinstance(punt.decode(back).network, punt.Ip)
