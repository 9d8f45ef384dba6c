# SPDX-License-Identifier: Apache-2.0
"""DHCP for IPv4: read back as written, total on any bytes, and as others write it."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import dhcp4
from vneter_sdn.southbound.openflow.dhcp4 import Code, Message

ADDRESSES = st.integers(0, (1 << 32) - 1).map(IPv4Address)
CODES = st.integers(1, 254).filter(lambda code: code != Code.OVERLOAD)
MESSAGES = st.builds(
    Message,
    transaction=st.integers(0, 0xFFFFFFFF),
    mac=st.integers(0, (1 << 48) - 1),
    reply=st.booleans(),
    seconds=st.integers(0, 0xFFFF),
    broadcast=st.booleans(),
    client=ADDRESSES,
    yours=ADDRESSES,
    relay=ADDRESSES,
    options=st.dictionaries(CODES, st.binary(max_size=600), max_size=6),
)
PREFIXES = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 32)).map(
    lambda pair: IPv4Network(pair, strict=False)
)


@given(MESSAGES)
def test_what_is_written_is_read(said):
    assert dhcp4.decode(dhcp4.encode(said, 8000)) == said


@given(MESSAGES, st.integers(0, 1500))
def test_no_message_is_longer_than_its_receiver_takes(said, longest):
    """What does not fit is left out whole; what is there is as it should be."""
    written = dhcp4.encode(said, longest)
    assert dhcp4.SHORTEST <= len(written) <= max(longest, dhcp4.LEAST_ACCEPTED)
    assert dhcp4.decode(written).options.items() <= said.options.items()


@given(st.binary(max_size=60))
def test_any_bytes(data):
    with suppress(DecodeError):
        dhcp4.decode(data)


HEAD = dhcp4.encode(Message(1, 2))[:240]


@given(st.binary(max_size=80))
def test_any_options(data):
    with suppress(DecodeError):
        said = dhcp4.decode(HEAD + data)
        assert sum(map(len, said.options.values())) <= len(data)
        assert dhcp4.decode(dhcp4.encode(said, 8000)) == said


def fielded(options, file=b"", name=b""):
    head = bytearray(HEAD)
    head[44 : 44 + len(name)] = name
    head[108 : 108 + len(file)] = file
    return bytes(head) + options


def test_options_that_go_on_in_other_fields():
    """RFC 3396: one option, in three places."""
    data = fielded(b"\x34\x01\x03\x43\x02ab\xff", b"\x43\x02cd\xff", b"\x43\x01e\x0c\x01h\xff")
    assert dhcp4.decode(data).options == {67: b"abcde", 12: b"h"}


def test_fields_are_no_options_unless_it_is_said():
    assert dhcp4.decode(fielded(b"\xff", b"\x43\x02cd", b"\x43\x01")).options == {}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x35", "truncated"),
        (b"\x35\x02\x01", "option length"),
        (b"\x3d\xff" + bytes(254), "option length"),
        (b"\x34\x01\x04", "overload"),
        (b"\x34\x02\x01\x01", "overload"),
    ],
)
def test_options_that_lie(data, fault):
    with pytest.raises(DecodeError, match=fault):
        dhcp4.decode(HEAD + data)


def test_an_overload_within_a_field_is_refused():
    with pytest.raises(DecodeError, match="overload"):
        dhcp4.decode(fielded(b"\x34\x01\x01", b"\x34\x01\x02\xff"))


@pytest.mark.parametrize(
    ("at", "value", "fault"),
    [(0, 3, "request"), (1, 6, "Ethernet"), (2, 16, "Ethernet"), (236, 0, "options")],
)
def test_other_messages_are_refused(at, value, fault):
    data = bytearray(HEAD)
    data[at] = value
    with pytest.raises(DecodeError, match=fault):
        dhcp4.decode(bytes(data))


def test_what_does_not_fit_goes_to_the_fields_of_file_and_name():
    options = {code: bytes(100) for code in (60, 61, 62)} | {
        63: bytes(50),
        64: bytes(50),
        53: b"\x02",
    }
    written = dhcp4.encode(Message(1, 2, options=options))
    assert b"\x34\x01\x03" in written
    assert dhcp4.decode(written).options == options


@given(st.lists(st.tuples(PREFIXES, ADDRESSES), max_size=5))
def test_routes(routes):
    assert list(dhcp4.read_routes(dhcp4.written_routes(routes))) == routes


@given(st.binary(max_size=30))
def test_any_routes(data):
    with suppress(DecodeError):
        assert dhcp4.written_routes(dhcp4.read_routes(data)) == data


def test_routes_as_the_standard_writes_them():
    """RFC 3442, its table of examples."""
    routes = [
        (IPv4Network(p), IPv4Address(1)) for p in ("0.0.0.0/0", "10.17.0.0/16", "10.229.0.128/25")
    ]
    assert dhcp4.written_routes(routes) == bytes(
        (0, 0, 0, 0, 1, 16, 10, 17, 0, 0, 0, 1, 25, 10, 229, 0, 128, 0, 0, 0, 1)
    )


def test_an_option_of_an_address():
    said = Message(1, 2, options={50: bytes((10, 0, 0, 9)), 54: bytes(3)})
    assert said.address(50) == IPv4Address("10.0.0.9")
    assert said.address(51) is None
    with pytest.raises(DecodeError, match="option 54"):
        said.address(54)


def test_what_is_no_option():
    with pytest.raises(ValueError, match="52"):
        dhcp4.encode(Message(1, 2, options={52: b"\1"}))
