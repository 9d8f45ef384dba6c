# SPDX-License-Identifier: Apache-2.0
"""What policies do besides allowing and dropping, on real bridges, with real sockets."""

import contextlib
import errno
import json
import re
import select
import time

import pytest

from vneter_sdn.fleet.sockets import open_listener, open_tcp, open_udp

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

    yield apply
    for name in set(names):
        policed.controller.client.delete("Policy", "red", name)


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
    lines = [json.loads(line) for line in policed.audit.read_text().splitlines()]
    allowed = [line for line in lines if line["rule"] == allows]
    assert len(allowed) == 3
    told = allowed[0]
    assert (told["from"], told["to"], told["protocol"]) == ("middle", "far", "tcp")
    assert (told["targetPort"], told["verdict"], told["direction"]) == (8002, "allowed", "ingress")
    assert (told["policy"], told["host"], told["tenant"]) == ("Policy red/counted", "h2", "red")
    denied = next(line for line in lines if line["rule"] == drops)
    assert (denied["from"], denied["verdict"]) == ("near", "dropped")


class Stream:
    """A TCP connection over which something is sent both ways all the time."""

    def __init__(self, fleet, source, target, port):
        self.listener = open_listener(fleet.records[f"red/{target}"].netns, 4, port)
        self.listener.settimeout(AT_ONCE)
        self.near = open_tcp(fleet.records[f"red/{source}"].netns, 4)
        self.near.settimeout(AT_ONCE)
        self.near.connect((address(fleet, target, 4), port))
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

    def begin(source, target, port):
        made.append(Stream(policed, source, target, port))
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
    applied(name="again", ingress=[{"log": True}])
    policed.audit.rename(policed.audit.with_suffix(".1"))
    connect(policed, "middle", "far", 7)
    policed.until(lambda: policed.audit.exists() and policed.audit.read_text(), what="a line")
    assert re.search(r'"targetPort":7\b', policed.audit.read_text())
