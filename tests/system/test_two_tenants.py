# SPDX-License-Identifier: Apache-2.0
"""The main job: three hosts, two tenants with the same addresses, and a controller that dies."""

import os
import re
import signal

import pytest

from vneter_sdn.fleet.lifecycle import bring_up
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import star
from vneter_sdn.fleet.workload import move
from vneter_sdn.pipeline.tables import table

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
HOSTS = ("h1", "h2", "h3")


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(3)
    fleet.alike("red", "blue")
    fleet.attach(
        *(
            (tenant, f"{network}{number}", network, f"h{number}")
            for tenant in ("red", "blue")
            for network, numbers in (("web", (1, 2, 3)), ("db", (2, 3)))
            for number in numbers
        )
    )


def everything_agrees(fleet):
    report = probe(list(fleet.records.values()), Method(tcp=(80,), udp=(53,)))
    return report.differences


def flows(fleet, host):
    """What a bridge holds: by cookie and match, how long it has been there, in seconds."""
    found = {}
    for line in fleet.ofctl(host, "dump-flows").splitlines():
        held = re.match(r" cookie=(\S+), duration=([\d.]+)s, (table=\d+), .*?(priority=.*)", line)
        if held:
            found[held[1], held[3], held[4]] = float(held[2])
    return found


def test_every_pair_is_as_the_intent_has_it(fleet):
    assert everything_agrees(fleet) == []


def test_the_tunnels_watch_each_other(fleet):
    def up(host):
        found = fleet.vsctl(
            host, "--bare", "--columns=bfd_status", "find", "Interface", "type=geneve"
        )
        return found.count("state=up") == 2 * 2  # this end's and the other's, of two tunnels

    for host in HOSTS:
        fleet.until(lambda host=host: up(host), what=f"BFD on {host}")


def test_a_ping_outlives_the_death_of_the_core(fleet):
    before = {host: flows(fleet, host) for host in HOSTS}
    core, since = fleet.controller.child("daemon.core"), fleet.controller.log_length()
    stream = Stream(fleet.records["red/web1"], fleet.records["red/db3"], rate=100).start()
    assert stream.await_flow()
    os.kill(core, signal.SIGKILL)
    fleet.until(
        lambda: fleet.controller.child("daemon.core") not in (None, core), what="a new core"
    )
    fleet.controller.await_log("in sync; nothing had to change", len(HOSTS), since)
    report = stream.stop()
    assert (report.lost, report.duplicates, report.refused) == (0, 0, 0)
    for host in HOSTS:
        after = flows(fleet, host)
        assert after.keys() == before[host].keys()
        assert all(after[key] > seconds for key, seconds in before[host].items())


def state_of(fleet, host):
    return fleet.controller.conditions("Host", host)["InSync"]


def test_a_ping_outlives_the_death_of_the_whole_controller(fleet):
    before = {host: flows(fleet, host) for host in HOSTS}
    revision = fleet.controller.client.status()["revision"]
    with Stream(
        fleet.records["blue/web2"], fleet.records["blue/db3"], rate=100, family=6
    ) as stream:
        assert stream.await_flow()
        since = fleet.controller.log_length()
        fleet.controller.kill()
        fleet.controller.start()
        fleet.controller.await_log("in sync; nothing had to change", len(HOSTS), since)
        report = stream.stop()
    assert (report.lost, report.duplicates, report.refused) == (0, 0, 0)
    assert fleet.controller.client.status()["revision"] == revision
    for host in HOSTS:
        after = flows(fleet, host)
        assert after.keys() == before[host].keys()
        assert all(after[key] > seconds for key, seconds in before[host].items())


def test_an_endpoint_that_moves_takes_its_traffic_along(fleet):
    record = move(fleet.layout, fleet.records["red/web1"], "h3", fleet.controller.client)
    fleet.records["red/web1"] = record
    fleet.until(lambda: bound_to(fleet, "web1") == "h3", what="the new binding")
    fleet.until(lambda: everything_agrees(fleet) == [], what="agreement after the move")
    left = fleet.ofctl("h1", "dump-flows", f"table={table('arrival').id}")
    slot = fleet.controller.client.get("Endpoint", "red", "web1")["status"]["slot"]
    assert f":{slot:02x}/03:ff" not in left, "h1 still delivers to an endpoint that left"


def bound_to(fleet, name):
    return fleet.controller.client.get("Endpoint", "red", name)["status"].get("host")


def test_an_open_vswitch_that_restarts_is_repaired(fleet):
    directory = fleet.directory("h2")
    pid = int((directory / "ovs-vswitchd.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    fleet.until(lambda: state_of(fleet, "h2")[0] == "False", what="h2 reported away")
    bring_up(fleet.layout, star(3))
    fleet.until(lambda: state_of(fleet, "h2")[0] == "True", what="h2 in sync again")
    fleet.until(lambda: everything_agrees(fleet) == [], what="agreement after the repair")


def test_a_host_that_cannot_be_reached_says_so_and_delays_nobody(fleet):
    client = fleet.controller.client
    nowhere = fleet.manifest(
        "Host", "h9", ovsdb=f"unix:{fleet.directory('h9')}/db.sock",
        tunnelAddresses=["192.0.2.99"], underlayMtu=1600,
    )  # fmt: skip
    client.apply([nowhere], "a host that is not there")
    away = ("False", "Unreachable")
    fleet.until(lambda: fleet.controller.conditions("Host", "h9").get("DatabaseConnected") == away)
    fleet.attach(("blue", "late", "db", "h1"))
    assert everything_agrees(fleet) == []
    client.delete("Host", "", "h9")
    fleet.until(lambda: "192.0.2.99" not in fleet.vsctl("h1", "list", "Interface"))
