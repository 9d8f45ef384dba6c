# SPDX-License-Identifier: Apache-2.0
"""UDP in frames: read back as written, total on any bytes, and never longer than it says."""

import struct
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import datagram, punt
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.ip_header import checksum

MACS, PORTS = st.integers(0, (1 << 48) - 1), st.integers(0, 0xFFFF)
FOUR = st.integers(0, (1 << 32) - 1).map(IPv4Address)
SIX = st.integers(0, (1 << 128) - 1).map(IPv6Address)
ENDS = st.tuples(FOUR, FOUR) | st.tuples(SIX, SIX)
DATAGRAMS = st.builds(
    lambda ends, **more: Datagram(source=ends[0], target=ends[1], **more),
    ENDS,
    source_mac=MACS,
    target_mac=MACS,
    source_port=PORTS,
    target_port=PORTS,
    payload=st.binary(max_size=200),
)
ONE = Datagram(1, 2, ip_address("10.0.0.1"), ip_address("10.0.0.2"), 5353, 53, b"abc")


@given(DATAGRAMS, st.binary(max_size=20))
def test_what_is_written_is_read(sent, padding):
    """Ethernet pads short frames; that is no part of what was sent."""
    assert datagram.read(datagram.written(sent) + padding) == sent


@given(DATAGRAMS)
def test_checksums_add_up(sent):
    frame = datagram.written(sent)
    packet = punt.decode(frame).network
    ends = sent.source.packed + sent.target.packed
    udp = frame[packet.payload :]
    if sent.source.version == 4:
        assert checksum(frame[14:34]) == 0
    assert checksum(ends + struct.pack("!II", len(udp), 17) + udp) == 0
    assert udp[6:8] != b"\0\0"


def test_a_checksum_of_zero_is_written_as_ones():
    """Zero means that there is none (RFC 768)."""
    plain = datagram.written(replace(ONE, payload=b"\0\0"))
    made = datagram.written(replace(ONE, payload=plain[40:42]))
    assert made[40:42] == b"\xff\xff"


@given(st.binary(max_size=120))
def test_any_bytes(frame):
    with suppress(DecodeError):
        assert len(datagram.read(frame).payload) <= len(frame)


@given(st.data())
def test_any_frame_of_ours_with_a_few_octets_changed(data):
    frame = bytearray(datagram.written(ONE))
    for at in data.draw(st.lists(st.integers(12, len(frame) - 1), max_size=4)):
        frame[at] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        datagram.read(bytes(frame))


@pytest.mark.parametrize(("at", "value"), [(38, 7), (38, 12), (38, 0xFFFF), (20, 8), (20, 0x2000)])
def test_lengths_that_lie_and_fragments(at, value):
    frame = bytearray(datagram.written(ONE))
    struct.pack_into("!H", frame, at, value)
    if (at, value) == (20, 0x2000):  # the first of several
        frame = frame[:-2]
    with pytest.raises(DecodeError):
        datagram.read(bytes(frame))


def test_what_cannot_be_written():
    with pytest.raises(ValueError, match="to ::1"):
        datagram.written(replace(ONE, target=ip_address("::1")))
    with pytest.raises(ValueError, match="65543 octets"):
        datagram.written(replace(ONE, payload=bytes(0xFFFF)))
