# SPDX-License-Identifier: Apache-2.0
"""A stream cut anywhere gives the same messages, and a broken one says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.framing import Framer
from vneter_sdn.southbound.openflow.wire import V14, V15


@given(
    st.lists(st.binary(max_size=50), max_size=8),
    st.lists(st.integers(0, 400), max_size=8).map(sorted),
)
def test_any_cut_gives_the_same_messages(bodies, cuts):
    sent = [encode.echo_request(V15, n, body) for n, body in enumerate(bodies)]
    stream, framer = b"".join(sent), Framer(V15)
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += framer.feed(stream[start:end])
    got += framer.feed(b"")
    assert got == sent
    assert framer.pending == 0


@given(st.binary(max_size=200))
def test_total(data):
    framer = Framer()
    try:
        for message in framer.feed(data):
            assert len(message) >= 8
    except DecodeError:
        with pytest.raises(DecodeError):
            framer.feed(b"")


@pytest.mark.parametrize("length", range(8))
def test_short_length_breaks_the_stream(length):
    framer = Framer()
    with pytest.raises(DecodeError):
        framer.feed(bytes((4, 0, 0, length)) + bytes(12))


def test_version_is_checked_once_agreed():
    framer = Framer()
    assert framer.feed(encode.hello(1, (V14,))) == [encode.hello(1, (V14,))]
    framer.version = V15
    with pytest.raises(DecodeError):
        framer.feed(encode.echo_request(V14, 1))


def test_nothing_but_hello_and_error_before_a_version():
    with pytest.raises(DecodeError):
        Framer().feed(encode.echo_request(V15, 1))


def test_the_largest_message_passes():
    message = encode.echo_request(V15, 1, bytes(0xFFFF - 8))
    framer = Framer(V15)
    assert framer.feed(message[:60000]) == []
    assert framer.feed(message[60000:]) == [message]
