# SPDX-License-Identifier: Apache-2.0
"""The codec of discovery frames: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import lldp
from vneter_sdn.southbound.openflow.lldp import Probe

KEY = bytes(range(32))
WORDS = st.integers(0, 2**64 - 1)
PROBES = st.builds(
    Probe, WORDS, st.integers(0, 2**32 - 1), st.binary(min_size=8, max_size=8), WORDS, WORDS
)
ONE = Probe(0x7600000000000001, 5, b"lifetime", 77, 123456789)


@given(PROBES, st.binary(min_size=1, max_size=64), st.binary(max_size=40))
def test_what_is_encoded_is_decoded_and_genuine(probe, key, padding) -> None:
    signed = lldp.decode(lldp.encode(probe, key) + padding)
    assert signed is not None
    assert signed.probe == probe
    assert signed.genuine(key)
    assert not signed.genuine(key + b"!")


def test_the_frame_is_an_ordinary_one() -> None:
    frame = lldp.encode(ONE, KEY)
    assert len(frame) == 97
    assert frame[:6].hex() == "0180c200000e"
    assert frame[12:14].hex() == "88cc"
    assert b"dpid:7600000000000001" in frame
    assert frame[-2:] == b"\0\0"


@settings(max_examples=300)
@given(st.integers(14, 94), st.integers(1, 255))
def test_no_octet_of_it_can_be_changed(at, change) -> None:
    frame = bytearray(lldp.encode(ONE, KEY))
    frame[at] ^= change
    try:
        signed = lldp.decode(bytes(frame))
    except DecodeError:
        return
    assert signed is None or not signed.genuine(KEY)


@given(st.integers(0, 96))
def test_no_beginning_of_it_is_taken(size) -> None:
    with pytest.raises(DecodeError):
        lldp.decode(lldp.encode(ONE, KEY)[:size])


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(data) -> None:
    for frame in (data, bytes(12) + b"\x88\xcc" + data):
        try:
            lldp.decode(frame)
        except DecodeError:
            continue


def test_frames_of_others_are_told_from_broken_ones() -> None:
    head = bytes(12) + b"\x88\xcc"
    other = head + bytes.fromhex("0207040200000000010403000001" + "06020078" + "0000")
    assert lldp.decode(other) is None
    for broken in ("0200", "0207", "", "0001", "02ff00", "0000" * 0 + "0300" * 33):
        with pytest.raises(DecodeError):
            lldp.decode(head + bytes.fromhex(broken))
