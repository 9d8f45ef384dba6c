# SPDX-License-Identifier: Apache-2.0
"""What policies do besides allowing and dropping, on real bridges, with real sockets."""

import contextlib
import errno
import json
import os
import re
import select
import signal
import socket
import struct
import time
import urllib.request
from itertools import count, repeat
from pathlib import Path

import pytest

from vneter_sdn.fleet.sockets import echo_request, open_listener, open_tcp, open_udp
from vneter_sdn.fleet.system import inside

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
AT_ONCE = 3.0
"""Seconds that an answer may take; a SYN that nobody answers is sent again for two minutes."""
PORTS = {"near": 8001, "far": 8002}


@pytest.fixture(scope="module", autouse=True)
def network(policed):
    fleet = policed
    fleet.up(2)
    prefixes = ["10.0.0.0/24", "fd00::/64"]
    network = fleet.manifest("Network", "net", "red", prefixes=prefixes)
    places = {"near": "h1", "middle": "h1", "far": "h2"}
    endpoints = [fleet.manifest("Endpoint", name, "red", network="net") for name in places]
    for endpoint in endpoints:
        endpoint["metadata"]["labels"] = {"name": endpoint["metadata"]["name"]}
    fleet.controller.client.apply([fleet.manifest("Tenant", "red"), network, *endpoints])
    fleet.attach(*(("red", name, "net", host) for name, host in places.items()))


@pytest.fixture(scope="module")
def policed(shared_fleet_with, tmp_path_factory):
    log = tmp_path_factory.mktemp("audit") / "audit.log"
    with shared_fleet_with("--policy-count-interval", "1", "--audit-file", str(log)) as made:
        made.audit = log
        yield made


@pytest.fixture
def applied(policed):
    """``applied(**spec)``: a policy about endpoint ``far`` or another, until the test ends."""
    names = []

    def apply(name="p", about="far", **spec):
        who = {"endpoints": {"matchLabels": {"name": about}}}
        policy = policed.manifest("Policy", name, "red", appliesTo=[who], **spec)
        policed.controller.client.apply([policy])
        names.append(name)
        policed.until(lambda: realised(policed, name), what="every bridge has the policy")
        policed.settle()

    yield apply
    for name in set(names):
        policed.controller.client.delete("Policy", "red", name)
    policed.until(lambda: not any(map(ruled, repeat(policed), policed.hosts)), what="no rules")
    policed.settle()


def ruled(fleet, host):
    """Whether a bridge holds verdicts of rules; numbers below 16 are none's."""
    tables = (f"table={way}_verdict" for way in ("egress", "ingress"))
    flows = (fleet.ofctl(host.name, "dump-flows", table, "--names") for table in tables)
    return any(re.search(r"reg8=0x[0-9a-f]{2,}/", one) for one in flows)


def realised(fleet, name):
    policy = fleet.controller.client.get("Policy", "red", name)
    status = policy.get("status", {})
    if status.get("observedRevision") != policy["metadata"]["revision"]:
        return False
    return any(c["type"] == "Realised" and c["status"] == "True" for c in status["conditions"])


def address(fleet, name, family):
    found = [one.partition("/")[0] for one in fleet.records[f"red/{name}"].addresses]
    return next(one for one in found if (":" in one) == (family == 6))


def connect(fleet, source, target, port, family=4):
    """Error number of a TCP connection, 0 for none, and the seconds it took."""
    with open_tcp(fleet.records[f"red/{source}"].netns, family) as client:
        client.settimeout(AT_ONCE)
        began = time.monotonic()
        try:
            client.connect((address(fleet, target, family), port))
        except TimeoutError:
            return errno.ETIMEDOUT, time.monotonic() - began
        except OSError as failed:
            return failed.errno, time.monotonic() - began
        return 0, time.monotonic() - began


def ask(fleet, source, target, port, family=4):
    """Error number that a datagram is answered with; None when nothing comes."""
    with open_udp(fleet.records[f"red/{source}"].netns, family) as client:
        client.connect((address(fleet, target, family), port))
        client.send(b"hello")
        select.select([client], [], [], AT_ONCE)
        try:
            client.recv(100, 0x40)  # MSG_DONTWAIT
        except BlockingIOError:
            return None
        except OSError as failed:
            return failed.errno
    return 0


REFUSED = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("about", ["near", "far"])
@pytest.mark.parametrize("way", ["egress", "ingress"])
def test_rejected_at_once(policed, applied, way, about, family):
    """Between ``middle`` and an endpoint of its own bridge, or of another."""
    about_whom = "middle" if way == "egress" else about
    applied(about=about_whom, **{way: [{"action": "reject"}]})
    failed, _ = connect(policed, "middle", about, PORTS[about], family)
    assert failed == errno.ECONNREFUSED
    assert ask(policed, "middle", about, 53, family) in REFUSED


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("about", ["near", "far"])
@pytest.mark.parametrize("way", ["egress", "ingress"])
def test_established_connections_are_rejected_at_once(policed, applied, stream, way, about, family):
    talk = stream("middle", about, 9100, family)
    assert talk.flows() == (True, True)
    about_whom = "middle" if way == "egress" else about
    applied(about=about_whom, **{way: [{"action": "reject"}]})
    with contextlib.suppress(OSError):
        talk.near.send(b"x")
    assert select.select([talk.near], [], [], AT_ONCE)[0]
    assert reset(talk.near)


def reset(connection):
    """Whether a connection is reset, after what it has brought is read."""
    try:
        while connection.recv(100):
            pass
    except ConnectionResetError:
        return True
    return False


def lines(fleet, rule):
    """Lines of the audit log about a rule."""
    whole = fleet.audit.read_text().splitlines() if fleet.audit.exists() else ()
    return [one for one in map(json.loads, whole) if one.get("rule") == rule]


def metrics(fleet):
    """Samples of the core by name and labels."""
    with urllib.request.urlopen(f"http://{fleet.metrics}/metrics") as answer:
        told = answer.read().decode()
    samples = (line.rpartition(" ") for line in told.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


PROTOCOLS = {"sctp": 132, "icmp": 1, "icmpv6": 58}


def send(fleet, source, target, protocol, number, family):
    """One packet from port ``number``, or of an echo with that number, to port 99."""
    netns, there = fleet.records[f"red/{source}"].netns, address(fleet, target, family)
    if protocol == "udp":
        with open_udp(netns, family, number) as opened:
            opened.sendto(b"x", (there, 99))
        return
    payload = {
        "sctp": struct.pack("!HHIIBBHIIHHI", number, 99, 0, 0, 1, 0, 20, 1, 9, 1, 1, 1),
        "icmp": echo_request(4, number, 1, b""),
        "icmpv6": echo_request(6, number, 1, b""),
    }[protocol]
    kind = {4: socket.AF_INET, 6: socket.AF_INET6}[family]
    raw = inside(netns, lambda: socket.socket(kind, socket.SOCK_RAW, PROTOCOLS[protocol]))
    with raw:
        raw.sendto(payload, (there, 0))


KINDS = [("udp", 4), ("udp", 6), ("sctp", 4), ("sctp", 6), ("icmp", 4), ("icmpv6", 6)]


@pytest.mark.parametrize("action", ["allow", "drop"])
def test_lines_of_every_protocol(policed, applied, action):
    applied(name=f"i{action}", about="far", ingress=[{"action": action, "log": True}])
    applied(name=f"e{action}", about="middle", egress=[{"action": "allow", "log": True}])
    number = {"allow": 4000, "drop": 4001}[action]
    for kind in KINDS:
        send(policed, "middle", "far", kind[0], number, kind[1])
    for letter, way, host in (("e", "egress", "h1"), ("i", "ingress", "h2")):
        rule = f"Policy red/{letter}{action} {way}[0]"
        policed.until(lambda rule=rule: len(lines(policed, rule)) >= len(KINDS), what=rule)
        verdict = "dropped" if (way, action) == ("ingress", "drop") else "allowed"
        by_kind = {
            (told["protocol"], 6 if ":" in told["source"] else 4): told
            for told in lines(policed, rule)
        }
        assert by_kind.keys() == set(KINDS)
        for (protocol, family), told in by_kind.items():
            ends = [address(policed, end, family) for end in ("middle", "far")]
            assert [told["source"], told["target"]] == ends
            assert [told["from"], told["to"], told["tenant"]] == ["middle", "far", "red"]
            assert [told["verdict"], told["direction"], told["host"]] == [verdict, way, host]
            if protocol.startswith("icmp"):
                assert (told["type"], told["code"]) == ({4: 8, 6: 128}[family], 0)
            else:
                assert (told["sourcePort"], told["targetPort"]) == (number, 99)


MANY, EACH, SIZE = 37, 3, 100
FRESH = count(20_000)
"""Source ports: one that was used a minute ago may still be a connection's."""


@pytest.mark.parametrize(("about", "way"), [("far", "ingress"), ("middle", "egress")])
@pytest.mark.parametrize("action", ["allow", "drop", "reject"])
def test_counts_are_exact(policed, applied, about, way, action):
    name = f"exact-{way}-{action}"
    spec = {way: [{"name": "r", "action": action, "ports": [{"protocol": "udp", "port": 99}]}]}
    applied(name=name, about=about, **spec)
    answers = action == "allow"
    with open_udp(policed.records["red/far"].netns, 4, 99) as server:
        for _ in range(MANY):
            with open_udp(policed.records["red/middle"].netns, 4, next(FRESH)) as client:
                for _ in range(EACH):
                    client.sendto(bytes(SIZE), (address(policed, "far", 4), 99))
                    # What comes before the first one is remembered counts as a beginning, too.
                    assert bool(select.select([server], [], [], AT_ONCE * answers)[0]) == answers
                    if answers:
                        server.recv(SIZE)
    title, packets = f"Policy red/{name} {way}[0] r", MANY * EACH
    expected = {
        "connections": MANY if action == "allow" else 0,
        "packets": packets,
        "bytes": packets * (14 + 20 + 8 + SIZE),
    }
    policed.until(lambda: counters(policed, name).get(title) == expected, what=f"{expected}")
    labels = f'{{policy="Policy red/{name}",rule="{title}"}}'
    samples = metrics(policed)
    for what, value in expected.items():
        assert samples[f"vneter_policy_{what}_total{labels}"] == value


def test_counts_outlive_the_controller(policed, applied):
    """And other rules that come before, and new flows."""
    rule = {"name": "r", "ports": [{"protocol": "udp", "port": 98}]}
    applied(name="lasting", ingress=[rule])
    title = "Policy red/lasting ingress[0] r"

    def sent(times):
        for _ in range(times):
            with open_udp(policed.records["red/middle"].netns, 4, next(FRESH)) as client:
                client.sendto(b"x", (address(policed, "far", 4), 98))

    def counted(times):
        found = lambda: counters(policed, "lasting").get(title, {}).get("connections")  # noqa: E731
        policed.until(lambda: found() == times, what=f"{times} connections")

    sent(MANY)
    counted(MANY)
    policed.controller.kill()
    sent(5)
    policed.controller.start(*policed.options)
    counted(MANY + 5)
    applied(name="before", priority=1, ingress=[{"ports": [{"protocol": "udp", "port": 97}]}])
    sent(4)
    counted(MANY + 9)


def counters(fleet, name="p"):
    return fleet.controller.client.get("Policy", "red", name)["status"].get("counters", {})


def test_counted_and_written(policed, applied):
    rules = [
        {"name": "web", "ports": [{"port": 8002}], "log": True},
        {"action": "drop", "log": True},
    ]
    applied(name="counted", ingress=rules)
    netns = policed.records["red/far"].netns
    with open_listener(netns, 4, 8002), contextlib.suppress(OSError):
        for _ in range(3):
            assert connect(policed, "middle", "far", 8002)[0] == 0
    assert connect(policed, "near", "far", 99)[0] == errno.ETIMEDOUT
    allows, drops = "Policy red/counted ingress[0] web", "Policy red/counted ingress[1]"
    counted = lambda: counters(policed, "counted")  # noqa: E731
    policed.until(lambda: counted().get(allows, {}).get("connections") == 3, what="connections")
    policed.until(lambda: counted().get(drops, {}).get("packets", 0) >= 1, what="drops")
    assert counted()[allows]["packets"] > 3
    assert counted()[drops]["connections"] == 0
    policed.until(lambda: len(lines(policed, allows)) >= 3, what="lines")
    assert len(lines(policed, allows)) == 3
    told = lines(policed, allows)[0]
    assert (told["from"], told["to"], told["protocol"]) == ("middle", "far", "tcp")
    assert (told["targetPort"], told["verdict"], told["direction"]) == (8002, "allowed", "ingress")
    assert (told["policy"], told["host"], told["tenant"]) == ("Policy red/counted", "h2", "red")
    denied = lines(policed, drops)[0]
    assert (denied["from"], denied["verdict"]) == ("near", "dropped")


class Stream:
    """A TCP connection over which something is sent both ways all the time."""

    def __init__(self, fleet, source, target, port, family=4):
        self.listener = open_listener(fleet.records[f"red/{target}"].netns, family, port)
        self.listener.settimeout(AT_ONCE)
        self.near = open_tcp(fleet.records[f"red/{source}"].netns, family)
        self.near.settimeout(AT_ONCE)
        self.near.connect((address(fleet, target, family), port))
        self.far, _ = self.listener.accept()
        self.far.settimeout(AT_ONCE)

    def flows(self):
        """Whether something passes each way, now."""
        passed = []
        for one, other in ((self.near, self.far), (self.far, self.near)):
            while select.select([other], [], [], 0)[0]:
                other.recv(4096)
            with contextlib.suppress(OSError):
                one.sendall(b"x")
            passed.append(bool(select.select([other], [], [], 1.0)[0]))
        return tuple(passed)

    def close(self):
        for one in (self.near, self.far, self.listener):
            one.close()


@pytest.fixture
def stream(policed):
    made = []

    def begin(source, target, port, family=4):
        made.append(Stream(policed, source, target, port, family))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.mark.parametrize("target", ["near", "far"])
@pytest.mark.parametrize("before", [None, {"ingress": [{}]}])
def test_what_is_not_allowed_any_more_is_cut(policed, applied, stream, target, before):
    if before is not None:
        applied(about=target, **before)
    talk = stream("middle", target, 9000)
    assert talk.flows() == (True, True)
    applied(about=target, ingress=[{"action": "drop", "ports": [{"port": 9000}]}])
    assert talk.flows() == (False, before is None), "what nobody tracked is asked about each way"
    if before is not None:
        assert talk.flows() == (False, False)
        applied(about=target, ingress=[{}])
        policed.until(lambda: talk.flows() == (True, True), what="allowed again")


def test_what_is_kept_goes_on(applied, stream, policed):
    applied(established="keep", ingress=[{}])
    talk = stream("middle", "far", 9001)
    assert talk.flows() == (True, True)
    applied(established="keep", ingress=[{"action": "drop"}])
    assert talk.flows() == (True, True)
    assert connect(policed, "middle", "far", 9001)[0] == errno.ETIMEDOUT


def test_changes_elsewhere_disturb_nobody(applied, stream):
    applied(ingress=[{}])
    talk = stream("middle", "far", 9002)
    for _ in range(3):
        applied(name="other", about="near", ingress=[{"action": "drop"}])
        assert talk.flows() == (True, True)
        applied(name="other", about="near", ingress=[{}])
        assert talk.flows() == (True, True)


def test_files_are_opened_anew(policed, applied):
    """Once they were moved away, and when the controller is told by SIGHUP."""
    applied(name="again", ingress=[{"log": True}])
    policed.audit.rename(policed.audit.with_suffix(".1"))
    connect(policed, "middle", "far", 7)
    policed.until(lambda: policed.audit.exists() and policed.audit.read_text(), what="a line")
    assert re.search(r'"targetPort":7\b', policed.audit.read_text())
    core = policed.controller.child("core")

    def opened():
        return [os.readlink(one) for one in Path(f"/proc/{core}/fd").iterdir()]

    assert str(policed.audit) in opened()
    os.kill(policed.controller.process.pid, signal.SIGHUP)
    policed.until(lambda: str(policed.audit) not in opened(), what="it is closed")
    connect(policed, "middle", "far", 7)
    policed.until(lambda: str(policed.audit) in opened(), what="it is open again")
    assert policed.controller.child("core") == core
