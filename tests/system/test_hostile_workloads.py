# SPDX-License-Identifier: Apache-2.0
"""What a workload may not do on real bridges, and what is not ours on a host."""

import os
import signal

import pytest

from vneter_sdn.cli.recompute import fresh_digests, verdicts
from vneter_sdn.fleet.controller import register
from vneter_sdn.fleet.lifecycle import bring_up
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.topology import star
from vneter_sdn.northbound.exports import snapshot_from
from vneter_sdn.pipeline.tables import table

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(2)
    fleet.vsctl("h2", "add-port", "br-int", "theirs", "--", "set", "Interface", "theirs",
                "type=internal", "external_ids:somebody=else")  # fmt: skip
    fleet.ofctl("h2", "add-flow", "cookie=0xabc,table=200,priority=5,actions=drop")
    encapsulations = {"h1": "vxlan", "h2": "vxlan"}
    for host, encapsulation in encapsulations.items():
        found = fleet.controller.client.get("Host", "", host)
        spec = found["spec"] | {"encapsulation": encapsulation}
        fleet.controller.client.apply([fleet.manifest("Host", host, **spec)], "by VXLAN")
    fleet.controller.client.apply(
        [
            fleet.manifest("Tenant", "red"),
            fleet.manifest("Network", "web", "red", prefixes=["10.0.1.0/24", "fd00:1::/64"]),
            fleet.manifest("Network", "db", "red", prefixes=["10.0.2.0/24", "fd00:2::/64"]),
        ],
        "the test's",
    )
    fleet.attach(("red", "a", "web", "h1"), ("red", "b", "web", "h2"), ("red", "c", "db", "h2"))


def address(fleet, identity, family=4):
    plain = [a.partition("/")[0] for a in fleet.records[identity].addresses]
    return next(a for a in plain if (":" in a) == (family == 6))


def ping(fleet, identity, target, *words):
    run = fleet.netns(
        identity, "ping", "-c", "2", "-i", "0.2", "-W", "1", *words, target, check=False
    )
    return run.returncode == 0


def test_vxlan_carries_what_geneve_does(fleet):
    assert fleet.vsctl("h1", "--bare", "--columns=name", "find", "Interface", "type=vxlan")
    assert probe(list(fleet.records.values()), Method(tcp=(80,), udp=(53,))).differences == []


@pytest.mark.parametrize("encapsulation", ["gre", "geneve"])
def test_a_link_chooses_the_encapsulation_of_its_pair(fleet, encapsulation):
    link = fleet.manifest("Link", "wan", source="h1", target="h2", encapsulation=encapsulation)
    fleet.controller.client.apply([link], "by a link")
    fleet.until(lambda: fleet.vsctl("h1", "--bare", "--columns=name", "find", "Interface",
                                    f"type={encapsulation}"))  # fmt: skip
    fleet.until(
        lambda: not probe(list(fleet.records.values()), Method(tcp=(80,), udp=(53,))).differences,
        what=f"agreement over {encapsulation}",
    )


def test_the_gateway_answers_on_every_bridge(fleet):
    for identity, network in (("red/a", 1), ("red/b", 1), ("red/c", 2)):
        for gateway in (f"10.0.{network}.1", f"fd00:{network}::1"):
            assert ping(fleet, identity, gateway), (identity, gateway)
            assert ping(fleet, identity, gateway, "-s", "1300"), (identity, gateway)


def test_neighbours_see_each_others_own_mac(fleet):
    assert ping(fleet, "red/a", address(fleet, "red/b"))
    neighbours = fleet.netns("red/a", "ip", "neighbour").stdout
    assert fleet.records["red/b"].mac in neighbours


def test_routing_costs_one_hop_and_switching_none(fleet):
    near = fleet.netns("red/a", "ping", "-c1", "-W2", address(fleet, "red/b")).stdout
    far = fleet.netns("red/a", "ping", "-c1", "-W2", address(fleet, "red/c")).stdout
    assert "ttl=64" in near
    assert "ttl=63" in far


def test_a_packet_whose_hops_run_out_is_answered_by_the_gateway(fleet):
    for family, gateway in ((4, "10.0.1.1"), (6, "fd00:1::1")):
        target = address(fleet, "red/c", family)
        out = fleet.netns("red/a", "ping", "-c1", "-W2", "-t1", target, check=False)
        assert f"From {gateway}" in out.stdout, out.stdout
        assert "ime" in out.stdout.split("From", 1)[1], out.stdout


def test_full_packets_pass_at_the_networks_mtu(fleet):
    whole = str(1400 - 28)
    assert ping(fleet, "red/a", address(fleet, "red/c"), "-M", "do", "-s", whole)


def test_a_forged_address_goes_nowhere(fleet):
    fleet.netns("red/a", "ip", "address", "add", "10.0.1.200/32", "dev", "eth0")
    try:
        assert not ping(fleet, "red/a", address(fleet, "red/b"), "-I", "10.0.1.200")
    finally:
        fleet.netns("red/a", "ip", "address", "delete", "10.0.1.200/32", "dev", "eth0")
    assert ping(fleet, "red/a", address(fleet, "red/b"))


def test_a_forged_mac_goes_nowhere(fleet):
    mac = fleet.records["red/a"].mac
    fleet.netns("red/a", "ip", "link", "set", "eth0", "address", "02:aa:aa:aa:aa:aa")
    try:
        assert not ping(fleet, "red/a", address(fleet, "red/b"))
    finally:
        fleet.netns("red/a", "ip", "link", "set", "eth0", "address", mac)
        fleet.netns("red/a", "ip", "-6", "route", "replace", "default", "via", "fd00:1::1")
        fleet.netns("red/a", "ip", "route", "replace", "default", "via", "10.0.1.1")
    fleet.until(lambda: ping(fleet, "red/a", address(fleet, "red/b")))


def test_what_is_somebody_elses_stays(fleet):
    assert "theirs" in fleet.vsctl("h2", "list-ports", "br-int").split()
    assert "cookie=0xabc" in fleet.ofctl("h2", "dump-flows", "table=200")


def test_a_flow_taken_away_behind_our_back_comes_back_with_the_next_connection(fleet):
    deliver = f"table={table('deliver').id}"
    fleet.ofctl("h1", "del-flows", deliver)
    fleet.vsctl("h1", "set", "Controller", ".", "external_ids:touched=1")
    pid = fleet.controller.child("daemon.core")
    os.kill(pid, signal.SIGKILL)
    fleet.until(lambda: "priority=200" in fleet.ofctl("h1", "dump-flows", deliver))


def test_a_fresh_computation_agrees(fleet):
    def words():
        snapshot = snapshot_from(fleet.controller.client.snapshot())
        return {one.word for one in verdicts(snapshot, fresh_digests(snapshot))}

    fleet.until(lambda: words() == {"same"})


def test_a_bridge_that_was_there_before_keeps_its_identity(fleet):
    """An operator's own br-int is joined, not taken over."""
    everyone = [record.name for record in bring_up(fleet.layout, star(3))]
    fleet.vsctl("h3", "add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev",
                "other_config:datapath-id=00000000deadbeef", "other_config:theirs=1")  # fmt: skip
    register(fleet.controller.client, bring_up(fleet.layout, star(3)))
    fleet.controller.await_synced(everyone)
    assert fleet.vsctl("h3", "get", "Bridge", "br-int", "datapath_id") == '"00000000deadbeef"'
    assert fleet.vsctl("h3", "get", "Bridge", "br-int", "other_config:theirs") == '"1"'
    fleet.attach(("red", "d", "db", "h3"))
    assert probe(list(fleet.records.values()), Method(tcp=(80,))).differences == []
