# SPDX-License-Identifier: Apache-2.0
"""Replies of what was let through pass, and nothing else that goes the same way does."""

from itertools import product

import pytest
from policy_worlds import HOSTS, Policed, endpoint, manifest

from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.fleet import deliver
from vneter_sdn.simulate.packet import Ends, tcp, udp

SYN, ACK, RST = 2, 16, 4
PLACES = {"one bridge": ("h1", "h1"), "two bridges": ("h1", "h2")}
ISOLATED = {"tier": "kubernetes", "isolates": ["ingress"]}
ALLOWED = ISOLATED | {
    "appliesTo": [{"endpoints": {"matchLabels": {"app": "db"}}}],
    "ingress": [
        {
            "peers": [{"endpoints": {"matchLabels": {"app": "web"}}}],
            "ports": [{"port": 80}, {"protocol": "udp", "port": 53}],
        }
    ],
}
KINDS = {
    "isolation": {"everybody": ISOLATED, "web to db": ALLOWED},
    "tiers": {
        "web to db": ALLOWED | {"tier": "emergency", "isolates": []},
        "nobody": {"tier": "application", "ingress": [{"action": "drop"}]},
    },
    "tenant": {"web to db": ALLOWED | {"tier": "baseline", "isolates": []}},
}


class Talk:
    """Two endpoints, web and db, of which web may begin to talk to db."""

    def __init__(self, places, policies, egress="allow"):
        tenant = {"defaultIngress": "drop", "defaultEgress": egress}
        made = [
            manifest("Tenant", "red", tenant),
            manifest("Network", "net", {"prefixes": ["10.0.0.0/24"]}, "red"),
        ]
        for number, name in enumerate(HOSTS, 1):
            spec = {"ovsdb": f"unix:/x/{name}", "tunnelAddresses": [f"192.0.2.{number}"]}
            made.append(manifest("Host", name, spec))
        for name, host in zip(("web", "db"), places, strict=True):
            made.append(endpoint(("red", name), ("net", host), {"app": name}, None, "none"))
        made += [
            manifest("Policy", name.replace(" ", "-"), spec, "red")
            for name, spec in policies.items()
        ]
        self.policed = Policed.of(made)
        stations = self.policed.meaning.stations
        self.web, self.db = (stations[Key("Endpoint", "red", name)] for name in ("web", "db"))
        self.connections = {}

    def ends(self, source, target):
        (one,), (other,) = source.addresses, target.addresses
        return Ends(source.mac, target.mac, one, other)

    def sent(self, source, target, packet):
        found = deliver(
            self.policed.fleet, source.host, packet.at(source.port), connections=self.connections
        )
        self.connections = dict(found.connections)
        assert not found.ambiguities
        return [(a.host, a.port) for a in found.reached] == [(target.host, target.port)]

    def asks(self, sport=1000, dport=80, flags=SYN):
        return self.sent(
            self.web, self.db, tcp(self.ends(self.web, self.db), sport, dport, flags=flags)
        )

    def answers(self, sport=80, dport=1000, flags=SYN | ACK):
        return self.sent(
            self.db, self.web, tcp(self.ends(self.db, self.web), sport, dport, flags=flags)
        )


@pytest.fixture(params=list(product(PLACES, KINDS)), ids=" ".join)
def talk(request):
    place, kind = request.param
    return Talk(PLACES[place], KINDS[kind])


def test_a_reply_passes_and_what_follows(talk):
    assert talk.asks()
    assert talk.answers()
    assert talk.asks(flags=ACK)
    assert talk.answers(flags=ACK)


def test_nothing_passes_that_answers_nothing(talk):
    assert not talk.answers()
    assert not talk.answers(flags=ACK)
    assert not talk.answers(flags=RST)
    assert talk.asks()
    assert not talk.answers(dport=1001)
    assert not talk.answers(sport=81)


def test_a_connection_back_is_another_one(talk):
    assert talk.asks()
    assert talk.answers()
    assert not talk.answers(sport=2000, dport=22, flags=SYN)
    assert not talk.answers(sport=80, dport=2000, flags=SYN)


def test_datagrams_are_answered_where_they_were_asked_for(talk):
    back = udp(talk.ends(talk.db, talk.web), 53, 1000)
    assert not talk.sent(talk.db, talk.web, back)


def test_a_datagram_is_answered(talk):
    assert talk.sent(talk.web, talk.db, udp(talk.ends(talk.web, talk.db), 1000, 53))
    assert talk.sent(talk.db, talk.web, udp(talk.ends(talk.db, talk.web), 53, 1000))
    assert not talk.sent(talk.db, talk.web, udp(talk.ends(talk.db, talk.web), 53, 1001))


@pytest.mark.parametrize("place", PLACES)
def test_egress_that_is_allowed_lets_its_replies_in(place):
    """What web may say by a rule of its egress is answered, whatever else is dropped."""
    out = {
        "tier": "application",
        "appliesTo": [{"endpoints": {"matchLabels": {"app": "web"}}}],
        "egress": [{"ports": [{"port": 80}]}],
    }
    talk = Talk(PLACES[place], {"out": out, "in": ALLOWED}, egress="drop")
    assert talk.asks()
    assert talk.answers()
    assert not talk.asks(dport=53)
    assert not talk.answers(sport=80, dport=2000, flags=SYN)


@pytest.mark.parametrize("place", PLACES)
def test_what_was_refused_is_not_answered(place):
    """Who may not speak does not speak under the name of an answer to what never reached it."""
    out = {
        "tier": "application",
        "appliesTo": [{"endpoints": {"matchLabels": {"app": "web"}}}],
        "egress": [{}],
    }
    talk = Talk(PLACES[place], {"out": out, "in": ALLOWED}, egress="drop")
    assert not talk.asks(dport=22)
    assert not talk.answers(sport=22)
    assert not talk.answers(sport=22, flags=ACK)
    assert not talk.answers(sport=22, flags=RST)
    assert talk.asks()
    assert talk.answers()
