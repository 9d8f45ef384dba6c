# SPDX-License-Identifier: Apache-2.0
"""Plain hosts reach one another with nothing declared, whatever the topology, and keep doing so."""

import os
import re
import signal

import pytest

NAMES = ("single", "linear", "two-planes", "ring", "dual-homed", "leaf-spine")
"""Topology files with a few nodes, one after the other on one controller: one switch, trees, loops,
parallel planes, hosts with two interfaces."""
OURS = ("--switch", "ovs,datapath=user", "--controller", "remote,port=6653")
DROPPED = re.compile(r"Results: (\d+)% dropped")


@pytest.mark.parametrize("name", NAMES)
def test_everybody_reaches_everybody_at_the_first_try(lab, controller, name):
    ended = lab.mn(f"{name},bw=off,delay=off", *OURS, "--test", "pingall")
    assert DROPPED.findall(ended.stdout) == ["0"], ended.stdout + controller.log()[-4000:]


@pytest.mark.parametrize("name", ["ring", "single", "linear"])
def test_nobody_is_taken_for_who_had_the_same_addresses_in_the_lab_before(lab, controller, name):
    ended = lab.mn(f"{name},bw=off,delay=off", *OURS, "--mac", "--test", "pingall")
    assert DROPPED.findall(ended.stdout) == ["0"], ended.stdout + controller.log()[-4000:]


@pytest.mark.parametrize("name", ["ring", "single"])
def test_a_controller_that_was_away_meanwhile_takes_no_lab_for_the_one_before(
    lab, controller, name
):
    """Bridges have the same names; where a wire ended, a host is now."""
    restart(controller)
    ended = lab.mn(f"{name},bw=off,delay=off", *OURS, "--test", "pingall")
    assert DROPPED.findall(ended.stdout) == ["0"], ended.stdout + controller.log()[-4000:]


def restart(controller):
    os.kill(controller.pid, signal.SIGTERM)
    controller.process.wait(30)
    controller.start()


def test_mininet_may_ask_at_leisure_whether_anybody_listens(lab, controller):
    """By telnet in a node's shell; what we say by then has to be none of Mininet's own marks."""
    ended = lab.python(
        "from mininet.node import Node\n"
        "node = Node('c1', inNamespace=False)\n"
        "print(node.cmd('(sleep 1; echo A) | telnet -e A 127.0.0.1 6653'))\n",
        timeout=10,
    )
    assert ended.returncode == 0, ended
    assert "Connected" in ended.stdout
    assert "helo" in ended.stdout, "that our HELLO was read"


@pytest.fixture(scope="module")
def ring(lab, mininet, controller):
    """Six switches in a ring, and hosts that know one another."""
    with mininet.network(lab, "topologies/ring.yaml", bw="off", delay="off") as net:
        mininet.until(lambda: controller.edges() == net.edges, "the graph")
        for one in net.hosts:
            mininet.until(lambda one=one: net.ping("h1", one), f"that h1 reaches {one}")
            mininet.until(lambda one=one: net.ping(one, "h4"), f"that {one} reaches h4")
        yield net


def test_who_was_heard_is_an_endpoint_of_the_lab(controller, ring):
    found = {one["metadata"]["name"]: one for one in controller.client.list("Endpoint")}
    assert sorted(found) == [f"s{n}.s{n}-eth1" for n in range(1, 7)]
    for number in range(1, 7):
        one = found[f"s{number}.s{number}-eth1"]
        assert one["metadata"]["tenant"] == "default"
        assert one["spec"]["mac"] == ring.hosts[f"h{number}"]["mac"]
        assert one["spec"]["addresses"] == [ring.hosts[f"h{number}"]["ip"]]


def test_frames_are_as_large_as_everywhere(ring):
    assert ring.ping("h1", "h4", "-c 2 -W 2 -M do -s 1472")


def test_link_local_ipv6_works_between_learned_hosts(mininet, ring):
    told = ring.run("h3", "ip -6 -o addr show dev h3-eth0 scope link")
    there = re.search(r"inet6 ([^/]+)/", told)[1]
    mininet.until(
        lambda: ", 0% packet loss" in ring.run("h1", f"ping -6 -q -c 1 -W 2 {there}%h1-eth0"),
        f"that h1 reaches {there}",
    )


def test_any_wire_may_go_and_come_back(mininet, controller, ring):
    for ends in ring.wires:
        ring.set(ends, "down")
        for one, other in (("h1", "h2"), ("h3", "h6"), ("h5", "h4")):
            mininet.until(lambda a=one, b=other: ring.ping(a, b), f"that {one} reaches {other}")
        ring.set(ends, "up")
        mininet.until(lambda: controller.edges() == ring.edges, "that the wire is back")


def test_a_restart_of_the_controller_loses_no_packet(mininet, controller, ring):
    ring.run("h1", f"ping -i 0.01 -w 60 {ring.hosts['h4']['ip']} >/run/stream 2>&1 &")
    restart(controller)
    mininet.until(lambda: controller.edges() == ring.edges, "the graph")
    ring.run("h1", "kill -INT %1; wait")
    told = controller.lab.run(["cat", "/run/stream"]).stdout
    answered = sorted(map(int, re.findall(r"icmp_seq=(\d+)", told)))
    # The last one sent may be on its way when ping is told to stop.
    assert answered == list(range(1, len(answered) + 1)), told[-2000:]
    assert len(answered) > 100


def test_a_host_that_moves_is_found_again(mininet, ring):
    mac, address = ring.hosts["h2"]["mac"], ring.hosts["h2"]["ip"]
    ring.run("h2", "ip link set dev h2-eth0 down")
    ring.run("h3", f"ip link set dev h3-eth0 address {mac}")
    ring.run("h3", f"ip address flush dev h3-eth0; ip address add {address}/8 dev h3-eth0")
    outward = f"ping -c 1 -W 1 {ring.hosts['h5']['ip']}"
    mininet.until(lambda: "1 received" in ring.run("h3", outward), "that it reaches h5", 20)
    mininet.until(lambda: ring.ping("h5", "h2"), "that h5 reaches it")
