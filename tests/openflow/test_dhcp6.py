# SPDX-License-Identifier: Apache-2.0
"""DHCPv6: read back as written, total on any bytes, and as others write it."""

from contextlib import suppress
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import dhcp6
from vneter_sdn.southbound.openflow.dhcp6 import Association, Lease, Message, Status, Wish

NUMBERS = st.integers(0, 0xFFFFFFFF)
ADDRESSES = st.integers(0, (1 << 128) - 1).map(IPv6Address)
LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9_]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
DUIDS = st.none() | st.binary(min_size=3, max_size=dhcp6.LONGEST_DUID)


def some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


STATUS = st.none() | st.builds(Status, st.integers(0, 0xFFFF), st.text(max_size=20))
LEASES = st.builds(Lease, ADDRESSES, NUMBERS, NUMBERS, STATUS)
MESSAGES = st.builds(
    Message,
    kind=st.integers(1, 11),
    transaction=st.integers(0, 0xFFFFFF),
    client=DUIDS,
    server=DUIDS,
    associations=some(st.builds(Association, NUMBERS, NUMBERS, NUMBERS, some(LEASES), STATUS)),
    wishes=some(st.builds(Wish, st.sampled_from([4, 25]), NUMBERS, STATUS)).map(
        lambda found: tuple(sorted(found, key=lambda one: one.kind))
    ),
    wanted=some(st.integers(0, 0xFFFF)),
    preference=st.none() | st.integers(0, 255),
    elapsed=st.none() | st.integers(0, 0xFFFF),
    status=STATUS,
    rapid=st.booleans(),
    dns=some(ADDRESSES),
    domains=some(NAMES),
    sntp=some(ADDRESSES),
    ntp=some(ADDRESSES),
    refresh=st.none() | NUMBERS,
)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(said):
    assert dhcp6.decode(dhcp6.encode(said)) == said


@given(st.binary(max_size=300), st.integers(0, 255))
def test_any_bytes_are_a_message_or_an_error(data, kind):
    for message in (data, bytes((kind, 1, 2, 3)) + data):
        with suppress(DecodeError):
            dhcp6.decode(message)


@given(MESSAGES, st.data())
def test_a_message_that_is_changed_somewhere_is_a_message_or_an_error(said, data):
    message = bytearray(dhcp6.encode(said))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        dhcp6.decode(bytes(message[: data.draw(st.integers(0, len(message)))]))


def test_a_solicitation_as_dhclient_sends_it():
    message = bytes.fromhex(
        "01 5c1ca8"
        "0001 000e 0001 0001 2e5a7c11 0242 ac110002"
        "0006 0004 0017 0018"
        "0008 0002 0000"
        "0003 000c ac110002 00000e10 00001518"
    )
    assert dhcp6.decode(message) == Message(
        kind=dhcp6.Kind.SOLICIT,
        transaction=0x5C1CA8,
        client=bytes.fromhex("000100012e5a7c110242ac110002"),
        associations=(Association(0xAC110002, 3600, 5400),),
        wanted=(dhcp6.DNS_SERVERS, dhcp6.DOMAIN_LIST),
        elapsed=0,
    )


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("0001 0002 0001", "DUID"),
        ("0001 0083" + "00" * 131, "DUID"),
        ("0001 0003 000102 0001 0003 000102", "DUID"),
        ("0003 000b" + "00" * 11, "association"),
        ("0008 0001 00", "option 8"),
        ("0006 0003 000000", "option request"),
        ("000d 0001 00", "status"),
        ("0017 000f" + "00" * 15, "option 23"),
        ("0018 0001 00", "empty name"),
        ("0003 ffff", "option length"),
        ("0038 0008 0001 0004 00000000", "NTP"),
    ],
)
def test_what_lies_is_refused(option, what):
    with pytest.raises(DecodeError, match=what):
        dhcp6.decode(bytes.fromhex("01 000001" + option))


def test_relays_are_not_answered():
    with pytest.raises(DecodeError, match="no message of a client"):
        dhcp6.decode(bytes((12,)) + bytes(33))


def test_more_options_than_any_client_sends():
    with pytest.raises(DecodeError, match="too many"):
        dhcp6.decode(bytes((1, 0, 0, 1)) + bytes.fromhex("00630000") * (dhcp6.MAX_OPTIONS + 1))
