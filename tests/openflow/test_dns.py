# SPDX-License-Identifier: Apache-2.0
"""Answers of DNS, as far as they are believed."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow.dns import MAX_RECORDS, message_of, resolved

A, CNAME, AAAA, TXT = 1, 5, 28, 16


def name(text):
    return b"".join(bytes([len(one)]) + one.encode() for one in text.split(".")) + b"\0"


def record(owner, kind, data, seconds=300, family=1):
    owner = name(owner) if isinstance(owner, str) else owner
    return owner + struct.pack("!HHIH", kind, family, seconds, len(data)) + data


def answer(asked, *records, flags=0x8180, questions=1, count=None):
    count = len(records) if count is None else count
    head = struct.pack("!HHHHHH", 7, flags, questions, count, 0, 0)
    return head + name(asked) + struct.pack("!HH", A, 1) + b"".join(records)


FOUR, SIX = bytes([192, 0, 2, 1]), bytes(15) + b"\1"


def test_addresses_of_a_name():
    told = answer("WWW.Example.com", record("www.example.com", A, FOUR, 60),
                  record(b"\xc0\x0c", AAAA, SIX))  # fmt: skip
    assert resolved(told) == {"www.example.com": {"192.0.2.1": 60, "::1": 300}}


def test_aliases_are_followed_in_any_order():
    told = answer(
        "a.example",
        record("c.example", A, FOUR, 900),
        record("b.example", CNAME, name("c.example"), 30),
        record("a.example", CNAME, name("b.example"), 600),
        record("else.example", A, bytes(4)),
    )
    one = {"192.0.2.1": 30}
    assert resolved(told) == {"a.example": one, "b.example": one, "c.example": one}


def test_what_is_not_about_the_question_is_not_believed():
    assert resolved(answer("a.example", record("bank.example", A, FOUR))) == {}
    assert resolved(answer("a.example", record("a.example", TXT, b"\1x"))) == {}
    assert resolved(answer("a.example", record("a.example", A, FOUR, family=3))) == {}


@pytest.mark.parametrize("flags", [0x0100, 0x8183, 0xA180, 0x8380])
def test_questions_and_refusals_say_nothing(flags):
    assert resolved(answer("a.example", record("a.example", A, FOUR), flags=flags)) == {}


def test_circles_of_aliases_end():
    told = answer("a.e", record("a.e", CNAME, name("b.e")), record("b.e", CNAME, name("a.e")))
    assert resolved(told) == {}


@pytest.mark.parametrize(
    "owner",
    [b"\xc0\x1b", b"\xc0\xff", b"\x40a\0", b"\x80a\0", b"\3a b\0", b"\3a/b\0", b"\x05ab", b"\xc0"],
)
def test_names_that_lie_are_refused(owner):
    told = answer("a.example", record(owner, A, FOUR))
    with pytest.raises(DecodeError):
        resolved(told)


def test_names_are_no_longer_than_names_may_be():
    with pytest.raises(DecodeError, match="too long"):
        resolved(answer(".".join(["a" * 63] * 4)))


def test_pointers_to_pointers_are_few():
    chain = name("a")[:-1] + b"\xc0\x0c"
    records = [record(chain, TXT, b"")]
    at = 12 + len(name("e")) + 4
    for _ in range(20):
        records.append(record(struct.pack("!H", 0xC000 | at), TXT, b""))
        at += len(records[-2])
    with pytest.raises(DecodeError, match="pointers"):
        resolved(answer("e", *records))


def test_no_more_records_are_read_than_there_is_patience_for():
    records = [record("a.e", A, bytes([10, 0, n >> 8, n & 255])) for n in range(MAX_RECORDS + 9)]
    assert len(resolved(answer("a.e", *records))["a.e"]) == MAX_RECORDS


@given(st.binary(max_size=200))
def test_any_bytes_end(data):
    for asked in (data, b"\0\0\x81\x80\0\1\0\5\0\0\0\0" + data):
        with contextlib.suppress(DecodeError):
            resolved(asked)
    with contextlib.suppress(DecodeError):
        message_of(data)
