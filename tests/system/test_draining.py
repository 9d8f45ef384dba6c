# SPDX-License-Identifier: Apache-2.0
"""``vneterctl drain`` on real hosts: not a packet of a stream is lost, and counters stand still."""

import re
import subprocess
import sys

import pytest

from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import Link, Topology

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(400)]
RATE = 200
"""Packets a second: as many as switches without a processor for a second have room for."""
PATIENT = ("--bfd-interval-ms", "2000", "--count-interval", "2")
"""Nothing fails here: nor shall it seem so, when switches get no processor for a while."""
RING = Topology(
    hosts=("r1", "r2", "r3", "r4"),
    links=tuple(
        Link(ends=ends, medium="wire")
        for ends in (("r1", "r2"), ("r2", "r3"), ("r3", "r4"), ("r4", "r1"))
    ),
)


def cli(fleet, *words):
    run = subprocess.run(
        [sys.executable, "-m", "vneter_sdn", *words, "--server", fleet.controller.server],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def sent(fleet, host):
    """Packets sent out of each port of a host's bridge, by interface."""
    told = fleet.ofctl(host, "dump-ports", "--names")
    found = re.findall(r'port +"?([-\w.]+)"?: rx.*?tx pkts=(\d+)', told, re.DOTALL)
    return {name: int(count) for name, count in found}


def busy(fleet, host, peers):
    """The peer that a stream leaves a host for."""
    before = sent(fleet, host)

    def found():
        now = sent(fleet, host)
        grown = {peer: now[f"w-{peer}"] - before[f"w-{peer}"] for peer in peers}
        most = max(grown, key=grown.__getitem__)
        return most if grown[most] > RATE else None

    return fleet.until(found, what="a port with traffic")


def flows(stream, more):
    start = stream.report().received
    return lambda: stream.report().received >= start + more


def link_of(fleet, one, other):
    for item in fleet.controller.client.list("Link"):
        spec = item["spec"]
        if {spec["source"], spec["target"]} == {one, other}:
            return item["metadata"]["name"]
    return None


def reaches(fleet):
    address = fleet.records["red/b"].addresses[0].partition("/")[0]
    return fleet.netns("red/a", "ping", "-c1", "-W1", address, check=False).returncode == 0


def link_states(fleet):
    return [item["status"].get("state") for item in fleet.controller.client.list("Link")]


def lossless(fleet, work):
    """Do something under a stream of its own, of which nothing may be lost."""
    ends = fleet.records["red/a"], fleet.records["red/b"]
    with Stream(*ends, rate=RATE, protocol="udp") as stream:
        assert stream.await_flow()
        found = work(stream)
        fleet.until(flows(stream, RATE // 2), what="traffic")
    report = stream.report()
    sys.stdout.write(f"{report}\n")
    assert report.lost == 0, report
    return found


def drained(fleet, what, name):
    """Drain it, and use it again."""

    def work(stream):
        used = busy(fleet, "r1", ("r2", "r4"))
        target = name(used)
        assert "is drained" in cli(fleet, "drain", what, target, "--wait", "--timeout", "90")
        kind = {"link": "Link", "bridge": "Host"}[what]
        assert fleet.controller.conditions(kind, target)["Drained"] == ("True", "Empty")
        before, arrived = sent(fleet, "r1")[f"w-{used}"], stream.report().received
        fleet.until(flows(stream, 2 * RATE), what="traffic")
        probes = sent(fleet, "r1")[f"w-{used}"] - before
        share = probes / (stream.report().received - arrived)
        meanwhile = busy(fleet, "r1", ("r2", "r4"))
        cli(fleet, "drain", what, target, "--undo")
        fleet.until(flows(stream, RATE), what="traffic after it is used again")
        return used, meanwhile, share

    used, meanwhile, share = lossless(fleet, work)
    assert {used, meanwhile} == {"r2", "r4"}
    assert share < 0.1, "only probes went over what is drained"


@pytest.fixture
def patient_fleet(fleet_with):
    yield from fleet_with(*PATIENT)


def test_a_link_and_a_bridge_are_drained_under_traffic(patient_fleet):
    fleet = patient_fleet
    fleet.up(RING)
    fleet.tenant("red", {"a": "r1", "b": "r3"})
    fleet.until(lambda: link_states(fleet) == ["up"] * 4, what="four wires")
    # Wires are up when they are seen; bridges are told of the ways over them after that.
    fleet.until(lambda: reaches(fleet), what="a way from a to b")
    drained(fleet, "link", lambda used: link_of(fleet, "r1", used))
    drained(fleet, "bridge", lambda used: used)
