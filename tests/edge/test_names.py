# SPDX-License-Identifier: Apache-2.0
"""Names of a tenant's endpoints: who asks decides whose there are."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

import pytest
from asking import MAC, two_tenants
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.edge import names
from vneter_sdn.edge.names import Elsewhere
from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import dns_message
from vneter_sdn.southbound.openflow.dns_message import (
    Kind,
    Message,
    Question,
    Record,
    Result,
    name_of,
)

STORE = two_tenants()
LEDGER = STORE.ledger()
RED, BLUE = (LEDGER.asker(vni, MAC) for vni in (100, 101))
FINE, NONE = Result.FINE, Result.NO_SUCH_NAME


def ask(name, kind=Kind.A, who=RED, **more):
    question = Question(name_of(name), kind, more.pop("family", 1))
    said = Message(7, wanted=more.pop("wanted", True), question=question, **more)
    return names.resolve(LEDGER, who, dns_message.decode(dns_message.encode(said)))


def told(answer):
    """Result, and what the records say."""
    assert (answer.number, answer.answer, answer.authoritative) == (7, True, True)
    found = [
        names.dns_message.read_name(one.data, 0)[0]
        if one.kind == Kind.PTR
        else str(ip_address(one.data))
        for one in answer.answers
    ]
    assert bool(found) != (Kind.SOA in {one.kind for one in answer.authorities})
    return answer.result, found


@pytest.mark.parametrize(
    ("name", "kind", "who", "said"),
    [
        ("web.net.red.example", Kind.A, RED, (FINE, ["10.0.0.9"])),
        ("web.net.red.example", Kind.AAAA, RED, (FINE, ["fd00::9"])),
        ("web.net.red.example", Kind.ANY, RED, (FINE, ["10.0.0.9"])),
        ("web.net.red.example", 15, RED, (FINE, [])),
        ("WEB.Net.rED.example", Kind.A, RED, (FINE, ["10.0.0.9"])),
        ("web.net.blue.internal", Kind.A, BLUE, (FINE, ["10.0.0.10"])),
        ("x.y.a.b.red.example", Kind.A, RED, (FINE, ["10.9.0.7"])),
        ("x.y.a.b.red.example", Kind.AAAA, RED, (FINE, [])),
        ("gateway.net.red.example", Kind.A, RED, (FINE, ["10.0.0.1"])),
        ("gateway.a.b.red.example", Kind.A, RED, (FINE, ["10.9.0.1"])),
        ("gateway.none.red.example", Kind.A, RED, (NONE, [])),
        ("only-blue.net.red.example", Kind.A, RED, (NONE, [])),
        ("web.a.b.red.example", Kind.A, RED, (NONE, [])),
        ("more.web.net.red.example", Kind.A, RED, (NONE, [])),
        ("net.red.example", Kind.A, RED, (FINE, [])),
        ("b.red.example", Kind.A, RED, (FINE, [])),
        ("none.red.example", Kind.A, RED, (NONE, [])),
        ("red.example", Kind.A, RED, (FINE, [])),
        ("9.0.0.10.in-addr.arpa", Kind.PTR, RED, (FINE, [name_of("web.net.red.example")])),
        ("9.0.0.10.IN-addr.ARPA", Kind.ANY, RED, (FINE, [name_of("web.net.red.example")])),
        ("9.0.0.10.in-addr.arpa", Kind.PTR, BLUE, (NONE, [])),
        ("10.0.0.10.in-addr.arpa", Kind.PTR, BLUE, (FINE, [name_of("web.net.blue.internal")])),
        ("77.0.0.10.in-addr.arpa", Kind.PTR, RED, (FINE, [name_of("only-red.net.red.example")])),
        ("1.0.0.10.in-addr.arpa", Kind.PTR, RED, (FINE, [name_of("gateway.net.red.example")])),
        ("1.0.0.10.in-addr.arpa", Kind.A, RED, (FINE, [])),
        ("200.0.0.10.in-addr.arpa", Kind.PTR, RED, (NONE, [])),
        (
            "9." + "0." * 27 + "0.0.d.f.ip6.arpa", Kind.PTR, RED,
            (FINE, [name_of("web.net.red.example")]),
        ),
    ],
)  # fmt: skip
def test_names_of_the_tenant(name, kind, who, said):
    assert told(ask(name, kind, who)) == said


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("www.example.com", RED),
        ("red.internal", RED),
        ("example", RED),
        ("xred.example", RED),
        ("web.net.red.example", BLUE),
        ("only-blue.net.blue.internal", RED),
        ("7.2.0.192.in-addr.arpa", RED),
        ("0.0.10.in-addr.arpa", RED),
        ("999.0.0.10.in-addr.arpa", RED),
        ("x.0.0.10.in-addr.arpa", RED),
        ("0.d.f.ip6.arpa", RED),
        ("in-addr.arpa", RED),
        ("", RED),
    ],
)
def test_names_that_are_somebody_elses(name, who):
    """Another tenant's are, too: nobody here says that they exist."""
    assert isinstance(ask(name, Kind.PTR, who), Elsewhere)
    assert ask(name, Kind.PTR, who, wanted=False).result == Result.REFUSED


@pytest.mark.parametrize(
    ("more", "result"),
    [
        ({"operation": 4}, Result.NOT_IMPLEMENTED),
        ({"family": 3}, Result.REFUSED),
        ({"others": (Record((), Kind.OPT, b"", 1 << 16, 1232),)}, Result.BAD_VERSION),
    ],
)
def test_what_is_not_served(more, result):
    said = ask("web.net.red.example", **more)
    edns = 0 if said.edns is None else said.edns.seconds >> 24
    assert (said.result | edns << 4, said.answers) == (result, ())


@pytest.mark.parametrize("kind", [251, 252])
@pytest.mark.parametrize("name", ["red.example", "www.example.com"])
def test_zones_are_told_to_nobody_whole(kind, name):
    assert ask(name, kind).result == Result.REFUSED


def test_a_question_without_one():
    assert names.resolve(LEDGER, RED, Message(7)).result == Result.MALFORMED


def test_edns_is_answered_with_edns():
    edns = Record((), Kind.OPT, b"\0\x0a\0\x01x", 0x8000, 4096)
    said = ask("web.net.red.example", others=(edns,))
    assert said.edns == Record((), Kind.OPT, b"", 0x8000, names.MOST)
    assert ask("web.net.red.example").edns is None


def test_the_beginning_of_the_zone():
    (soa,) = ask("red.example", Kind.SOA).answers
    assert soa.kind == Kind.SOA
    assert soa.data[-20:-16] == LEDGER.revision.to_bytes(4, "big")
    (soa,) = ask("200.0.0.10.in-addr.arpa", Kind.PTR).authorities
    assert soa.name == name_of("0.0.10.in-addr.arpa")
    (soa,) = ask("3.0.9.10.in-addr.arpa", Kind.PTR).authorities
    assert soa.name == name_of("0.9.10.in-addr.arpa"), "a name above 10.9.0.0/26"


@pytest.mark.parametrize(("size", "cut"), [(None, True), (600, True), (1232, False), (9000, False)])
def test_what_is_too_long_says_so(size, cut):
    others = () if size is None else (Record((), Kind.OPT, b"", 0, size),)
    asked = Message(7, question=Question((b"a",), 1), others=others)
    records = tuple(Record((b"a",), 1, bytes(4)) for _ in range(60))
    data = names.written(names.answer(asked, FINE, answers=records), asked)
    said = dns_message.decode(data)
    assert (said.truncated, bool(said.answers)) == (cut, not cut)
    passed = names.passed_on(
        dns_message.encode(replace(said, truncated=False)) + bytes(9000), asked
    )
    assert dns_message.decode(passed).truncated
    assert len(passed) < 100


def test_nobody_elsewhere_is_told_who_asks():
    option = Record((), Kind.OPT, b"\0\x08\0\x07\0\x01\x20\0\x0a\0\0", 0x8000, 4096)
    said = Message(7, wanted=True, question=Question(name_of("WWW.example"), 1), others=(option,))
    sent = dns_message.decode(names.forwarded(said, 4711))
    assert (sent.number, sent.question) == (4711, said.question)
    assert sent.edns == replace(option, data=b"", family=names.MOST)


ASKED = Message(7, wanted=True, question=Question(name_of("www.example"), 1))
ANSWER = Message(9, answer=True, question=Question(name_of("WWW.example"), 1))


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        (ANSWER, True),
        (replace(ANSWER, number=8), False),
        (replace(ANSWER, answer=False), False),
        (replace(ANSWER, question=None), False),
        (replace(ANSWER, question=Question(name_of("www.example"), 28)), False),
        (replace(ANSWER, question=Question(name_of("www.example"), 1, 3)), False),
        (replace(ANSWER, question=Question(name_of("ww.example"), 1)), False),
    ],
)
def test_an_answer_has_to_be_about_the_question(answer, is_one):
    assert names.is_answer(dns_message.encode(answer), ASKED, 9) == is_one


def test_an_answer_comes_back_in_the_case_that_was_asked_in():
    """Servers that write another one are believed; who asked may not believe us."""
    record = Record(name_of("WWW.example"), Kind.A, bytes(4), 60)
    sent = dns_message.encode(replace(ANSWER, answers=(record,)))
    told = dns_message.decode(names.passed_on(sent, ASKED))
    assert (told.question, told.answers[0].name) == (ASKED.question, ASKED.question.name)


@pytest.mark.parametrize("by_tcp", [False, True])
def test_by_tcp_answers_come_whole(by_tcp):
    records = tuple(Record((b"a",), 1, bytes(4)) for _ in range(2000))
    asked = Message(7, question=Question((b"a",), 1))
    data = names.written(names.answer(asked, FINE, answers=records), asked, by_tcp=by_tcp)
    assert (len(data) > 30_000, bool(data[2] & 2)) == (by_tcp, not by_tcp)
    passed = names.passed_on(dns_message.encode(replace(ANSWER, answers=records)), ASKED)
    assert passed[2] & 2


@given(st.binary(max_size=60))
def test_any_bytes(data):
    names.complaint(data)
    names.is_answer(data, ASKED, 9)
    with suppress(DecodeError):
        said = names.read_question(data)
        if said is not None:
            found = names.resolve(LEDGER, RED, said)
            assert isinstance(found, Elsewhere) or len(names.written(found, said)) <= names.MOST


LABELS = st.sampled_from(["web", "net", "red", "example", "a", "b", "x", "y", "gateway", "10", "0"])


@given(st.lists(LABELS, max_size=8), st.sampled_from(["", ".red.example", ".in-addr.arpa"]))
def test_nobody_is_told_of_others(labels, end):
    """Whatever red asks, what it is told is red's."""
    found = ask((".".join(labels) + end).strip("."), Kind.ANY)
    if isinstance(found, Elsewhere):
        return
    own = {
        str(one) for key in STORE.objects if key.tenant == "red" for one in LEDGER.addresses(key)
    }
    for record in found.answers:
        if record.kind in (Kind.A, Kind.AAAA):
            assert str(ip_address(record.data)) in own


def test_a_question_that_cannot_be_read_is_told_so():
    said = dns_message.decode(names.complaint(bytes((0, 7, 8)) + bytes(9)))
    assert (said.number, said.answer, said.operation) == (7, True, 1)
    assert said.result == Result.MALFORMED
    assert names.complaint(bytes((0, 7, 0x80)) + bytes(9)) is None
    assert names.complaint(bytes(11)) is None
