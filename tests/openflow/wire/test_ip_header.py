# SPDX-License-Identifier: Apache-2.0
"""Headers of IP and Internet checksums."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.ip_header import checksum, packed, transport_checksum


def word_by_word(data):
    """As RFC 1071 §4.1 writes it."""
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=70) | st.integers(0, 9).map(lambda n: b"\xff" * n + b"\0" * n))
def test_a_checksum_is_what_the_words_make(data):
    assert checksum(data) == word_by_word(data)


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=40))
def test_the_pseudo_header_of_both_versions_has_the_same_sum(ends, segment):
    pseudo = ends + struct.pack("!BBH", 0, 17, len(segment))
    assert transport_checksum(ends, 17, segment) == word_by_word(pseudo + segment)


@pytest.mark.parametrize("pair", [("192.0.2.1", "198.51.100.255"), ("2001:db8::1", "ff02::1")])
def test_a_header_is_read_as_it_was_written(pair):
    source, target = map(ip_address, pair)
    head = packed(source.packed + target.packed, 17, 8, hops=3, service=0xB8, dont_fragment=True)
    read = (punt.ipv4 if source.version == 4 else punt.ipv6)(head + bytes(8), 0)
    assert (read.source, read.target, read.protocol, read.ttl) == (source, target, 17, 3)
    assert (read.payload, read.end) == (len(head), len(head) + 8)
    if source.version == 4:
        assert (head[1], head[6:8]) == (0xB8, b"\x40\x00")
        assert checksum(head) == 0
    else:
        assert head[:4] == b"\x6b\x80\x00\x00"
