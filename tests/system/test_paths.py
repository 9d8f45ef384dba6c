# SPDX-License-Identifier: Apache-2.0
"""Connections over several paths on the real fleet: shares, pinning, the way back, restarts.

Two bridges are joined by four wires of unequal cost, so a policy that shares in inverse proportion
to cost gives their connections 4:3:2:1.
"""

import re
import socket
import sys
from collections import Counter

import pytest

from vneter_sdn.fleet.sockets import open_udp
from vneter_sdn.fleet.system import inside
from vneter_sdn.fleet.topology import Link, Topology
from vneter_sdn.pipeline.cookies import GENERATION
from vneter_sdn.pipeline.tables import STEP

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]
CONNECTIONS, PINNED = 10_000, 2_000
AT_ONCE = 500
"""More in one burst, and Open vSwitch has no time for BFD."""
COSTS = (3, 4, 6, 12)
"""In inverse proportion: 4:3:2:1."""
ASKED = (0.4, 0.3, 0.2, 0.1)
TOLERANCE = 0.02
FOUR = Topology(hosts=("h1", "h2"), links=(Link(ends=("h1", "h2"), medium="wire"),) * 4)
WIRE = ("w-h2", "w-h2.2", "w-h2.3", "w-h2.4")
"""At h1; at h2 they are called alike."""


def price(fleet, **costs):
    """Give wires, by their interface at h1, a cost or other attributes."""
    for found in fleet.controller.client.list("Link"):
        port = found["spec"]["sourcePort"]
        if port in costs:
            found["spec"] |= costs[port]
            fleet.controller.client.apply([{k: v for k, v in found.items() if k != "status"}])


def policy(fleet, **spec):
    return fleet.manifest("PathPolicy", "spread", paths=4, sharing="unequal", **spec)


@pytest.fixture(scope="module")
def wired(fleet):
    """Two hosts, four wires, and a workload on each."""
    fleet.up(FOUR)
    fleet.tenant("red", {"a": "h1", "b": "h2"})
    fleet.until(lambda: list(fleet.links().values()) == ["up"] * 4, what="all wires up")
    price(fleet, **{port: {"cost": cost} for port, cost in zip(WIRE, COSTS, strict=True)})
    fleet.controller.client.apply([policy(fleet)])
    fleet.until(lambda: settled(fleet), what="four paths")
    return fleet


def settled(fleet):
    """Whether all four wires carry what they are to carry."""
    found = {colours(fleet).get(colour): weight for colour, weight in buckets(fleet).items()}
    return [round(found.get(port, 0) / 256, 1) for port in WIRE] == list(ASKED)


def buckets(fleet, host="h1"):
    """Weights of the select group, by the colour that its buckets write."""
    told = fleet.ofctl(host, "dump-groups")
    found = Counter()
    for line in told.splitlines():
        if "type=select" in line:
            for bucket in line.split("bucket=")[1:]:
                colour = int(re.search(r"set_field:([0-9a-f]{2}):", bucket)[1], 16) >> 2
                weight = re.search(r"weight:(\d+)", bucket)
                found[colour] += int(weight[1]) if weight else 1
    return found


def marks(fleet, host="h1", protocol="tcp"):
    """Colour of each tracked connection, by its ports."""
    told = fleet.appctl(host, "dpctl/dump-conntrack")
    found = re.findall(rf"^{protocol},.*?sport=(\d+),dport=(\d+).*?mark=(\d+)", told, re.MULTILINE)
    return {(int(source), int(target)): int(mark) for source, target, mark in found}


def address(fleet, identity):
    return fleet.records[identity].addresses[0].partition("/")[0]


def colours(fleet, host="h1"):
    """Which wire each colour leaves by: the first of its ways."""
    told = fleet.ofctl(host, "dump-flows", "--names", "--no-stats")
    groups = fleet.ofctl(host, "dump-groups", "--names")
    first = dict(re.findall(r'group_id=(\d+),type=ff.*?output:"?([-\w.]+)"?', groups))
    found = {}
    for octet, ways in re.findall(r"table=transit.*?dl_dst=([0-9a-f]{2}):\S+ actions=(.*)", told):
        group = re.search(r"group:(\d+)", ways)
        port = first[group[1]] if group else re.search(r'output:"?([-\w.]+)"?', ways)[1]
        found[int(octet, 16) >> 2] = port
    return found


def test_connections_are_shared_as_asked(wired):
    fleet, target = wired, address(wired, "red/b")
    ours = colours(fleet)

    first = 10_000

    def lacking(ports):
        """Ask once more for those that are not there: whoever sends this fast loses some."""
        found = {port for _, port in marks(fleet, protocol="udp")}
        missing = [port for port in ports if port not in found]
        for port in missing:
            sender.sendto(b"x", (target, port))
        return missing

    with open_udp(fleet.records["red/a"].netns, 4) as sender:
        sender.setblocking(True)
        for start in range(first, first + CONNECTIONS, AT_ONCE):
            ports = range(start, start + AT_ONCE)
            fleet.until(lambda ports=ports: not lacking(ports), what="all connections")
    counted = Counter(ours[mark] for mark in marks(fleet, protocol="udp").values())
    total = sum(counted.values())
    shares = [counted[port] / total for port in WIRE]
    sys.stdout.write(f"shares {shares}\n")
    for share, asked in zip(shares, ASKED, strict=True):
        assert abs(share - asked) <= TOLERANCE, shares


class Connections:
    """Many established TCP connections from one workload to another, all from this process."""

    def __init__(self, fleet, source, target, count):
        self.far = inside(fleet.records[target].netns, self._listen)
        self.address = (address(fleet, target), self.far.getsockname()[1])
        self.near, self.accepted = [], []
        for _ in range(0, count, 100):
            self.near += inside(
                fleet.records[source].netns, lambda: [self._connect() for _ in range(100)]
            )
            while len(self.accepted) < len(self.near):
                self.accepted.append(self.far.accept()[0])
        self.ends = dict(zip(self.near, self.accepted_in_order(), strict=True))

    def _listen(self):
        return socket.create_server(("0.0.0.0", 0), backlog=256)

    def _connect(self):
        made = socket.create_connection(self.address, 10)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def accepted_in_order(self):
        by_port = {one.getpeername()[1]: one for one in self.accepted}
        return [by_port[one.getsockname()[1]] for one in self.near]

    def ports(self):
        return {one.getsockname()[1] for one in self.near}

    def exchange(self, chosen=None, rounds=1):
        """A message and an answer over each; raises what a connection that was reset raises."""
        chosen = self.near if chosen is None else chosen
        for _ in range(rounds):
            for one in chosen:
                one.sendall(b"question")
            for one in chosen:
                self.ends[one].settimeout(20)
                assert self.ends[one].recv(64) == b"question"
                self.ends[one].sendall(b"answer")
            for one in chosen:
                one.settimeout(20)
                assert one.recv(64) == b"answer"

    def close(self):
        for one in (*self.near, *self.accepted, self.far):
            one.close()


def of(connections, fleet, host="h1"):
    """Wire by client port, as tracked."""
    ports, ours = connections.ports(), colours(fleet, "h1")
    return {s: ours.get(mark, mark) for (s, _), mark in marks(fleet, host).items() if s in ports}


def test_connections_stay_on_their_path_while_it_lives(wired):
    fleet, client = wired, wired.controller.client
    client.apply([policy(fleet) | {"spec": {"paths": 3, "sharing": "unequal"}}])
    fleet.until(lambda: len(buckets(fleet)) == 3, what="three paths")
    connections = Connections(fleet, "red/a", "red/b", PINNED)
    connections.exchange()
    before = of(connections, fleet)
    assert len(before) == PINNED
    assert set(before.values()) == set(WIRE[:3])

    client.apply([policy(fleet)])
    fleet.until(lambda: len(buckets(fleet)) == 4, what="a path more")
    connections.exchange()
    assert of(connections, fleet) == before, "a path was added"

    weights = buckets(fleet)
    price(fleet, **{port: {"cost": cost} for port, cost in zip(WIRE, COSTS[::-1], strict=True)})
    fleet.until(lambda: buckets(fleet) != weights, what="other weights")
    connections.exchange()
    now = of(connections, fleet)
    moved = Counter((before[port], wire) for port, wire in now.items() if wire != before[port])
    assert not moved, (moved, colours(fleet))
    assert of(connections, fleet, "h2") == before, "answers"

    for port in WIRE[:3]:
        chosen = next(s for s in connections.near if before[s.getsockname()[1]] == port)
        sent = {host: fleet.sent(host) for host in ("h1", "h2")}
        connections.exchange([chosen], 200)
        for host, other in (("h1", "h2"), ("h2", "h1")):
            now = fleet.sent(host)
            grown = {
                name: now[name.replace("h2", other)] - sent[host][name.replace("h2", other)]
                for name in WIRE
            }
            assert grown[port] >= 200 > sum(grown.values()) - grown[port], (host, grown)

    gone = WIRE[0]
    price(fleet, **{gone: {"disabled": True}})
    fleet.until(lambda: len(buckets(fleet)) == 3, what="a path less")
    connections.exchange()
    after = of(connections, fleet)
    assert gone not in after.values()
    assert {s: w for s, w in after.items() if before[s] != gone} == {
        s: w for s, w in before.items() if w != gone
    }
    assert set(after) == set(before)
    sent = fleet.sent("h1")[gone]
    connections.exchange()
    assert fleet.sent("h1")[gone] - sent < 100, "discovery and BFD alone"
    assert len(set(after.values())) == 3
    connections.close()
    price(fleet, **{gone: {"disabled": False}})
    price(fleet, **{port: {"cost": cost} for port, cost in zip(WIRE, COSTS, strict=True)})
    fleet.until(lambda: settled(fleet), what="four paths again")


def test_a_controller_that_is_killed_moves_no_connection_and_touches_no_flow(wired):
    fleet, controller = wired, wired.controller
    connections = Connections(fleet, "red/a", "red/b", 200)
    connections.exchange()
    before, held = of(connections, fleet), forwarding(fleet)
    since, late = controller.log_length(), flaps(fleet)
    with fleet.stream("red/a", "red/b") as stream:
        assert stream.await_flow()
        controller.kill()
        connections.exchange()
        controller.start()
        controller.await_synced(("h1", "h2"))
        controller.await_log("in sync", 2, since)
        fleet.until(lambda: list(fleet.links().values()) == ["up"] * 4, what="all wires up")
        connections.exchange()
    said = controller.log.read_text(errors="replace")[since:]
    synced = [line for line in said.splitlines() if "in sync" in line]
    assert not [line for line in synced if re.search(r"\d (add|delete|modify)", line)], synced
    assert forwarding(fleet) == held
    assert of(connections, fleet) == before
    connections.close()
    if flaps(fleet) == late:  # else the machine was too busy for BFD, whatever the controller did
        assert stream.report().lost == 0, stream.report()


@pytest.mark.parametrize(
    ("step", "generation"), [(STEP, GENERATION + 1), (STEP + 1, GENERATION + 2)]
)
def test_another_release_moves_no_connection(wired, release, step, generation):
    """Its tables are numbered otherwise, so that every flow is another."""
    fleet, controller = wired, wired.controller
    connections = Connections(fleet, "red/a", "red/b", 200)
    connections.exchange()
    before = of(connections, fleet)
    assert len(set(before.values())) == 4
    since = controller.log_length()
    controller.kill()
    connections.exchange()
    controller.start(package=release(step, generation))
    controller.await_log(": in sync; ", 2, since)
    controller.await_synced(("h1", "h2"))
    connections.exchange()
    fleet.until(lambda: list(fleet.links().values()) == ["up"] * 4, what="all wires up")
    connections.exchange()
    assert of(connections, fleet) == before
    assert settled(fleet)
    connections.close()


def flaps(fleet):
    """How often BFD changed its mind, by port."""
    words = ("--bare", "--columns=bfd_status", "list", "Interface")
    told = [fleet.vsctl(host, *words) for host in ("h1", "h2")]
    return [re.findall(r"flap_count=(\d+)", text) for text in told]


def forwarding(fleet):
    """Flows and groups of both bridges."""
    words = (("dump-flows", "--no-stats"), ("dump-groups",))
    told = [fleet.ofctl(host, *one) for host in ("h1", "h2") for one in words]
    return [sorted(line for line in text.splitlines() if "xid" not in line) for text in told]
