# SPDX-License-Identifier: Apache-2.0
"""What workloads expect of their router, asked by the kernel and the programs they come with.

::

    wide    1400  stateful   a on h1, b on h2     fd00:0:0:1::/64, 10.0.1.0/24
    narrow  1300  stateless  c on h2              fd00:0:0:2::/64, 10.0.2.0/24
    formed  1360  slaac      d on h1              fd00:0:0:3::/64, 10.0.3.0/24
"""

import contextlib
import re
import subprocess
import sys
import urllib.request
from dataclasses import replace
from ipaddress import IPv6Address, ip_interface
from pathlib import Path

import pytest

from vneter_sdn.model.addresses import formed, link_local, mac_number, mac_text
from vneter_sdn.southbound.openflow import neighbours, router
from vneter_sdn.southbound.openflow.datagram import Datagram, written
from vneter_sdn.southbound.openflow.icmp6 import ALL_NODES, ALL_NODES_MAC, Ends6, framed

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
NETWORKS = {
    "wide": (1, 1400, {"mode": "stateful", "search": ["example.com"]}),
    "narrow": (2, 1300, {"mode": "stateless", "dnsServers": ["2001:db8::53"]}),
    "formed": (3, 1360, {"mode": "slaac", "preference": "high", "intervalSeconds": 4}),
}
PLACES = {"a": ("wide", "h1"), "b": ("wide", "h2"), "c": ("narrow", "h2"), "d": ("formed", "h1")}
SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for frame in sys.argv[1:]:
    out.send(bytes.fromhex(frame))
"""
SERVE = """
import socket
with socket.create_server(("", 7000), family=socket.AF_INET) as door:
    print("ready", flush=True)
    with door.accept()[0] as one:
        print(sum(iter(lambda: len(one.recv(65536)), 0)), flush=True)
"""
TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), 10) as out:
    out.sendall(bytes(1 << 20))
"""
SCRIPT = """#!/bin/sh
env >"$0.$$" && mv "$0.$$" "$0.$reason"
exit 0
"""


def network(name, **more):
    """The manifest of one; ``more``: of ``ra``."""
    number, mtu, ra = NETWORKS[name]
    return {
        "apiVersion": "vneter.io/v1",
        "kind": "Network",
        "metadata": {"name": name, "tenant": "red"},
        "spec": {
            "prefixes": [f"10.0.{number}.0/24", f"fd00:0:0:{number}::/64"],
            "mtu": mtu,
            "ra": {**ra, **more},
            "dns": {},
            "proxyNeighbours": name == "wide",
        },
    }


@pytest.fixture(scope="module")
def fleet(shared_fleet_with):
    with shared_fleet_with("--policy-count-interval", "0.3") as made:
        made.up(2)
        networks = [network(name) for name in NETWORKS]
        made.controller.client.apply([made.manifest("Tenant", "red"), *networks])
        made.attach(*(("red", name, network, host) for name, (network, host) in PLACES.items()))
        made.settle()
        yield made


def address(fleet, name, family=4):
    found = (ip_interface(one).ip for one in fleet.records[f"red/{name}"].addresses)
    return str(next(one for one in found if one.version == family))


def inside(fleet, name, *words, check=True):
    """What a command in a workload says."""
    done = fleet.netns(f"red/{name}", *words, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def gateway_mac(fleet, name):
    gateway = f"10.0.{NETWORKS[PLACES[name][0]][0]}.1"
    inside(fleet, name, "ping", "-c", "1", "-W", "5", gateway)
    told = inside(fleet, name, "ip", "neighbour", "show", "dev", "eth0")
    return mac_number(re.search(r"10\.0\.\d\.1 lladdr (\S+)", told).group(1))


@contextlib.contextmanager
def unconfigured(fleet, name, **sysctls):
    """A workload without IPv6 addresses, whose kernel looks for routers by itself."""
    wanted = {"accept_ra": 2, "autoconf": 1, "router_solicitations": 5, **sysctls}
    values = {f"net.ipv6.conf.eth0.{one}": value for one, value in wanted.items()}
    before = {one: inside(fleet, name, "sysctl", "-n", one).strip() for one in values}
    kept = inside(
        fleet, name, "ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global"
    )
    kept = re.findall(r"inet6 (\S+)", kept)
    inside(fleet, name, "ip", "link", "set", "eth0", "down")
    for one, value in values.items():
        inside(fleet, name, "sysctl", "-qw", f"{one}={value}")
    inside(fleet, name, "ip", "link", "set", "eth0", "up")
    gateway = f"10.0.{NETWORKS[PLACES[name][0]][0]}.1"
    inside(fleet, name, "ip", "route", "replace", "default", "via", gateway)
    try:
        yield
    finally:
        for one, value in before.items():
            inside(fleet, name, "sysctl", "-qw", f"{one}={value}")
        inside(fleet, name, "ip", "-6", "route", "flush", "proto", "ra")
        for one in kept:
            inside(fleet, name, "ip", "address", "replace", one, "dev", "eth0", "nodad")
        via = f"fd00:0:0:{NETWORKS[PLACES[name][0]][0]}::1"
        inside(fleet, name, "ip", "-6", "route", "replace", "default", "via", via)


def formed_by(fleet, name):
    prefix = ip_interface(f"fd00:0:0:{NETWORKS[PLACES[name][0]][0]}::/64").network
    return str(formed(prefix, mac_number(fleet.records[f"red/{name}"].mac)))


def by_router(fleet, name):
    """The default route that the kernel was told of; waits for it."""
    words = ("ip", "-6", "route", "show", "default", "proto", "ra")
    return fleet.until(lambda: inside(fleet, name, *words), what="a default route")


def test_the_kernel_forms_the_address_that_the_endpoint_has(fleet):
    with unconfigured(fleet, "d"):
        told = by_router(fleet, "d")
        own = formed_by(fleet, "d")
        assert own == address(fleet, "d", 6)
        words = ("ip", "-6", "address", "show", "dev", "eth0", "dynamic", "-tentative")
        fleet.until(lambda: f"{own}/64" in inside(fleet, "d", *words))
        assert f"via {link_local(gateway_mac(fleet, 'd'))} " in told
        assert "pref high" in told
        assert inside(fleet, "d", "sysctl", "-n", "net.ipv6.conf.eth0.mtu").strip() == "1360"
        inside(fleet, "d", "ping", "-c", "1", "-W", "5", address(fleet, "a", 6))


def test_a_router_is_heard_of_unasked_until_it_is_none_any_more(fleet):
    with unconfigured(fleet, "d", router_solicitations=0):
        by_router(fleet, "d")
        fleet.controller.client.apply([network("formed", enabled=False)])
        words = ("ip", "-6", "route", "show", "default", "proto", "ra")
        fleet.until(lambda: not inside(fleet, "d", *words), what="the end of the route")
        assert formed_by(fleet, "d") in inside(fleet, "d", "ip", "-6", "address", "show")
        fleet.controller.client.apply([network("formed")])
        by_router(fleet, "d")


def test_where_dhcp_gives_addresses_the_kernel_forms_none(fleet):
    with unconfigured(fleet, "a"):
        assert f"via {link_local(gateway_mac(fleet, 'a'))} " in by_router(fleet, "a")
        told = inside(fleet, "a", "ip", "-6", "address", "show", "dev", "eth0", "scope", "global")
        assert told == ""


def test_what_routers_say_is_read_by_others(fleet):
    told = inside(fleet, "a", "rdisc6", "-1", "eth0")
    for words in (
        r"Stateful address conf\. +: +Yes",
        r"Stateful other conf\. +: +Yes",
        r"Router lifetime +: +9000 ",
        r"Prefix +: fd00:0:0:1::/64",
        r"Autonomous address conf\.: +No",
        r"Recursive DNS server +: fd00:0:0:1::1",
        r"DNS search list +: example\.com",
        r"MTU +: +1400 bytes",
        r"Source link-layer address: \S+",
    ):
        assert re.search(words, told), (words, told)
    assert "Recursive DNS server     : 2001:db8::53" in inside(fleet, "c", "rdisc6", "-1", "eth0")


@contextlib.contextmanager
def dhclient(fleet, name, directory, *words):
    """A DHCPv6 client; gives a function that waits for what it was told."""
    script, config = directory / "script", directory / "conf"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    config.write_text("request dhcp6.name-servers, dhcp6.domain-search;\n")
    files = ("-cf", config, "-lf", directory / "leases", "-pf", directory / "pid", "-sf", script)
    netns = f"--net=/run/netns/{fleet.records[f'red/{name}'].netns}"
    call = ["nsenter", netns, "--", "dhclient", "-6", "-d", *map(str, files), *words, "eth0"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def told(when):
        file = Path(f"{script}.{when}")
        fleet.until(file.exists, what=f"{when} of {name}")
        lines = file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    try:
        yield told
    finally:
        process.kill()
        process.wait()


def test_dhcpv6_gives_the_address_that_the_endpoint_has(fleet, tmp_path):
    with dhclient(fleet, "b", tmp_path) as told:
        bound = told("BOUND6")
    assert bound["new_ip6_address"] == address(fleet, "b", 6)
    assert bound["new_dhcp6_name_servers"] == "fd00:0:0:1::1"
    assert bound["new_dhcp6_domain_search"].startswith("example.com")
    assert (bound["new_preferred_life"], bound["new_max_life"]) == ("604800", "2592000")


def test_a_lease_is_renewed_and_outlives_a_controller(fleet, tmp_path):
    """By its server's DUID, so whoever answers now has the same one."""
    fleet.controller.client.apply([network("wide", preferredSeconds=12)])
    with dhclient(fleet, "b", tmp_path) as told:
        bound = told("BOUND6")
        fleet.controller.kill()
        fleet.controller.start(*fleet.options)
        fleet.controller.await_synced(["h1", "h2"])
        renewed = told("RENEW6")
    names = ("new_ip6_address", "new_dhcp6_server_id", "new_max_life")
    assert [renewed[one] for one in names] == [bound[one] for one in names]
    assert renewed["new_ip6_address"] == address(fleet, "b", 6)
    fleet.controller.client.apply([network("wide")])


def test_dhcpv6_says_the_rest_where_addresses_are_formed(fleet, tmp_path):
    with dhclient(fleet, "c", tmp_path, "-S") as told:
        assert told("RENEW6")["new_dhcp6_name_servers"] == "2001:db8::53"


@pytest.mark.parametrize("family", [4, 6])
def test_who_traces_sees_the_router_and_the_target(fleet, family):
    target, own = address(fleet, "c", family), {4: "10.0.1.1", 6: "fd00:0:0:1::1"}[family]
    for words in ((), ("-I",), ("-T", "-p", "80")):
        told = inside(fleet, "a", "traceroute", f"-{family}", "-n", "-w", "5", *words, target)
        hops = [line.split() for line in told.splitlines()[1:]]
        assert [hop[1] for hop in hops] == [own, target], told


@pytest.mark.parametrize("family", [4, 6])
def test_who_sends_to_nobody_is_told_so(fleet, family):
    nowhere = {4: ("10.9.9.9", "Net Unreachable"), 6: ("2001:db8::9", "No route")}
    absent = {4: ("10.0.2.77", "Host Unreachable"), 6: ("fd00:0:0:2::77", "Address unreachable")}
    for target, words in (nowhere[family], absent[family]):
        told = inside(fleet, "a", "ping", "-c", "1", "-W", "5", target, check=False)
        assert words in told, told
    mark = {4: "!H", 6: "!H"}[family]
    told = inside(fleet, "a", "traceroute", f"-{family}", "-n", "-w", "5", absent[family][0])
    assert mark in told.splitlines()[-1], told


@pytest.mark.parametrize("family", [4, 6])
def test_gateways_say_that_nobody_listens(fleet, family):
    own, other = {4: ("10.0.1.1", "10.0.2.1"), 6: ("fd00:0:0:1::1", "fd00:0:0:2::1")}[family]
    for target in (own, other):
        inside(fleet, "a", "ping", "-c", "1", "-W", "5", "-t", "1", target)
        connect = f"import socket; socket.create_connection(({target!r}, 81), 10)"
        told = inside(fleet, "a", sys.executable, "-c", connect, check=False)
        assert "Connection refused" in told, told
        told = inside(fleet, "a", "traceroute", f"-{family}", "-n", "-w", "5", target)
        assert [line.split()[1] for line in told.splitlines()[1:]] == [target], told


def test_nothing_is_said_of_what_is_for_everybody_of_another_network(fleet):
    for target in ("10.0.2.255", "10.0.2.0"):
        told = inside(fleet, "a", "ping", "-b", "-c", "2", "-W", "2", target, check=False)
        assert "100% packet loss" in told
        assert "From" not in told, told


@pytest.mark.parametrize("family", [4, 6])
def test_senders_learn_how_long_packets_may_be(fleet, family):
    target, head = address(fleet, "c", family), {4: 28, 6: 48}[family]
    inside(fleet, "a", "ip", f"-{family}", "route", "flush", "cache")
    whole = ("ping", "-M", "do", "-c", "1", "-W", "5")
    inside(fleet, "a", *whole, "-s", str(1300 - head), target)
    told = inside(fleet, "a", *whole, "-s", str(1400 - head), target, check=False)
    assert re.search(r"mtu[ =]*1300", told), told
    assert "mtu 1300" in inside(fleet, "a", "ip", "route", "get", target)
    if family == 4:
        told = inside(fleet, "a", *whole, "-s", str(1400 - head), target, check=False)
        assert "message too long, mtu=1300" in told
    inside(fleet, "a", "ping", "-c", "1", "-W", "5", "-s", str(1400 - head), target)


def test_the_other_way_nothing_is_too_long(fleet):
    inside(fleet, "c", "ping", "-M", "do", "-c", "1", "-W", "5", "-s", "1272", address(fleet, "a"))


def test_a_transfer_adapts_to_the_path(fleet):
    """The receiver says that it takes longer segments than its network does."""
    target = address(fleet, "c")
    inside(fleet, "a", "ip", "route", "flush", "cache")
    inside(fleet, "c", "ip", "route", "replace", "default", "via", "10.0.2.1", "advmss", "1360")
    before = complained(fleet, "too_long")
    netns = f"--net=/run/netns/{fleet.records['red/c'].netns}"
    words = ["nsenter", netns, "--", sys.executable, "-c", SERVE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "ready\n"
        inside(fleet, "a", sys.executable, "-c", TALK, target)
        assert server.stdout.readline() == f"{1 << 20}\n"
    assert complained(fleet, "too_long") > before
    assert "mtu 1300" in inside(fleet, "a", "ip", "route", "get", target)


def metrics(fleet):
    with urllib.request.urlopen(f"http://{fleet.metrics}/metrics", timeout=10) as answer:
        return answer.read().decode()


def complained(fleet, fault):
    words = rf'vneter_icmp_errors_total{{fault="{fault}",outcome="answered"}} (\S+)'
    return int(float((re.findall(words, metrics(fleet)) or [0])[0]))


def test_an_address_that_somebody_has_is_not_taken(fleet):
    taken = address(fleet, "b", 6)
    inside(fleet, "a", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1")
    inside(fleet, "a", "ip", "address", "add", f"{taken}/64", "dev", "eth0")
    inside(fleet, "a", "ip", "address", "add", "fd00:0:0:1::1/64", "dev", "eth0")
    show = ("ip", "-6", "address", "show", "dev", "eth0")
    try:
        for one in (taken, "fd00:0:0:1::1"):
            words = rf"inet6 {one}/64 .*dadfailed"
            fleet.until(lambda words=words: re.search(words, inside(fleet, "a", *show)))
    finally:
        for one in (taken, "fd00:0:0:1::1"):
            inside(fleet, "a", "ip", "address", "delete", f"{one}/64", "dev", "eth0")
    own = address(fleet, "a", 6)
    inside(fleet, "a", "ip", "address", "delete", f"{own}/64", "dev", "eth0", check=False)
    inside(fleet, "a", "ip", "address", "replace", f"{own}/64", "dev", "eth0")
    fleet.until(lambda: "tentative" not in inside(fleet, "a", *show))
    assert "dadfailed" not in inside(fleet, "a", *show)
    inside(fleet, "a", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")


def test_the_gateway_speaks_for_other_networks_where_it_was_asked_to(fleet):
    for family, there in ((4, "10.0.2.0/24"), (6, "fd00:0:0:2::/64")):
        inside(fleet, "a", "ip", f"-{family}", "route", "add", there, "dev", "eth0")
        try:
            inside(fleet, "a", "ping", "-c", "1", "-W", "5", address(fleet, "c", family))
        finally:
            inside(fleet, "a", "ip", f"-{family}", "route", "del", there, "dev", "eth0")


def behind(frame, kind, header):
    """A frame of IPv6 with an extension header before what it is about."""
    size = int.from_bytes(frame[18:20], "big") + len(header)
    head = frame[:18] + size.to_bytes(2, "big") + bytes((kind,)) + frame[21:54]
    return head + header + frame[54:]


def lies(fleet):
    """By kind: frames of ``a`` that claim what is not its own, and what they say to whom."""
    mac, other = (mac_number(fleet.records[f"red/{name}"].mac) for name in "ab")
    theirs, ours = IPv6Address(address(fleet, "b", 6)), IPv6Address(address(fleet, "a", 6))
    everybody = Ends6(mac, ALL_NODES_MAC, link_local(mac), ALL_NODES)
    advertised = router.Advertisement(lifetime=1800, source_mac=mac)
    claimed = neighbours.Advertisement(theirs, override=True, target_mac=mac)
    told = Datagram(mac, other, link_local(mac), link_local(other), 547, 546, b"\7\0\0\1")
    aimed = everybody._replace(eth_dst=other)
    rogue = framed(aimed, router.written_advertisement(advertised))
    return {
        "router": [
            framed(everybody, router.written_advertisement(advertised)),
            framed(everybody, bytes((137, 0)) + bytes(38)),
            behind(rogue, 60, bytes((58, 0, 1, 4, 0, 0, 0, 0))),
        ],
        "neighbour": [
            framed(everybody, neighbours.written_advertisement(claimed)),
            framed(
                Ends6(mac, other, ours, theirs),
                neighbours.written_solicitation(neighbours.Solicitation(theirs, other)),
            ),
            behind(rogue, 44, bytes((58, 0, 0, 1, 0, 0, 0, 7))),
            framed(
                aimed._replace(source=ours, target=theirs),
                neighbours.written_solicitation(neighbours.Solicitation(theirs, other))
                + router.mac_option(router.SOURCE_MAC, mac),
            ),
        ],
        "dhcp": [written(told), written(replace(told, source_port=4711))],
        "address": [
            framed(Ends6(mac, other, theirs, theirs), bytes((128, 0)) + bytes(6), 64),
            framed(Ends6(other, other, ours, theirs), bytes((128, 0)) + bytes(6), 64),
        ],
        "frame": [
            bytes.fromhex(mac_text(other).replace(":", "")) + bytes(5) + b"\x07\x88\xb5",
            rogue[:12] + bytes.fromhex("81000000") + rogue[12:],
            rogue[:12] + bytes.fromhex("88a8000181000001") + rogue[12:],
            behind(rogue, 44, bytes((60, 0, 0, 1, 0, 0, 0, 7, 58, 9, 0, 0, 0, 0, 0, 0))),
        ],
    }


def conditions(report):
    return report["status"]["conditions"]


def spoofed(fleet, name):
    """What an endpoint tried, by kind."""
    words = rf'vneter_spoofed_packets_total{{endpoint="{name}",kind="(\w+)",tenant="red"}} (\S+)'
    return {kind: int(float(count)) for kind, count in re.findall(words, metrics(fleet))}


def test_lies_are_dropped_and_counted(fleet):
    """None of them has any effect on the other, nor is anything counted of whoever is honest."""
    received = ("cat", "/sys/class/net/eth0/statistics/rx_packets")
    before, count = spoofed(fleet, "a"), int(inside(fleet, "b", *received))
    told = lies(fleet)
    frames = [frame.hex() for some in told.values() for frame in some]
    inside(fleet, "a", sys.executable, "-c", SEND, *frames)
    expected = {kind: before.get(kind, 0) + len(some) for kind, some in told.items()}
    fleet.until(lambda: spoofed(fleet, "a") == expected, what=f"the count {expected}")
    assert int(inside(fleet, "b", *received)) == count
    report = {}

    def is_reported():
        report.update(fleet.controller.client.get("Endpoint", "red", "a"))
        return report["status"].get("refused") == expected

    fleet.until(is_reported, what="the report")
    assert any(one["type"] == "Ready" and one["status"] == "True" for one in conditions(report))
    assert spoofed(fleet, "c") == {}
