# SPDX-License-Identifier: Apache-2.0
"""Packets between workloads on real hosts, without a controller: the fleet's own correctness."""

import json
import subprocess

import msgspec
import pytest

from vneter_sdn.errors import NotFound, SouthboundError
from vneter_sdn.fleet.expectation import Finding
from vneter_sdn.fleet.lifecycle import bring_up, status
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.records import read_workload, read_workloads
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.system import run
from vneter_sdn.fleet.topology import star
from vneter_sdn.fleet.workload import Wish, attach, await_bridge, detach, move

pytestmark = pytest.mark.fleet
QUICK = Method(tcp=(8080,), udp=(5353,), seconds=1.5)


@pytest.fixture(scope="module")
def hosts(shared_layout, wire):
    made = bring_up(shared_layout, star(3))
    wire(made)
    return made


@pytest.fixture
def workloads(shared_layout, hosts, controller):
    made = []
    for number, host in ((1, "h1"), (2, "h2"), (3, "h3")):
        addresses = (f"10.0.0.{number}/24", f"fd00::{number}/64")
        wish = Wish("red", f"web{number}", "web", host, addresses)
        made.append(attach(shared_layout, controller, wish))
    yield made
    for record in read_workloads(shared_layout):
        detach(shared_layout, record, controller)


def test_workloads_of_one_tenant_reach_each_other_by_everything(workloads):
    report = probe(workloads, QUICK)

    assert len(report.findings) == 6 * 2 * 3
    assert set(report.findings.values()) == {Finding.REACHED}
    assert report.good


def test_a_shared_wire_between_tenants_is_found_to_leak(shared_layout, workloads, controller):
    wish = Wish("blue", "spy", "web", "h2", ("10.0.0.9/24",))
    spy = attach(shared_layout, controller, wish)

    report = probe([workloads[0], spy], QUICK)

    assert set(report.findings.values()) == {Finding.LEAK}
    assert not report.good


def test_a_packet_that_arrives_without_an_answer_is_a_leak_too(
    shared_layout, workloads, controller
):
    wish = Wish("blue", "mute", "web", "h2", ("10.0.0.9/24",))
    mute = attach(shared_layout, controller, wish)
    run(["ip", "neigh", "replace", "10.0.0.1", "lladdr", "02:00:00:00:00:99", "dev", "eth0"],
        netns=mute.netns)  # fmt: skip

    report = probe([workloads[0], mute], QUICK)

    by_source = {(q.source, q.protocol): f for q, f in report.findings.items()}
    assert by_source["red/web1", "icmp"] == by_source["red/web1", "udp"] == Finding.LEAK


def test_a_workload_that_is_cut_off_is_unreachable(shared_layout, workloads):
    run(["ip", "link", "set", "eth0", "down"], netns=workloads[2].netns)

    report = probe(workloads, QUICK)

    touching = {q for q in report.findings if "red/web3" in (q.source, q.target)}
    assert set(report.differences) == touching
    assert {report.findings[q] for q in touching} == {Finding.UNREACHABLE}


def test_a_full_sized_packet_crosses_the_tunnel(workloads):
    run(["ip", "link", "set", "eth0", "mtu", "1500"], netns=workloads[0].netns)
    words = ["ping", "-c", "3", "-i", "0.2", "-W", "2", "-M", "do", "-s", "1372", "10.0.0.2"]
    assert " 0% packet loss" in run(words, netns=workloads[0].netns)


@pytest.mark.parametrize(("protocol", "family"), [("icmp", 4), ("icmp", 6), ("udp", 4), ("udp", 6)])
def test_a_stream_over_a_quiet_network_loses_nothing(workloads, protocol, family):
    stream = Stream(workloads[0], workloads[1], protocol=protocol, family=family, rate=200).start()
    assert stream.await_flow()
    report = stream.stop()

    # The first packets may wait for neighbours to be resolved; none may come twice.
    assert report.received >= 1
    assert report.duplicates == report.refused == 0
    assert report.sent == report.received + report.lost


def test_a_stream_counts_what_a_cut_loses(workloads):
    with Stream(workloads[0], workloads[1], rate=100) as stream:
        assert stream.await_flow()
        run(["ip", "link", "set", "eth0", "down"], netns=workloads[1].netns)
        before = stream.report().sent
        while stream.report().sent < before + 30:
            pass
    report = stream.report()
    assert report.lost >= 29
    assert report.longest_gap >= 0.25


def test_a_moved_workload_keeps_its_addresses(shared_layout, workloads, controller):
    moved = move(shared_layout, workloads[0], "h3", None)

    assert moved.host == "h3"
    assert msgspec.structs.replace(moved, host="h1") == workloads[0]
    assert probe([moved, *workloads[1:]], QUICK).good
    assert status(shared_layout)[2].workloads == ("red/web1", "red/web3")
    again = move(shared_layout, read_workload(shared_layout, "web1"), "h3", None)
    assert again == moved


def test_attach_can_be_repeated(shared_layout, workloads, controller):
    wish = Wish("red", "web1", "web", "h1", ("10.0.0.1/24", "fd00::1/64"))
    again = attach(shared_layout, controller, wish)
    assert again.mac == workloads[0].mac
    assert len(read_workloads(shared_layout)) == 3


def test_attach_elsewhere_moves(shared_layout, workloads, controller):
    wish = Wish("red", "web1", "web", "h2", ("10.0.0.1/24", "fd00::1/64"))
    moved = attach(shared_layout, controller, wish, None)
    assert moved.host == "h2"
    assert probe([moved, *workloads[1:]], QUICK).good


def test_detach_takes_back_what_attach_declared(shared_layout, workloads, controller):
    detach(shared_layout, workloads[0], controller)

    with pytest.raises(NotFound):
        controller.get("Endpoint", "red", "web1")
    with pytest.raises(NotFound):
        read_workload(shared_layout, "web1")
    detach(shared_layout, workloads[0], controller)


def test_a_bridge_that_nobody_makes_is_named(hosts):
    with pytest.raises(SouthboundError, match="h1 has no bridge br-none after 1 s"):
        await_bridge(hosts[0], "br-none", 1)


def test_the_hosts_own_stack_does_not_answer_workloads(workloads):
    """OVS listens beside the kernel: without care the host's addresses answer on any port."""
    netns = workloads[0].netns
    run(["ip", "route", "replace", "192.0.2.0/24", "dev", "eth0"], netns=netns)
    words = ["ping", "-c", "3", "-i", "0.2", "-W", "1", "192.0.2.1"]
    with pytest.raises(SouthboundError):
        run(words, netns=netns)
    assert "lladdr" not in run(["ip", "neigh", "show", "192.0.2.1"], netns=netns)


def test_the_underlay_bridge_carries_nothing_of_ours(hosts):
    seen = subprocess.run(
        ["ovs-vsctl", "--timeout=5", f"--db={hosts[0].ovsdb}", "-f", "json",
         "--columns=external_ids,other_config,fail_mode", "list", "Bridge", "br-phy"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert json.loads(seen.stdout)["data"] == [[["map", []], ["map", []], "standalone"]]
