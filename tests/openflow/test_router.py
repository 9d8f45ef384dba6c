# SPDX-License-Identifier: Apache-2.0
"""Router and neighbour discovery: read back as written, void where the RFCs say so, and total."""

from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import neighbours, router

MACS = st.none() | st.integers(0, (1 << 48) - 1)
TIMES = st.integers(0, 0xFFFFFFFF)
LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9_]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
ADDRESSES = st.integers(0, (1 << 128) - 1).map(IPv6Address)
PREFERENCES = st.sampled_from(["medium", "high", "low"])
NETWORKS = st.tuples(st.integers(0, (1 << 128) - 1), st.integers(0, 128)).map(
    lambda pair: IPv6Network(pair, strict=False)
)
PREFIXES = st.builds(router.Prefix, NETWORKS, st.booleans(), st.booleans(), TIMES, TIMES)
SERVERS = st.builds(router.Servers, TIMES, st.lists(ADDRESSES, min_size=1, max_size=4).map(tuple))
DOMAINS = st.builds(router.Domains, TIMES, st.lists(NAMES, min_size=1, max_size=4).map(tuple))


def some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


ADVERTISEMENTS = st.builds(
    router.Advertisement,
    hop_limit=st.integers(0, 255),
    managed=st.booleans(),
    other=st.booleans(),
    preference=PREFERENCES,
    lifetime=st.integers(0, 0xFFFF),
    reachable=TIMES,
    retransmit=TIMES,
    source_mac=MACS,
    mtu=st.none() | TIMES,
    prefixes=some(PREFIXES),
    routes=some(st.builds(router.Route, NETWORKS, TIMES, PREFERENCES)),
    servers=some(SERVERS),
    domains=some(DOMAINS),
)
TARGETS = ADDRESSES.filter(lambda address: not address.is_multicast)


@given(ADVERTISEMENTS)
def test_an_advertisement_is_read_as_it_was_written(said):
    assert router.advertisement(router.written_advertisement(said)) == said


@given(MACS)
def test_a_solicitation_is_read_as_it_was_written(mac):
    said = router.Solicitation(mac)
    assert router.solicitation(router.written_solicitation(said)) == said


@given(TARGETS, MACS)
def test_a_neighbour_solicitation_is_read_as_it_was_written(target, mac):
    said = neighbours.Solicitation(target, mac)
    assert neighbours.solicitation(neighbours.written_solicitation(said)) == said


@given(TARGETS, MACS, st.tuples(*[st.booleans()] * 3))
def test_a_neighbour_advertisement_is_read_as_it_was_written(target, mac, flags):
    said = neighbours.Advertisement(target, *flags, target_mac=mac)
    assert neighbours.advertisement(neighbours.written_advertisement(said)) == said


READERS = (
    (router.advertisement, bytes((134, 0))),
    (router.solicitation, bytes((133, 0))),
    (neighbours.solicitation, bytes((135, 0))),
    (neighbours.advertisement, bytes((136, 0))),
)


@given(st.sampled_from(READERS), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(reader, data):
    read, head = reader
    for message in (data, head + data, head + bytes(22) + data):
        with suppress(DecodeError):
            read(message)


@given(ADVERTISEMENTS, st.data())
def test_no_advertisement_that_is_cut_short_says_more_than_it_has(said, data):
    message = router.written_advertisement(said)
    end = data.draw(st.integers(0, len(message)))
    with suppress(DecodeError):
        assert len(router.written_advertisement(router.advertisement(message[:end]))) == end


HEAD = bytes((134, 0)) + bytes(14)


def test_an_option_of_no_length_makes_it_void():
    with pytest.raises(DecodeError, match="option length"):
        router.advertisement(HEAD + bytes((99, 0)) + bytes(6))


def test_what_is_of_no_known_kind_is_left_alone():
    assert router.advertisement(HEAD + bytes((99, 1)) + bytes(6)) == router.Advertisement()


def test_the_reserved_preference_is_medium():
    message = bytearray(HEAD)
    message[5] = 2 << 3
    assert router.advertisement(bytes(message)).preference == "medium"


def test_bits_beyond_a_prefix_count_for_nothing():
    told = bytes((3, 4, 64, 0xC0)) + bytes(12) + IPv6Address("2001:db8::1").packed
    prefix = router.advertisement(HEAD + told).prefixes[0]
    assert prefix == router.Prefix(IPv6Network("2001:db8::/64"), True, True, 0, 0)


def test_names_are_as_rfc_8106_pads_them():
    message = router.written_advertisement(
        router.Advertisement(domains=(router.Domains(600, ("example.com",)),))
    )
    assert message[16:] == bytes.fromhex("1f03 0000 00000258") + b"\7example\3com\0\0\0\0"


def test_a_neighbours_target_is_no_group():
    message = bytes((135, 0)) + bytes(6) + IPv6Address("ff02::1").packed
    with pytest.raises(DecodeError, match="group"):
        neighbours.solicitation(message)


def test_more_options_than_any_router_sends():
    option = bytes((99, 1)) + bytes(6)
    assert router.advertisement(HEAD + option * router.MAX_OPTIONS) == router.Advertisement()
    with pytest.raises(DecodeError, match="too many"):
        router.advertisement(HEAD + option * (router.MAX_OPTIONS + 1))
