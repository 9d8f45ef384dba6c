# SPDX-License-Identifier: Apache-2.0
"""Servers elsewhere: asked by sockets of their own, believed only about what they were asked."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from ipaddress import ip_address

import eventlet
import pytest
from eventlet.green import socket

from vneter_sdn.daemon import dns_streams, resolver
from vneter_sdn.daemon.resolver import Resolver
from vneter_sdn.edge import streams
from vneter_sdn.edge.ledger import Asker, Ledger
from vneter_sdn.edge.servers import Server, server_of
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.network_kinds import DnsSpec, NetworkSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import datagram, dns_message, segment
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.dns_message import Message, Question, Record, Result, name_of
from vneter_sdn.southbound.openflow.segment import Segment

OWN, GATEWAY = ip_address("10.0.0.9"), ip_address("10.0.0.1")
NAME = name_of("www.example")


def asker(name="a", **dns):
    return Asker(
        key=Key("Endpoint", "red", name),
        network=Key("Network", "red", "net"),
        spec=NetworkSpec(prefixes=("10.0.0.0/24",), dns=DnsSpec(**dns)),
        domain="red.internal",
        mac=9,
        addresses=(OWN,),
        gateway_mac=1,
        gateways=(GATEWAY,),
        host="h1",
    )


def frame(payload, target=GATEWAY):
    return datagram.written(Datagram(9, 1, OWN, target, 4711, 53, payload))


def question(number=7, name=NAME, **more):
    return Message(number, wanted=True, question=Question(name, 1), **more)


class Elsewhere:
    """A server on loopback; ``answers(question, by_tcp)`` says what it sends, in order."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        self.udp, self.tcp = self.bound()
        self.tcp.listen(8)
        self.threads = [eventlet.spawn(self.by_udp), eventlet.spawn(self.by_tcp)]
        self.address = "{}:{}".format(*self.udp.getsockname())

    @staticmethod
    def bound():
        """Sockets on one port, which only one of them may be free to take."""
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            with suppress(OSError):
                tcp.bind(udp.getsockname())
                return udp, tcp
            udp.close()
            tcp.close()

    def by_udp(self):
        while True:
            data, who = self.udp.recvfrom(4096)
            said = dns_message.decode(data)
            self.asked.append((said, who[1]))
            for answer in self.answers(said, False):
                self.udp.sendto(answer, who)

    def by_tcp(self):
        while True:
            with self.tcp.accept()[0] as asking:
                data = asking.recv(4096)
                for answer in self.answers(dns_message.decode(data[2:]), True):
                    asking.sendall(len(answer).to_bytes(2, "big") + answer)

    def close(self):
        for thread in self.threads:
            thread.kill()
        self.udp.close()
        self.tcp.close()


def answer(said, **more):
    record = Record(NAME, 1, bytes((192, 0, 2, 7)), 60)
    return dns_message.encode(replace(said, answer=True, answers=(record,), others=(), **more))


@pytest.fixture
def elsewhere():
    with ExitStack() as undo:

        def make(answers):
            made = Elsewhere(answers)
            undo.callback(made.close)
            return made

        yield make


class World:
    def __init__(self, *upstreams):
        self.held, self.sent = [], eventlet.Queue()
        self.resolver = Resolver(Ledger(), upstreams, self.hold)

    def hold(self, endpoint, host, message, let_go):
        self.held.append((endpoint, host, message))
        let_go()

    def ask(self, said, who=None):
        payload = said if isinstance(said, bytes) else dns_message.encode(said)
        return self.resolver(who or asker(), frame(payload), self.sent.put)

    def told(self):
        sent = datagram.read(self.sent.get(timeout=30))
        assert (sent.source, sent.target, sent.target_port) == (GATEWAY, OWN, 4711)
        assert (sent.source_mac, sent.target_mac, sent.source_port) == (1, 9, 53)
        assert self.held[-1][2] == sent.payload, "rules know it first"
        return dns_message.decode(sent.payload)


def test_a_question_is_passed_on_and_its_answer_back(elsewhere):
    server = elsewhere(lambda said, by_tcp: [answer(said)])
    world = World(server.address)
    for number in (7, 8, 9):
        assert world.ask(question(number)) == "forwarded"
        told = world.told()
        assert (told.number, told.answers[0].data) == (number, bytes((192, 0, 2, 7)))
    assert len({port for _, port in server.asked}) > 1, "sockets of their own"
    assert {said.number for said, _ in server.asked} != {7, 8, 9}
    assert world.resolver.counts["answered"] == 3
    assert world.held[0][:2] == (Key("Endpoint", "red", "a"), "h1")


def test_names_of_the_tenant_are_answered_here(elsewhere):
    server = elsewhere(lambda said, by_tcp: [])
    world = World(server.address)
    assert world.ask(question(name=name_of("a.net.red.internal"))) == "answered"
    assert world.told().result == Result.NO_SUCH_NAME
    assert server.asked == []


def test_what_answers_something_else_is_passed_over(elsewhere):
    def answers(said, by_tcp):
        wrong = Record(NAME, 1, bytes((6, 6, 6, 6)), 60)
        evil = Question(name_of("evil.example"), 1)
        for guess in (replace(said, number=said.number ^ 1), replace(said, question=evil), said):
            is_answer = guess is not said
            yield dns_message.encode(replace(guess, answer=is_answer, answers=(wrong,), others=()))
        yield b"nonsense"
        yield answer(said)

    world = World(elsewhere(answers).address)
    world.ask(question())
    (told,) = world.told().answers
    assert told.data == bytes((192, 0, 2, 7))


def test_what_is_cut_short_is_asked_for_by_tcp(elsewhere):
    def answers(said, by_tcp):
        yield answer(said) if by_tcp else answer(replace(said, truncated=True))

    world = World(elsewhere(answers).address)
    world.ask(question())
    told = world.told()
    assert (told.truncated, len(told.answers)) == (False, 1)


class Connection:
    """A client that asks by TCP, of a world."""

    def __init__(self, world):
        self.world, self.at, self.wanted = world, 100, 0

    def say(self, flags, payload=b""):
        rest = (4711, 53, self.at, self.wanted, flags, 65_535, payload)
        frame = segment.written(Segment(9, 1, OWN, GATEWAY, *rest))
        became = self.world.resolver(asker(), frame, self.world.sent.put)
        self.at += len(payload) + bool(flags & segment.SYN)
        return became

    def hear(self):
        """The next segment that says anything."""
        while True:
            said = segment.read(self.world.sent.get(timeout=30))
            if said.octets or said.flags & segment.RST:
                self.wanted = (said.sequence + said.octets) % segment.WORD
                return said

    def open(self):
        assert self.say(segment.SYN) == "segment"
        self.hear()
        self.say(segment.ACK)
        return self

    def ask(self, said):
        data = dns_message.encode(said)
        return self.say(segment.ACK, len(data).to_bytes(2, "big") + data)

    def told(self):
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            data += self.hear().payload
            self.say(segment.ACK)
        return data[2:]


def test_who_is_told_that_an_answer_was_cut_short_gets_it_by_tcp(elsewhere):
    records = tuple(Record(NAME, 1, bytes((192, 0, 2, n)), 60) for n in range(200))

    def answers(said, by_tcp):
        whole = replace(said, answer=True, answers=records, others=())
        cut = replace(said, answer=True, truncated=True, others=())
        yield dns_message.encode(whole if by_tcp else cut)

    world = World(elsewhere(answers).address)
    world.ask(question())
    assert world.told().truncated
    client = Connection(world).open()
    assert client.ask(question()) == "forwarded"
    data = client.told()
    assert data[:3] == bytes((0, 7, 0x81)), "whole"
    assert int.from_bytes(data[6:8], "big") == 200
    assert world.held[-1] == (Key("Endpoint", "red", "a"), "h1", data), "rules know it first"


def test_names_of_the_tenant_are_answered_by_tcp_too():
    client = Connection(World()).open()
    for _ in range(2):
        assert client.ask(question(name=name_of("a.net.red.internal"))) == "answered"
        assert dns_message.decode(client.told()).result == Result.NO_SUCH_NAME
    assert client.ask(question(answer=True)) == "ignored"
    assert client.hear().flags & segment.RST


def test_by_tcp_what_cannot_be_read_is_told_so_and_what_is_not_ours_is_nobodys():
    world = World()
    client = Connection(world).open()
    assert client.say(segment.ACK, b"\0\14\0\7\1\0\0\2" + bytes(6)) == "malformed"
    assert dns_message.decode(client.told()).result == Result.MALFORMED
    rest = (4711, 53, 1, 0, segment.SYN, 65_535)
    away = segment.written(Segment(9, 1, OWN, ip_address("10.0.0.7"), *rest))
    assert world.resolver(asker(), away, world.sent.put) == "ignored"


def test_what_is_lost_by_tcp_is_said_again(monkeypatch):
    monkeypatch.setattr(dns_streams, "LOOK", 0.01)
    monkeypatch.setattr(streams, "AGAIN", 0.01)
    client = Connection(World()).open()
    client.ask(question(name=name_of("a.net.red.internal")))
    assert client.hear().payload == client.hear().payload


def test_a_tenant_has_no_more_than_its_share(elsewhere, monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.1)
    monkeypatch.setattr(resolver, "MOST_OF_TENANT", 2)
    world = World(elsewhere(lambda said, by_tcp: []).address)
    other = replace(asker(), key=Key("Endpoint", "blue", "a"))
    askers = (asker("a"), asker("b"), asker("c"), other)
    became = [world.ask(question(), who) for who in askers]
    assert became == ["forwarded", "forwarded", "too many", "forwarded"]


def test_the_next_server_is_asked_when_one_fails(elsewhere):
    silent = elsewhere(lambda said, by_tcp: [])
    failing = elsewhere(lambda said, by_tcp: [answer(said, result=Result.FAILED)])
    good = elsewhere(lambda said, by_tcp: [answer(said)])
    world = World(silent.address, failing.address, good.address)
    world.ask(question())
    assert world.told().result == Result.FINE
    assert world.resolver.counts["silent"]


def test_nobody_answers(elsewhere, monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.1)
    silent = elsewhere(lambda said, by_tcp: [])
    world = World(silent.address, "127.0.0.1:1")
    world.ask(question())
    assert world.told().result == Result.FAILED
    assert len(silent.asked) == resolver.ROUNDS


def test_without_servers_others_names_are_refused():
    world = World()
    assert world.ask(question()) == "refused"
    assert world.told().result == Result.REFUSED


def test_a_network_may_name_its_own_servers(monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.1)
    asked = []
    monkeypatch.setattr(Resolver, "_by", lambda self, kind, server, said: asked.append(server))
    world = World("192.0.2.1")
    world.ask(question(), asker(upstreams=("192.0.2.53", "2001:db8::53")))
    assert world.told().result == Result.FAILED
    assert asked == [Server("192.0.2.53"), Server("2001:db8::53")] * resolver.ROUNDS


def test_what_is_out_is_bounded_for_each_and_in_all(elsewhere, monkeypatch):
    monkeypatch.setattr(resolver, "MOST_OF_ONE", 2)
    monkeypatch.setattr(resolver, "MOST", 3)
    gate = eventlet.Event()

    def answers(said, by_tcp):
        gate.wait()
        yield answer(said)

    world = World(elsewhere(answers).address)
    became = [world.ask(question(), asker(name)) for name in ("a", "a", "a", "b", "c")]
    assert became == ["forwarded", "forwarded", "too many", "forwarded", "too many"]
    assert [world.told().result for _ in range(2)] == [Result.FAILED] * 2
    gate.send()
    assert [world.told().result for _ in range(3)] == [Result.FINE] * 3
    eventlet.sleep(0)
    assert world.ask(question()) == "forwarded", "there is room again"
    world.told()


@pytest.mark.parametrize(
    ("payload", "who", "became"),
    [
        (dns_message.encode(question(answer=True)), None, "ignored"),
        (dns_message.encode(question()), asker(enabled=False), "ignored"),
    ],
)
def test_what_is_ignored(payload, who, became):
    world = World("127.0.0.1:1")
    assert world.ask(payload, who) == became
    assert world.sent.empty()


def test_what_is_for_somebody_else_is_not_ours():
    world = World()
    asked = frame(dns_message.encode(question()), ip_address("10.0.0.7"))
    assert world.resolver(asker(), asked, world.sent.put) == "ignored"


def test_what_cannot_be_read_is_told_so():
    world = World()
    with pytest.raises(DecodeError):
        world.ask(dns_message.encode(question())[:-3])
    assert world.told().result == Result.MALFORMED


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", Server("192.0.2.53")),
        ("192.0.2.53:5353", Server("192.0.2.53", 5353)),
        ("2001:db8::53", Server("2001:db8::53")),
        ("[2001:DB8::53]:5353", Server("2001:db8::53", 5353)),
    ],
)
def test_how_servers_are_written(text, server):
    assert server_of(text) == server


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.53:", "192.0.2.53:x", "192.0.2.53:0", "[::1]:70000"]
)
def test_how_they_are_not(text):
    with pytest.raises(ValueError, match=r".*"):
        server_of(text)
