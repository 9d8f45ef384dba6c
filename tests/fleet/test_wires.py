# SPDX-License-Identifier: Apache-2.0
"""Wires between bridges, relays in links, and links that are cut, silenced and mended."""

import os
import select
import signal

import msgspec
import pytest

from vneter_sdn.errors import IntentError, NotFound, SouthboundError
from vneter_sdn.fleet.controller import deregister, host_manifest, link_manifest, register
from vneter_sdn.fleet.host import vsctl
from vneter_sdn.fleet.lifecycle import bring_up, links, status, tear_down
from vneter_sdn.fleet.strands import between, link_status, relay_pid, set_state
from vneter_sdn.fleet.system import ip_batch, namespaces, processes_of, run
from vneter_sdn.fleet.topology import Link, Topology, work_out
from vneter_sdn.model.kinds import HostSpec, LinkSpec

pytestmark = pytest.mark.fleet
SLOW = {"latency": 5.0, "jitter": 1.0}
CHAIN = Topology(
    hosts=("h1", "h2", "h3"),
    links=(Link(ends=("h1", "h2")), Link(ends=("h2", "h3"), **SLOW)),
)


def learning(hosts):
    """Bridges that switch by themselves, with an address in each host to ping."""
    for number, host in enumerate(hosts, 1):
        vsctl(host, "set", "Bridge", "br-int", "fail_mode=standalone")
        ip_batch([f"address replace 10.9.0.{number}/24 dev br-int"], host.netns)
        ip_batch(["link set dev br-int mtu 1500 up"], host.netns)
        run(["sysctl", "-qw", "net.ipv4.conf.br-int.arp_ignore=0"], netns=host.netns)


def reaches(source, number, count=3):
    """The shortest round trip in milliseconds, None when nothing answers."""
    words = ["ping", "-c", str(count), "-i", "0.05", "-W", "1", f"10.9.0.{number}"]
    try:
        said = run(words, netns=source.netns)
    except SouthboundError:
        return None
    return float(said.rpartition("= ")[2].split("/")[0])


def states(layout):
    return {link.name: link.state for link in link_status(layout, links(layout))}


def test_wires_join_bridges_and_no_underlay_is_needed(layout):
    hosts = bring_up(layout, CHAIN)
    assert [host.wires for host in hosts] == [("w-h2",), ("w-h1", "w-h3"), ("w-h2",)]
    assert all(host.ready and not host.addresses for host in status(layout))
    assert set(vsctl(hosts[1], "list-ports", "br-int").split()) == {"w-h1", "w-h3"}
    assert vsctl(hosts[1], "get", "Bridge", "br-int", "fail_mode").strip() == "secure"
    learning(hosts)
    assert reaches(hosts[0], 2)
    assert reaches(hosts[0], 3) >= 8

    tear_down(layout)
    assert (namespaces(layout), processes_of(layout)) == ([], [])


def test_links_are_cut_silenced_and_mended(layout):
    hosts = bring_up(layout, CHAIN)
    learning(hosts)
    assert states(layout) == {"h1-h2": "up", "h2-h3": "up"}
    for names in (("h1", "h2"), ("h3", "h2")):
        chosen = between(links(layout), *names)
        for state, carrier in (("down", "down"), ("silent", "up"), ("up", "up")):
            set_state(chosen, state)
            assert states(layout)[chosen[0].name] == state
            seen = link_of(hosts[1], chosen[0], carrier)
            assert seen == carrier
            if state == "up":
                assert any(reaches(hosts[0], 3) for _ in range(20))
            else:
                assert reaches(hosts[0], 3) is None


def link_of(host, strand, expected):
    """What Open vSwitch says of the wire's port, once it says what is expected."""
    port = strand.places[strand.ends.index(host.name)][1]
    vsctl(host, "wait-until", "Interface", port, f"link_state={expected}")
    return vsctl(host, "get", "Interface", port, "link_state").strip()


def test_up_again_changes_numbers_only_and_mends(layout):
    bring_up(layout, CHAIN)
    relayed = between(links(layout), "h2-h3")[0]
    before = relay_pid(layout, relayed)
    set_state(links(layout), "down")

    bring_up(layout, CHAIN)
    assert relay_pid(layout, relayed) == before
    assert set(states(layout).values()) == {"up"}

    held = os.pidfd_open(before)
    os.kill(before, signal.SIGKILL)
    assert select.select([held], [], [], 5)[0]
    os.close(held)
    assert states(layout)["h2-h3"] == "broken"
    bring_up(layout, CHAIN)
    assert states(layout)["h2-h3"] == "up"

    after = relay_pid(layout, relayed)
    slower = Link(ends=("h2", "h3"), latency=20.0)
    hosts = bring_up(layout, msgspec.structs.replace(CHAIN, links=(CHAIN.links[0], slower)))
    assert relay_pid(layout, relayed) != after
    learning(hosts)
    assert reaches(hosts[1], 3) >= 40
    with pytest.raises(IntentError, match="other hosts or wires"):
        bring_up(layout, msgspec.structs.replace(CHAIN, links=(("h1", "h2"), slower)))


def test_underlay_links_have_relays_too(layout):
    topology = Topology(
        hosts=("h1", "h2", "h3"),
        switches=("a", "b"),
        links=(
            Link(ends=("h1", "a"), latency=3.0),
            Link(ends=("a", "b"), latency=4.0),
            ("h2", "b"),
            ("h3", "a"),
            Link(ends=("h2", "h3"), medium="tunnel", latency=2.0),
        ),
    )
    hosts = bring_up(layout, topology)

    def trip(source, address):
        said = run(["ping", "-c", "3", "-i", "0.05", address], netns=source.netns)
        return float(said.rpartition("= ")[2].split("/")[0])

    assert trip(hosts[0], hosts[1].addresses[0]) >= 14
    assert trip(hosts[2], hosts[1].addresses[0]) >= 8
    assert trip(hosts[2], hosts[1].addresses[1]) >= 4
    assert set(states(layout).values()) == {"up"}


def test_hosts_and_wires_are_told_as_objects(layout, controller):
    slow = msgspec.structs.replace(CHAIN, links=(Link(ends=("h1", "h2"), capacity=10.0),) * 2)
    slow = msgspec.structs.replace(slow, hosts=("h1", "h2"))
    hosts = bring_up(layout, slow, "dummy")
    register(controller, hosts)
    spec = host_manifest(hosts[0])["spec"]
    assert "tunnelAddresses" not in spec
    assert msgspec.convert(spec, HostSpec).tunnel_addresses == ()
    made = [link_manifest(wire) for wire in work_out(slow).wires]
    assert [one["metadata"]["name"] for one in made] == ["h1-h2", "h1-h2.2"]
    told = [msgspec.convert(one["spec"], LinkSpec) for one in made]
    assert [(one.source_port, one.target_port) for one in told] == [
        ("w-h2", "w-h1"),
        ("w-h2.2", "w-h1.2"),
    ]
    assert {(one.medium, one.capacity_mbps) for one in told} == {("wire", 10.0)}

    other = {"source": "x1", "target": "x2"}
    controller.apply([*made, {"kind": "Link", "metadata": {"name": "x1-x2"}, "spec": other}])
    deregister(controller, hosts)
    assert list(controller.objects) == [("Link", "", "x1-x2")]


def test_a_link_that_is_not_there_is_named_with_those_that_are(layout):
    bring_up(layout, CHAIN, "dummy")
    with pytest.raises(NotFound, match="between h1 and h3; there are: h1-h2, h2-h3"):
        between(links(layout), "h1", "h3")
