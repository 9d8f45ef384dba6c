# SPDX-License-Identifier: Apache-2.0
"""Messages of DNS: read back as written, total on any bytes, and as others write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import dns_message
from vneter_sdn.southbound.openflow.dns_message import Kind, Message, Question, Record, name_of

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
LABELS = st.binary(min_size=1, max_size=12) | st.binary(min_size=63, max_size=63)
NAMES = st.lists(LABELS, max_size=3).map(tuple)
QUESTIONS = st.builds(Question, NAMES, U16, U16)
PLAIN = U16.filter(lambda kind: kind != Kind.OPT)


@st.composite
def messages(draw):
    question = draw(st.none() | QUESTIONS)
    names = NAMES if question is None else NAMES | st.just(question.name)
    records = st.lists(
        st.builds(Record, names, PLAIN, st.binary(max_size=20), U32, U16), max_size=4
    )
    edns = st.lists(
        st.builds(Record, st.just(()), st.just(Kind.OPT), st.just(b""), U32, U16), max_size=1
    )
    flags = {name: draw(st.booleans()) for name, _ in dns_message._FLAGS}
    return Message(
        draw(U16),
        operation=draw(st.integers(0, 15)),
        result=draw(st.integers(0, 15)),
        question=question,
        answers=tuple(draw(records)),
        authorities=tuple(draw(records)),
        others=tuple(draw(records) + draw(edns)),
        **flags,
    )


@given(messages())
def test_what_is_written_is_read(said):
    assert dns_message.decode(dns_message.encode(said)) == said


@given(st.binary(max_size=100))
def test_any_bytes(data):
    with suppress(DecodeError):
        said = dns_message.decode(data)
        assert dns_message.decode(dns_message.encode(said)) == said


@given(messages(), st.data())
def test_any_message_with_a_few_octets_changed(said, data):
    message = bytearray(dns_message.encode(said))
    for at in data.draw(st.lists(st.integers(0, len(message) - 1), max_size=5)):
        message[at] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        dns_message.decode(bytes(message))


def asked(name, records=b"", counts=(1, 0, 0, 0)):
    head = bytes((0, 7, 1, 0)) + b"".join(count.to_bytes(2, "big") for count in counts)
    return head + name + bytes((0, 1, 0, 1)) + records


def test_a_question_keeps_its_case():
    said = dns_message.decode(asked(b"\3wWw\7EXAMPLE\3com\0"))
    assert said.question == Question((b"wWw", b"EXAMPLE", b"com"), Kind.A)
    assert dns_message.lowered(said.question.name) == name_of("www.example.com")
    assert (said.number, said.wanted, said.limit, said.edns) == (7, True, 512, None)


@pytest.mark.parametrize(("size", "limit"), [(0, 512), (512, 512), (1232, 1232), (65535, 65535)])
def test_the_limit_that_who_asks_names(size, limit):
    edns = b"\0" + bytes((0, 41)) + size.to_bytes(2, "big") + bytes(6)
    assert dns_message.decode(asked(b"\1a\0", edns, (1, 0, 0, 1))).limit == limit


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (bytes(11), "header"),
        (asked(b"\1a\0", counts=(2, 0, 0, 0)), "several DNS questions"),
        (asked(b"\1a\0", counts=(1, 40, 20, 5)), "too many"),
        (asked(b"\1a\0", counts=(1, 1, 0, 0)), "truncated"),
        (asked(b"\xc0\x0c"), "back"),
        (asked(b"\xc0\x20"), "back"),
        (asked(b"\1a\xc0\x0c"), "back"),
        (asked(b"\x80a\0"), "of no kind"),
        (asked(b"\x3f" + bytes(10)), "too long"),
        (asked((b"\x3f" + bytes(63)) * 4 + b"\0"), "too long"),
        (asked(b"\1a\0", (b"\0\0\x29" + bytes(8)) * 2, (1, 0, 0, 2)), "several records of EDNS"),
        (asked(b"\1a\0", b"\0\0\1\0\1\0\0\0\0\0\5abcd", (1, 1, 0, 0)), "record length"),
    ],
)
def test_what_lies(message, fault):
    with pytest.raises(DecodeError, match=fault):
        dns_message.decode(message)


def test_pointers_are_bounded():
    """Each leads back, all the same: as many as there are octets."""
    chain = b"\0" + b"".join((0xC000 | max(12, 11 + 2 * n)).to_bytes(2, "big") for n in range(40))
    with pytest.raises(DecodeError, match="pointers"):
        dns_message.read_name(bytes(12) + chain, 12 + len(chain) - 2)


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 60] * 5)])
def test_names_that_cannot_be_written(name):
    with pytest.raises(ValueError, match=r"label|name"):
        dns_message.written_name(name_of(name))
