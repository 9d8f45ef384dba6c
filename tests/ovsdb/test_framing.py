# SPDX-License-Identifier: Apache-2.0
"""Splitting a stream: any cut gives the same messages, and anything else a DecodeError."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.ovsdb.framing import Splitter

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', "]}", '{"', "\n\u2028"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=30,
)
MESSAGE = st.dictionaries(TEXT, JSON, max_size=4)


def nest(value: object, levels: int) -> object:
    for _ in range(levels):
        value = [value]
    return value


@settings(max_examples=200)
@given(
    st.lists(st.builds(lambda m, n: {"m": nest(m, n)}, MESSAGE, st.integers(0, 20)), max_size=5),
    st.sampled_from(["", " ", "\n", "\r\n\t "]),
    st.booleans(),
    st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
def test_any_cut_gives_the_same_messages(messages, space, ascii_only, cuts):
    data = space.join(
        ["", *(json.dumps(m, ensure_ascii=ascii_only) for m in messages), ""]
    ).encode()
    splitter, seen, at, turn = Splitter(), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        seen += splitter.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert seen == messages
    assert not splitter.pending


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"{", b"}", b'"', b"[", b"]", b"\\"])))
def test_total(chunks):
    splitter = Splitter(cap=200, depth=8)
    try:
        for chunk in chunks:
            assert all(isinstance(message, dict) for message in splitter.feed(chunk))
            assert splitter.pending <= 200
    except DecodeError:
        pass


def test_caps_hold_at_the_edge():
    whole = b'{"a":"' + b"x" * 92 + b'"}'
    assert len(whole) == 100
    assert list(Splitter(cap=100).feed(whole)) == [{"a": "x" * 92}]
    with pytest.raises(DecodeError, match="larger than 99"):
        list(Splitter(cap=99).feed(whole))
    assert list(Splitter(depth=3).feed(b'{"a":[[]]}')) == [{"a": [[]]}]
    for data in (b'{"a":[[[', b'{"a":[[[]]]}'):
        with pytest.raises(DecodeError):
            list(Splitter(depth=3).feed(data))


def test_a_byte_at_a_time_looks_at_each_byte_once():
    """4,000 chunks into one string: the position moves with them, nothing is read again."""
    splitter = Splitter()
    for _ in range(4000):
        assert not list(splitter.feed(b'{"a":"' if not splitter.pending else b"x"))
        assert splitter._position == splitter.pending
    assert [len(message["a"]) for message in splitter.feed(b'"}')] == [3999]
