# SPDX-License-Identifier: Apache-2.0
"""Questions find who answers them, and answers only the port that asked."""

from dataclasses import replace

import pytest

from vneter_sdn.daemon.edge import Edge, answering, telling
from vneter_sdn.edge import fairness
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Output
from vneter_sdn.pipeline.punts import Asked, Service

ASKED = Asked(Service.DHCP, 5, 100, 9)


class Bridges:
    def __init__(self):
        self.sent, self.away = [], False

    def packet_out(self, dpid, frame, actions):
        self.sent.append((dpid, frame, actions))
        return not self.away


class Ledger:
    def asker(self, vni, mac):
        return (vni, mac) if mac == 9 else None


class World:
    def __init__(self, responders):
        self.bridges, self.clock = Bridges(), 0.0
        now, traced = (lambda: self.clock), (lambda frame: frame == b"trace")
        self.edge = Edge(self.bridges, Ledger(), responders, now, traced)

    def ask(self, reason=ASKED, frame=b"asked", total=5):
        before = dict(self.edge.counts)
        self.edge.asked(1, reason, frame, total)
        grown = {key: n for key, n in self.edge.counts.items() if n != before.get(key)}
        ((service, became),) = grown
        assert service == reason.service.name.lower()
        return became


def test_an_answer_goes_to_the_port_that_asked():
    world = World({Service.DHCP: answering(lambda asker, frame: b"%d %s" % (asker[0], frame))})
    assert world.ask() == "answered"
    assert world.bridges.sent == [(1, b"100 asked", (Output(5),))]


@pytest.mark.parametrize(
    ("reason", "frame", "became"),
    [
        (ASKED, b"cut", "ignored"),
        (replace(ASKED, service=Service.DNS), b"asked", "ignored"),
        (replace(ASKED, mac=8), b"asked", "unknown"),
        (ASKED, b"trace", "traced"),
    ],
)
def test_what_nobody_answers(reason, frame, became):
    world = World({Service.DHCP: answering(lambda asker, frame: b"")})
    assert world.ask(reason, frame) == became
    assert world.bridges.sent == []


def test_what_is_no_question():
    def refuse(asker, frame):
        raise DecodeError("no")

    world = World({Service.DHCP: answering(refuse)})
    assert world.ask() == "malformed"
    assert World({Service.DHCP: answering(lambda asker, frame: None)}).ask() == "ignored"


def test_a_responder_may_say_itself_what_became_of_it():
    said = iter([("refused", b"no"), ("released", None)])
    world = World({Service.DHCP: telling(lambda asker, frame: next(said))})
    assert [world.ask(), world.ask()] == ["refused", "released"]
    assert [frame for _, frame, _ in world.bridges.sent] == [b"no"]


def test_an_answer_that_a_bridge_does_not_take_is_lost():
    later = []

    def respond(asker, frame, send):
        later.append(send)
        return "forwarded"

    world = World({Service.DHCP: respond})
    world.bridges.away = True
    assert world.ask() == "forwarded"
    later[0](b"answer")
    assert world.edge.counts["dhcp", "lost"] == 1


SILENT = answering(lambda asker, frame: None)


def test_all_of_a_service_are_limited_and_recover():
    world = World({Service.DHCP: SILENT, Service.DNS: SILENT})
    many = [replace(ASKED, mac=mac) for mac in range(100, 100 + int(fairness.BURST) + 5)]
    became = [world.ask(one) for one in many]
    assert became == ["unknown"] * int(fairness.BURST) + ["too many"] * 5
    assert world.ask(replace(ASKED, service=Service.DNS)) == "ignored", "that has its own"
    world.clock = 10 / fairness.RATE
    assert [world.ask() for _ in range(11)] == ["ignored"] * 10 + ["too many"]


def test_many_who_ask_without_end_leave_half_to_those_who_do_not():
    world = World({Service.DHCP: SILENT})
    flood = [replace(ASKED, mac=mac) for mac in range(100, 200)]
    became = [world.ask(one) for _ in range(30) for one in flood]
    assert became.count("unknown") == max(fairness.BURST / 2, fairness.FEW * len(flood))
    assert became[-1] == "too many"
    assert world.ask() == "ignored"
    world.clock = fairness.WINDOW + 0.1
    assert world.ask(flood[0]) == "unknown", "who stops is as good as anybody"


def test_of_a_flood_as_much_is_looked_at_as_others_leave():
    world = World({Service.DHCP: SILENT})
    most = int(fairness.BURST / 2)
    assert [world.ask() for _ in range(most + 1)] == ["ignored"] * most + ["too many"]
    world.clock = 10 / fairness.RATE
    assert [world.ask() for _ in range(11)] == ["ignored"] * 10 + ["too many"]
