# SPDX-License-Identifier: Apache-2.0
"""Questions by TCP, over lines that lose, double and hold back what they carry."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.edge import streams
from vneter_sdn.edge.streams import Ends, Streams
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import segment
from vneter_sdn.southbound.openflow.segment import ACK, FIN, PSH, RST, SYN, WORD, Segment

OWN, GATEWAY = ip_address("10.0.0.9"), ip_address("10.0.0.1")
WHOSE = Key("Endpoint", "red", "a")
BEGIN = WORD - 3
"""Both sides begin so: numbers go round within what is said."""


class Client:
    """A side that asks, as simple as can be: says again what is not acknowledged."""

    def __init__(self, server, port=4711, whose=WHOSE):
        self.server, self.ends = server, Ends(whose, OWN, port, GATEWAY)
        self.at, self.wanted, self.heard, self.flags = BEGIN, 0, b"", 0
        self.window, self.questions = 65_535, []

    def segment(self, flags, payload=b"", at=None):
        place = self.at if at is None else at
        ports = (self.ends.port, 53)
        rest = (place % WORD, self.wanted, flags, self.window, payload)
        return Segment(9, 1, OWN, GATEWAY, *ports, *rest, mss=1300 if flags & SYN else None)

    def say(self, flags, payload=b"", at=None, now=0.0):
        """Say it; what comes back is taken."""
        said = segment.read(segment.written(self.segment(flags, payload, at)))
        found = self.server.heard(self.ends, said, now)
        self.questions += found.questions
        return self.take(found.frames)

    def take(self, frames):
        seen = [segment.read(frame) for frame in frames]
        for one in seen:
            assert (one.source, one.target, one.source_port) == (GATEWAY, OWN, 53)
            self.flags |= one.flags
            if one.flags & SYN:
                self.wanted, self.at = (one.sequence + 1) % WORD, (BEGIN + 1) % WORD
            elif one.sequence == self.wanted and one.octets:
                self.heard += one.payload
                self.wanted = (one.sequence + one.octets) % WORD
        return seen

    def open(self):
        self.say(SYN)
        self.say(ACK)
        return self

    def ask(self, question, now=0.0):
        data = len(question).to_bytes(2, "big") + question
        seen = self.say(ACK | PSH, data, now=now)
        self.at = (self.at + len(data)) % WORD
        return seen


@pytest.fixture
def server():
    return Streams(lambda: BEGIN)


QUESTION = bytes(range(40))


def test_a_question_its_answer_and_the_end(server):
    client = Client(server).open()
    (greeted,) = Client(Streams(lambda: 5)).say(SYN)
    assert (greeted.flags, greeted.mss) == (SYN | ACK, 1220)
    (seen,) = client.ask(QUESTION)
    assert (seen.flags, seen.acknowledged) == (ACK, client.at)
    assert client.questions == [QUESTION]
    client.take(server.said(client.ends, b"x" * 5000, 0))
    assert client.heard == (5000).to_bytes(2, "big") + b"x" * 5000
    client.say(ACK)
    client.say(ACK | FIN)
    client.at = (client.at + 1) % WORD
    assert client.flags & FIN
    assert len(server) == 1
    client.say(ACK)
    assert len(server) == 0
    assert not client.flags & RST


def test_who_says_no_more_still_gets_its_answer(server):
    client = Client(server).open()
    client.say(ACK | FIN, b"\0\x28" + QUESTION)
    assert client.questions == [QUESTION]
    assert not client.flags & FIN
    client.take(server.said(client.ends, b"answer", 0))
    assert client.heard == b"\0\6answer"
    assert client.flags & FIN


def test_questions_come_in_pieces_and_several_at_once(server):
    client = Client(server).open()
    data = (b"\0\x28" + QUESTION) * 3
    for at in range(0, len(data), 7):
        client.say(ACK, data[at : at + 7])
        client.at = (client.at + len(data[at : at + 7])) % WORD
    assert client.questions == [QUESTION] * 3


def test_what_comes_twice_or_too_early_changes_nothing(server):
    client = Client(server).open()
    data = b"\0\x28" + QUESTION
    (seen,) = client.say(ACK, data[10:], at=client.at + 10)
    assert seen.acknowledged == client.at
    client.say(ACK, data[:10])
    client.say(ACK, data[5:], at=client.at + 5)
    client.say(ACK, data)
    assert client.questions == [QUESTION]


def test_no_more_than_the_client_takes(server):
    client = Client(server)
    client.window = 100
    client.open().ask(QUESTION)
    client.take(server.said(client.ends, bytes(500), 0))
    assert len(client.heard) == 100
    client.window = 0
    client.say(ACK)
    assert len(client.heard) == 100
    assert [one.payload for _, some in server.due(2) for one in client.take(some)] == [b"\0"]
    client.window = 1000
    client.say(ACK)
    assert len(client.heard) == 502


def test_what_is_lost_is_sent_again_and_not_for_ever(server):
    client = Client(server).open()
    client.ask(QUESTION)
    server.said(client.ends, b"answer", 0)
    assert not list(server.due(0.5))
    for _, frames in server.due(1):
        client.take(frames)
    assert client.heard == b"\0\6answer"
    for now in range(2, 200):
        for _, frames in server.due(now):
            client.take(frames)
    assert client.flags & RST
    assert len(server) == 0


def test_who_never_takes_what_it_asked_for_is_left(server):
    client = Client(server).open()
    client.ask(QUESTION)
    server.said(client.ends, b"answer", 0)
    for now in range(60):
        client.say(ACK, now=now)
        list(server.due(now))
    assert len(server) == 0


def test_who_says_nothing_for_long_is_forgotten(server):
    client = Client(server).open()
    assert not list(server.due(streams.IDLE - 1))
    for _, frames in server.due(streams.IDLE):
        client.take(frames)
    assert client.flags & RST
    (seen,) = client.ask(QUESTION)
    assert seen.flags == RST
    assert client.questions == []


@pytest.mark.parametrize("size", [0, 11, streams.LONGEST - 1, 65_535])
def test_what_is_no_question_ends_it(server, size):
    client = Client(server).open()
    client.say(ACK, size.to_bytes(2, "big") + b"x")
    assert client.flags & RST
    assert len(server) == 0


def test_who_asks_and_never_listens_is_not_heard_for_ever(server):
    client = Client(server).open()
    for _ in range(streams.QUESTIONS + 1):
        client.ask(QUESTION)
    assert client.flags & RST


def test_nobody_has_more_than_its_share(server):
    for port in range(streams.MOST_OF_ONE + 5):
        Client(server, port).open()
    assert len(server) == streams.MOST_OF_ONE
    for number in range(streams.MOST_OF_TENANT):
        Client(server, 1, Key("Endpoint", "red", f"e{number}")).open()
    assert len(server) == streams.MOST_OF_TENANT
    assert not Client(server, 1, Key("Endpoint", "blue", "a")).open().flags & RST


def test_segments_of_no_connection_are_reset(server):
    for flags in (ACK, FIN, SYN | ACK):
        (seen,) = Client(server).say(flags)
        assert seen.flags & RST
    assert Client(server).say(RST) == []
    client = Client(server).open()
    client.say(RST, at=client.at + 1)
    assert len(server) == 1, "who guesses ends nothing"
    client.say(RST)
    assert len(server) == 0


def test_another_connection_by_the_same_port(server):
    Client(server).open().say(ACK, b"\0")
    client = Client(server).open()
    client.ask(QUESTION)
    assert client.questions == [QUESTION]
    for port in range(1, streams.MOST_OF_ONE):
        assert not Client(server, port).open().flags & RST, "the old one counts no more"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 4000))
def test_answers_come_whole_however_lossy_the_line(seed, loss, size):
    """Each direction loses some in a hundred; both say again what is not acknowledged."""
    lots = random.Random(seed)
    server = Streams(lambda: BEGIN)
    client, now, answered = Client(server), 0.0, 0
    data = b"\0\x28" + QUESTION
    answer = bytes(lots.randrange(256) for _ in range(size))
    expected = size.to_bytes(2, "big") + answer
    for _ in range(400):
        now += 0.3
        if not client.flags & SYN:
            sent = client.segment(SYN)
        elif not client.questions:
            sent = client.segment(ACK, data)
        else:
            sent = replace(client.segment(ACK), sequence=(client.at + len(data)) % WORD)
        frames = []
        if lots.randrange(100) >= loss:
            found = server.heard(client.ends, sent, now)
            client.questions += found.questions
            frames += found.frames
        if len(client.questions) > answered:
            answered += 1
            frames += server.said(client.ends, answer, now)
        frames += [one for _, some in server.due(now) for one in some]
        client.take([one for one in frames if lots.randrange(100) >= loss])
        if client.heard == expected or client.flags & RST:
            break
    assert expected.startswith(client.heard)
    assert client.heard == expected or client.flags & RST
    assert client.questions in ([], [QUESTION])


SEGMENTS = st.builds(
    Segment,
    *(st.just(one) for one in (9, 1, OWN, GATEWAY, 4711, 53)),
    sequence=st.integers(BEGIN - 3, BEGIN + 60).map(lambda n: n % WORD),
    acknowledged=st.integers(BEGIN - 3, BEGIN + 60).map(lambda n: n % WORD),
    flags=st.integers(0, 63),
    window=st.integers(0, 65_535),
    payload=st.binary(max_size=30),
    mss=st.none() | st.integers(0, 65_535),
)


@given(st.lists(SEGMENTS, max_size=30), st.booleans())
def test_any_segments(said, opened):
    server = Streams(lambda: BEGIN)
    client = Client(server)
    if opened:
        client.open()
    for now, one in enumerate(said):
        found = server.heard(client.ends, one, now)
        for _ in found.questions:
            server.said(client.ends, bytes(3000), now)
        list(server.due(now))
    assert len(server) <= 1


@given(SEGMENTS)
def test_segments_round_trip(said):
    assert segment.read(segment.written(said)) == said
    six = replace(said, source=ip_address("fd00::9"), target=ip_address("fd00::1"))
    assert segment.read(segment.written(six)) == six


@given(st.binary(max_size=120))
def test_any_bytes(data):
    head = segment.written(Segment(9, 1, OWN, GATEWAY, 1, 53, 1, 1, ACK, 1))
    for frame in (data, head[:34] + data, head[:50] + data):
        with suppress(DecodeError):
            segment.is_segment(frame)
            segment.read(frame)
