# SPDX-License-Identifier: Apache-2.0
"""Traffic that nobody declared is measured on real bridges, and spread as well as can be.

Three Mbit/s each from s and x to t: shortest paths fill the wire from x to t. The way through y is
half as wide, so the best there is puts two thirds on the wire and one on that way.
"""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request

import pytest

from vneter_sdn.fleet.controller import link_manifest
from vneter_sdn.fleet.load import Load
from vneter_sdn.fleet.sockets import open_listener, open_tcp
from vneter_sdn.fleet.topology import Link, Topology, work_out

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]
CAPACITY = {("s", "x"): 10.0, ("x", "t"): 10.0, ("x", "y"): 5.0, ("y", "t"): 5.0}
SQUARE = Topology(
    hosts=("s", "x", "y", "t"),
    links=tuple(Link(ends=ends, medium="wire", capacity=c) for ends, c in CAPACITY.items()),
)
INTO_T = {"x": 10.0, "y": 5.0}
BEST = sum(INTO_T.values())
"""Whatever is sent to t comes by these two: nobody can do better than filling them alike."""
MOVES = 2
ESTABLISHED = 20
PATIENCE = 120.0
WINDOW = 6.0
"""Seconds of traffic that a utilisation is measured over."""


@pytest.fixture
def options(system):
    """Of ``up``, and where its metrics are."""
    metrics = f"127.0.0.1:{system.free_port()}"
    told = {"te-interval": 5, "te-measure-interval": 2, "te-max-moves": MOVES}
    told["metrics-listen"] = metrics
    return tuple(f"--{name}={value}" for name, value in told.items()), metrics


@pytest.fixture
def te_fleet(fleet_with, options):
    yield from fleet_with(*options[0])


def octets(fleet):
    """Sent into t, by the host that sent them."""
    found = {}
    for host in INTO_T:
        told = fleet.ofctl(host, "dump-ports", "--names")
        ports = re.findall(r"port +\"?([-\w.]+)\"?: rx.*?tx pkts=\d+, bytes=(\d+)", told, re.DOTALL)
        found[host] = int(dict(ports)["w-t"])
    return found


def over_the_bound(fleet):
    """How full the fuller way into t is, over what it would be at best; 1 is perfect.

    Of what was sent in the meantime: a machine that is too slow to send all of it is no matter.
    """
    before = octets(fleet)
    time.sleep(WINDOW)
    after = octets(fleet)
    sent = {host: after[host] - before[host] for host in INTO_T}
    bound = sum(sent.values()) / BEST
    return max(sent[host] / INTO_T[host] for host in INTO_T) / bound


class Talk:
    """TCP connections that last."""

    def __init__(self, fleet, source, target, port):
        ends = fleet.records[source], fleet.records[target]
        address = ends[1].addresses[0].partition("/")[0]
        self.listener = open_listener(ends[1].netns, 4, port)
        self.listener.settimeout(20)
        self.pairs = []
        for _ in range(ESTABLISHED):
            near = open_tcp(ends[0].netns, 4)
            near.settimeout(20)
            near.connect((address, port))
            far, _ = self.listener.accept()
            far.settimeout(20)
            self.pairs.append((near, far))

    def round(self):
        """Something over each, both ways; one that was reset raises."""
        for near, far in self.pairs:
            near.sendall(b"ping")
            assert far.recv(4) == b"ping"
            far.sendall(b"pong")
            assert near.recv(4) == b"pong"

    def close(self):
        for near, far in self.pairs:
            near.close()
            far.close()
        self.listener.close()


def offline(fleet):
    """What ``vneterctl te`` says of the controller's traffic."""
    words = ["te", "--server", fleet.controller.server, "--policy", "spread", "-o", "json"]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "vneter_sdn", *words],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(run.stdout)


def exposed(address, name):
    """Values of a metric."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(name + "{")
    }


def awaited(fleet, most, what, seconds=PATIENCE, look=bool):
    """Wait until the ways into t are filled almost as well as can be; ``look`` meanwhile."""
    found = []

    def well():
        look()
        found.append(over_the_bound(fleet))
        return found[-1] <= most

    fleet.until(well, seconds=seconds, what=f"{what} (over the bound: {found})")
    sys.stdout.write(f"{what}: {', '.join(f'{one:.3f}' for one in found)} of the bound\n")
    return found[-1]


def test_what_is_measured_is_spread_and_followed(te_fleet, options):
    fleet = te_fleet
    client = fleet.controller.client
    fleet.up(SQUARE)
    client.apply([link_manifest(wire) for wire in work_out(SQUARE).wires])
    fleet.tenant("red", {"a": "s", "b": "x", "c": "t", "d": "y"})
    links = fleet.links
    fleet.until(lambda: list(links().values()) == ["up"] * 4, PATIENCE, "four wires")

    def load(source, mbps, port):
        return Load(fleet.records[f"red/{source}"], fleet.records["red/c"], mbps, port)

    def status():
        return client.get("PathPolicy", "", "spread")["status"]

    plans = []
    """What each plan was for, and how many paths it moved, as far as it was seen."""

    def planned_for(*pairs):
        told = status()
        plan = told.get("plannedFor"), told.get("moved")
        if told.get("plan") and plan not in plans:
            plans.append(plan)
        return set(told.get("plannedFor", ())) >= set(pairs)

    with contextlib.ExitStack() as undo:
        first = undo.enter_context(contextlib.ExitStack())
        first.enter_context(load("a", 3, 5001))
        undo.enter_context(load("b", 3, 5002))
        fleet.until(lambda: sum(octets(fleet).values()) > 500_000, PATIENCE, "traffic")
        shortest = over_the_bound(fleet)
        assert shortest > 1.4, "all of it takes the wire from x to t"
        talk = Talk(fleet, "red/a", "red/c", 7001)
        undo.callback(talk.close)
        talk.round()
        policy = fleet.manifest(
            "PathPolicy", "spread", tenants=["red"], paths=2, sharing="engineered"
        )
        client.apply([policy])
        fleet.until(lambda: planned_for("s>t", "x>t"), PATIENCE, "a plan for what is measured")
        told = status()
        assert told["measuredAt"]
        measured = told["measured"]
        assert 0.2 < measured["s>t"]["forth"] / measured["x>t"]["forth"] < 5
        assert measured["s>t"]["forth"] > measured["s>t"]["back"]
        engineered = awaited(fleet, 1.15, "engineered")
        seen = exposed(options[1], "vneter_traffic_mbps")
        assert any('source="s",target="t"' in name and mbps > 0 for name, mbps in seen.items())
        assert exposed(options[1], "vneter_traffic_age_seconds")
        found = offline(fleet)
        assert found["demands"] == "measured"
        assert {("s", "t"), ("x", "t")} <= {(p["source"], p["target"]) for p in found["paths"]}
        talk.round()
        sys.stdout.write(f"shortest path {shortest:.3f}, engineered {engineered:.3f}\n")

        before = status()
        fleet.controller.kill()
        fleet.controller.start(*options[0])
        fleet.controller.await_synced(record.name for record in fleet.hosts)
        after = status()
        if after["plannedFor"] == before["plannedFor"]:
            assert after["plan"] == before["plan"], "a restart moves nothing"
        else:  # it took us so long that something else was measured
            assert {"s>t", "x>t"} <= after["plannedFor"].keys()
        talk.round()

        planned_for()
        del plans[:-1]
        first.close()
        undo.enter_context(load("d", 2, 5003))
        fleet.until(lambda: planned_for("y>t"), PATIENCE, "a plan for the new matrix")
        awaited(fleet, 1.2, "after the change", look=planned_for)
        assert len(plans) > 1
        assert all(moved <= MOVES for _, moved in plans[1:]), plans
        talk.round()
