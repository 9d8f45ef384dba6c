# SPDX-License-Identifier: Apache-2.0
"""Bridges of one Open vSwitch share its connection tracker: paths are pinned there as elsewhere."""

import re
import time

import pytest

from vneter_sdn.pipeline.tables import table

SERVER = """
import socket, threading
def answer(peer):
    while data := peer.recv(100):
        peer.sendall(data)
listening = socket.create_server(("", 7000), backlog=200)
while True:
    threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
"""
CLIENT = """
import socket, sys
peers = [socket.create_connection((sys.argv[1], 7000), timeout=20) for _ in range(60)]
for turn in range(5):
    for peer in peers:
        peer.sendall(b"x" * 50)
    for peer in peers:
        assert len(peer.recv(50, socket.MSG_WAITALL)) == 50
print("answered", len(peers))
"""
ENTRY = re.compile(r"^tcp,.*dport=7000.*mark=(\d+)", re.M)


@pytest.fixture(scope="module")
def net(lab, mininet, controller):
    """Leaves and spines, and two hosts that know each other."""
    with mininet.network(lab, "topologies/leaf-spine.yaml", bw="off", delay="off") as made:
        mininet.until(lambda: controller.edges() == made.edges, "the graph")
        mininet.until(lambda: made.ping("h1", "h8"), "that h1 reaches h8")
        for name, text in (("server", SERVER), ("client", CLIENT)):
            lab.run(["sh", "-c", f'printf %s "$1" >/run/{name}.py', "sh", text])
        yield made


def carried(net, spine):
    """Packets that a spine sent on to the leaf of h8."""
    told = net.run(spine, f"ovs-ofctl -O OpenFlow15 dump-ports {spine} {spine}-eth4")
    return int(re.search(r"tx pkts=(\d+)", told)[1])


def tracked(lab):
    """The marks of all connections that are known."""
    return ENTRY.findall(lab.run(["ovs-appctl", "dpctl/dump-conntrack"]).stdout)


def forgotten(lab):
    """Forget all connections; whether none sent anything more for a second."""
    lab.run(["ovs-appctl", "dpctl/flush-conntrack"])
    time.sleep(1)
    return not tracked(lab)


def test_connections_are_spread_and_pinned_with_one_tracker(lab, mininet, controller, net):
    policy = {"apiVersion": "vneter.io/v1", "kind": "PathPolicy", "metadata": {"name": "wide"},
              "spec": {"paths": 2, "ports": ["tcp/7000"], "objective": "hops"}}  # fmt: skip
    controller.client.apply([policy])
    chosen = f"ovs-ofctl -O OpenFlow15 dump-flows leaf1 table={table('path').id}"
    mininet.until(lambda: "group:" in net.run("leaf1", chosen), "the policy's flows")
    net.run("h8", "/usr/bin/python3 /run/server.py >/dev/null 2>&1 &")
    client = f"/usr/bin/python3 /run/client.py {net.hosts['h8']['ip']} 2>&1"
    mininet.until(lambda: "answered" in net.run("h1", client), "a first run")
    mininet.until(lambda: forgotten(lab), "the last packets of the first run")
    before = [carried(net, spine) for spine in ("spine1", "spine2")]
    assert "answered 60" in net.run("h1", client)
    after = [carried(net, spine) for spine in ("spine1", "spine2")]
    assert all(now - then > 100 for now, then in zip(after, before, strict=True))
    marks = tracked(lab)
    assert len(marks) == 60, "one entry for each: both ends see the same"
    assert len(set(marks)) == 2
