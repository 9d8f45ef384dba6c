# SPDX-License-Identifier: Apache-2.0
"""Connections between pods of a fat tree take all four ways."""

import re

import pytest

TREE = "topologies/fat-tree.yaml"
SENDER = """
import socket, sys
for number in range(int(sys.argv[2])):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind(("", 20000 + number))
    out.sendto(b"multipath", (sys.argv[1], 7000))
    out.close()
"""
CONNECTIONS = 400


@pytest.fixture(scope="module")
def net(lab, mininet, controller):
    with mininet.network(lab, TREE, bw="off", delay="off") as made:
        mininet.until(lambda: controller.edges() == made.edges, "the graph")
        lab.run(["sh", "-c", 'printf %s "$1" >/run/send.py', "sh", SENDER])
        yield made


@pytest.fixture(scope="module")
def ends(net):
    """Two hosts of different pods, and the switches in the core between them."""
    core = [name for name in net.switches if re.fullmatch(r"c\d", name)]
    assert len(core) == 4
    return "h1", "h16", core


def carried(lab, net, switches):
    """Packets that each switch has received from others."""
    found = {}
    for switch in switches:
        told = lab.run(["ovs-ofctl", "-O", "OpenFlow15", "dump-ports", switch]).stdout
        found[switch] = sum(int(number) for number in re.findall(r"rx pkts=(\d+)", told))
    return found


def grown(lab, net, core, source, target):
    before = carried(lab, net, core)
    words = f"/usr/bin/python3 /run/send.py {net.hosts[target]['ip']} {CONNECTIONS}"
    net.run(source, words)
    after = carried(lab, net, core)
    return [after[switch] - before[switch] for switch in core]


def test_a_policy_spreads_connections_over_all_four_ways(lab, mininet, controller, net, ends):
    source, target, core = ends
    mininet.until(lambda: net.ping(source, target), f"that {source} reaches {target}")
    metadata = {"name": "everywhere"}
    spec = {"tenants": ["default"], "objective": "hops", "paths": 4, "sharing": "best"}
    policy = {"apiVersion": "vneter.io/v1", "kind": "PathPolicy", "metadata": metadata}
    controller.client.apply([policy | {"spec": spec}])
    first = next(one[1][0] for one in net.links if one[0][0] == source)

    def four_ways():
        told = lab.run(["ovs-ofctl", "-O", "OpenFlow15", "dump-groups", first]).stdout
        groups = [line for line in told.splitlines() if "type=select" in line]
        return any(len(set(re.findall(r"set_field:(\S+?)/", line))) == 4 for line in groups)

    mininet.until(four_ways, "the policy's four paths")
    shares = mininet.until(
        lambda: (seen := grown(lab, net, core, source, target)) and min(seen) > 50 and seen,
        "that every switch of the core carries its share",
    )
    assert max(shares) < CONNECTIONS / 2
