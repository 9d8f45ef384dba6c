# SPDX-License-Identifier: Apache-2.0
"""What fails is repaired by the bridges beside it while the controller is stopped (SIGSTOP).

Numbered datagrams, 1,000 a second and echoed, cross the fleet. Of those the failure may cost 100.
When the controller goes on, it computes the paths anew, and that costs none.
"""

import os
import signal
import sys
from contextlib import ExitStack

import pytest

from vneter_sdn.fleet.lifecycle import links
from vneter_sdn.fleet.strands import between, set_state
from vneter_sdn.fleet.system import ip_batch
from vneter_sdn.fleet.topology import Link, Topology, star

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]
RATE = 1000
MOST_LOST = 100
ALL = os.environ.get("VNETER_TEST_SHAPES") == "all"


def wires(*pairs):
    return tuple(Link(ends=tuple(pair.split("-")), medium="wire") for pair in pairs)


def between_wires(hosts, *pairs):
    return Topology(hosts=tuple(hosts.split()), links=wires(*pairs))


RING = between_wires("r1 r2 r3 r4", "r1-r2", "r2-r3", "r3-r4", "r4-r1")
LEAF_SPINE = between_wires("l1 l2 s1 s2", "l1-s1", "l1-s2", "l2-s1", "l2-s2")
MESH = star(3, 2)
SITES = Topology(hosts=("h1", "h2", "h3"), switches=("a", "b", "c"),
                 links=(("h1", "a"), ("h2", "b"), ("h3", "c")))  # fmt: skip
MIXED = Topology(hosts=("m1", "m2", "m3"), switches=("u",),
                 links=(("m1", "u"), ("m2", "u"), *wires("m1-m3", "m3-m2")))  # fmt: skip
SHAPES = {
    "ring": (RING, "r1", "r3"),
    "leaf-spine": (LEAF_SPINE, "l1", "l2"),
    "mesh of two NICs": (MESH, "h1", "h2"),
    "relay": (SITES, "h1", "h2"),
    "wires and tunnels": (MIXED, "m1", "m2"),
}
USUAL = [
    ("ring", "carrier"),
    ("leaf-spine", "bridge"),
    ("mesh of two NICs", "silence"),
    ("relay", "silence"),
    ("wires and tunnels", "silence"),
]
MORE = [
    ("ring", "silence"),
    ("ring", "bridge"),
    ("leaf-spine", "carrier"),
    ("leaf-spine", "silence"),
    ("mesh of two NICs", "carrier"),
    ("wires and tunnels", "carrier"),
]
POLICIES = [{}, {"paths": 2, "disjoint": "link"}] if ALL else [{}]


def lay(fleet, shape, policy):
    topology, one, other = SHAPES[shape]
    fleet.up(topology)
    fleet.tenant("red", {"a": one, "b": other})
    if policy:
        fleet.controller.client.apply([fleet.manifest("PathPolicy", "p", **policy)])
    fleet.until(lambda: set(fleet.links().values()) == {"up"}, what="all links up")
    fleet.until(lambda: all_live(fleet), what="BFD on all links")
    fleet.until(lambda: reaches(fleet), what="a way from a to b")


def reaches(fleet):
    address = fleet.records["red/b"].addresses[0].partition("/")[0]
    return fleet.netns("red/a", "ping", "-c1", "-W1", address, check=False).returncode == 0


def all_live(fleet):
    words = ("--bare", "--columns=bfd_status", "list", "Interface")
    told = [fleet.vsctl(record.name, *words) for record in fleet.hosts]
    return all("state=down" not in text and "state=init" not in text for text in told)


def busiest(fleet, host):
    """The port that leads to another host and carries most of the stream."""
    own = {record.port for record in fleet.records.values()}
    before = fleet.sent(host)

    def found():
        now = fleet.sent(host)
        grown = {n: now[n] - before.get(n, 0) for n in now if n not in own}
        name = max(grown, key=grown.__getitem__)
        return name if grown[name] > RATE // 5 else None

    return fleet.until(found, what="a port with traffic")


def fail(fleet, shape, how, host, port):
    """Break what the stream uses."""
    laid = links(fleet.layout)
    if how == "bridge":
        pid_file = fleet.directory(port.removeprefix("w-")) / "ovs-vswitchd.pid"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    elif port.startswith("w-"):
        set_state(between(laid, host, port.removeprefix("w-")), word(how))
    elif shape == "relay":
        addresses = [record.addresses[0] for record in fleet.hosts[:2]]
        ways = (addresses, addresses[::-1])
        rules = [f"rule add from {near} to {far} blackhole" for near, far in ways]
        ip_batch(rules, fleet.layout.underlay)
    else:
        local = fleet.vsctl(host, "get", "Interface", port, "options:local_ip").strip('"')
        (record,) = (record for record in fleet.hosts if record.name == host)
        plane = [one for one in laid if one.kind == "nic" and one.ends[0] == host]
        set_state([plane[record.addresses.index(local)]], word(how))


def onward(fleet, host):
    """How a bridge passes packets on."""
    told = (fleet.ofctl(host, "dump-flows", "--no-stats"), fleet.ofctl(host, "dump-groups"))
    return [sorted(line for line in text.splitlines() if "xid" not in line) for text in told]


def word(how):
    return {"carrier": "down", "silence": "silent"}[how]


def flows(stream, more):
    start = stream.report().received
    return lambda: stream.report().received >= start + more


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: "paths" if policy else "plain")
@pytest.mark.parametrize(
    ("shape", "how"), USUAL + MORE if ALL else USUAL, ids=lambda value: value.replace(" ", "-")
)
def test_local_repair(quick_fleet, shape, how, policy):
    fleet, host = quick_fleet, SHAPES[shape][1]
    lay(fleet, shape, policy)
    with ExitStack() as asleep:
        asleep.enter_context(fleet.controller.frozen())
        with fleet.stream("red/a", "red/b", RATE) as stream:
            assert stream.await_flow()
            port = busiest(fleet, host)
            fleet.until(flows(stream, RATE // 5), what="traffic")
            fail(fleet, shape, how, host, port)
            fleet.until(flows(stream, RATE), what="traffic after the failure")
        failed = stream.report()
        before = onward(fleet, host)
        with fleet.stream("red/a", "red/b", RATE) as stream:
            assert stream.await_flow()
            asleep.close()
            fleet.until(lambda: onward(fleet, host) != before, what="other paths")
            fleet.until(flows(stream, RATE), what="traffic")
        better = stream.report()
    told = f"{shape}, {how}: {failed.lost} lost, {failed.longest_gap * 1e3:.0f} ms the longest gap"
    sys.stdout.write(f"{told}; then {better.lost}\n")
    assert failed.lost <= MOST_LOST, failed
    assert better.lost == 0, better
