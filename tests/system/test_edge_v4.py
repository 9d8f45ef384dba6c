# SPDX-License-Identifier: Apache-2.0
"""What workloads expect of their network, asked by the clients they come with: DHCP and DNS."""

import contextlib
import re
import select
import signal
import subprocess
import sys
import urllib.request

import pytest
from edge_clients import Client, Upstream, dig

from vneter_sdn.fleet.sockets import open_listener, open_tcp, open_udp
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.pipeline.registers import REFUSED

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
OPTIONS = {
    "leaseSeconds": 3600,
    "ntpServers": ["192.0.2.123"],
    "domain": "example.com",
    "search": ["example.com", "example.net"],
    "routes": [{"prefix": "10.9.0.0/16"}, {"prefix": "10.8.0.0/16", "via": "10.0.0.2"}],
}


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def fleet(shared_fleet_with, upstream):
    with shared_fleet_with("--dns-upstreams", upstream.address) as made:
        made.up(2)
        described = [
            document
            for tenant in ("red", "blue")
            for document in (
                made.manifest("Tenant", tenant),
                made.manifest(
                    "Network", "net", tenant,
                    prefixes=["10.0.0.0/24", "fd00::/64"], mtu=1380, dns={},
                    dhcp=OPTIONS if tenant == "red" else {},
                ),
            )
        ]  # fmt: skip
        made.controller.client.apply(described)
        endpoints = (
            ("red", "a", "h1"),
            ("blue", "x", "h1"),
            ("red", "b", "h2"),
            ("blue", "y", "h2"),
        )
        for tenant, name, host in endpoints:
            one = made.manifest("Endpoint", name, tenant, network="net", host=host)
            one["metadata"]["labels"] = {"name": name}
            made.controller.client.apply([one])
        made.attach(*((tenant, name, "net", host) for tenant, name, host in endpoints))
        yield made


def address(fleet, identity, family=4):
    found = (one.partition("/")[0] for one in fleet.records[identity].addresses)
    return next(one for one in found if (":" in one) == (family == 6))


def became(fleet, service):
    """How many questions came to what, in a word each."""
    with urllib.request.urlopen(f"http://{fleet.metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(
        rf'vneter_edge_questions_total{{outcome="([a-z ]+)",service="{service}"}} (\S+)', text
    ) or [
        (outcome, count)
        for outcome, count in re.findall(
            rf'vneter_edge_questions_total{{service="{service}",outcome="([a-z ]+)"}} (\S+)', text
        )
    ]
    return {outcome: int(float(count)) for outcome, count in found}


@pytest.fixture
def client(fleet, tmp_path):
    def make(identity):
        directory = tmp_path / identity.replace("/", "-")
        directory.mkdir()
        return Client(fleet, identity, directory)

    return make


def test_dhclient_is_told_everything(fleet, client):
    asking = client("red/a")
    with asking.dhclient():
        told = asking.told("BOUND")
    assert told["new_ip_address"] == address(fleet, "red/a")
    assert told["new_subnet_mask"] == "255.255.255.0"
    assert told["new_routers"] == told["new_domain_name_servers"] == "10.0.0.1"
    assert told["new_dhcp_server_identifier"] == "10.0.0.1"
    assert told["new_interface_mtu"] == "1380"
    assert told["new_ntp_servers"] == "192.0.2.123"
    assert told["new_domain_name"] == "example.com"
    assert told["new_domain_search"].split() == ["example.com.", "example.net."]
    assert told["new_host_name"] == "a"
    assert told["new_dhcp_lease_time"] == "3600"
    routes = "16 10 9 10 0 0 1 16 10 8 10 0 0 2 0 10 0 0 1"
    assert told["new_rfc3442_classless_static_routes"] == routes


def test_udhcpc_is_told_what_it_asks_for(fleet, client):
    asking = client("red/b")
    with asking.udhcpc("-O", "mtu", "-O", "ntpsrv", "-O", "staticroutes"):
        told = asking.told("bound")
    assert (told["ip"], told["mask"]) == (address(fleet, "red/b"), "24")
    assert (told["router"], told["mtu"], told["ntpsrv"]) == ("10.0.0.1", "1380", "192.0.2.123")
    assert told["staticroutes"].split()[:2] == ["10.9.0.0/16", "10.0.0.1"]


def test_two_tenants_have_the_same_addresses_and_each_its_own(fleet, client):
    assert address(fleet, "red/a") == address(fleet, "blue/x"), "the test is about that"
    asking = client("blue/x")
    with asking.dhclient():
        told = asking.told("BOUND")
    assert told["new_ip_address"] == address(fleet, "blue/x")
    assert told["new_domain_name"] == "net.blue.internal"
    assert "new_ntp_servers" not in told
    assert dig(fleet, "red/a", "-x", address(fleet, "red/a")) == ["a.net.red.internal."]
    assert dig(fleet, "blue/x", "-x", address(fleet, "red/a")) == ["x.net.blue.internal."]


def test_a_lease_is_renewed_by_the_gateway_and_outlives_a_controller(fleet, client):
    asking = client("red/b")
    with asking.udhcpc() as process:
        asking.told("bound")
        process.send_signal(signal.SIGUSR1)
        assert asking.told("renew")["ip"] == address(fleet, "red/b")
        before = became(fleet, "dhcp")["acknowledged"]
        fleet.controller.kill()
        ping = ("ping", "-c", "1", "-W", "5", address(fleet, "red/b"))
        fleet.netns("red/a", *ping)
        fleet.controller.start(*fleet.options)
        fleet.controller.await_synced(["h1", "h2"])
        process.send_signal(signal.SIGUSR1)
        assert asking.told("renew")["ip"] == address(fleet, "red/b")
        fleet.netns("red/a", *ping)
    assert before >= 2
    assert became(fleet, "dhcp")["acknowledged"] >= 1


def test_names_of_endpoints(fleet):
    four, six = address(fleet, "red/b"), address(fleet, "red/b", 6)
    assert dig(fleet, "red/a", "b.net.red.internal") == [four]
    assert dig(fleet, "red/a", "B.NET.red.Internal", "AAAA") == [six]
    assert dig(fleet, "red/a", "b.net.red.internal", server="fd00::1") == [four]
    assert (
        dig(fleet, "red/a", "-x", four) == dig(fleet, "red/a", "-x", six) == ["b.net.red.internal."]
    )
    assert dig(fleet, "red/a", "-x", "10.0.0.1") == ["gateway.net.red.internal."]
    assert dig(fleet, "red/a", "b.net.red.internal", "MX") == []
    assert dig(fleet, "red/a", "c.net.red.internal", result="NXDOMAIN") == []
    assert dig(fleet, "red/a", "b.net.red.internal", "CH", "TXT", result="REFUSED") == []


def test_names_of_others_are_asked_elsewhere(fleet, upstream):
    upstream.names |= {
        "www.example.org": ["192.0.2.7", "2001:db8::7"],
        "many.example.org": [f"192.0.2.{n}" for n in range(1, 61)],
        "huge.example.org": [f"10.1.{n % 2}.{n}" for n in range(200)],
    }
    assert dig(fleet, "red/a", "www.example.org") == ["192.0.2.7"]
    assert dig(fleet, "blue/y", "www.example.org", "AAAA", server="fd00::1") == ["2001:db8::7"]
    assert dig(fleet, "red/a", "no.example.org", result="NXDOMAIN") == []
    assert len(dig(fleet, "red/a", "many.example.org")) == 60, "by TCP to the server"
    told = fleet.netns("red/a", "dig", "@10.0.0.1", "+ignore", "huge.example.org").stdout
    assert re.search(r"flags:.* tc", told), told
    assert len(dig(fleet, "red/a", "huge.example.org")) == 200, "by TCP, as it was cut short"
    assert dig(fleet, "red/a", "silent.example.org", "+time=9", result="SERVFAIL") == []


@pytest.mark.parametrize("gateway", ["10.0.0.1", "fd00::1"])
def test_names_by_tcp(fleet, upstream, gateway):
    """Also several by one connection; and by TCP nobody else listens there."""
    upstream.names["www.example.org"] = ["192.0.2.7"]
    ours, theirs = "b.net.red.internal", "www.example.org"
    told = dig(fleet, "red/b", "+tcp", "+keepopen", ours, theirs, server=gateway)
    assert told[0] == address(fleet, "red/b")
    assert dig(fleet, "red/b", "+tcp", theirs, server=gateway) == ["192.0.2.7"]
    connect = f"import socket; socket.create_connection(({gateway!r}, 54), 10)"
    words = (sys.executable, "-c", connect)
    assert "refused" in fleet.netns("red/b", *words, check=False).stderr


def test_names_of_a_tenant_are_never_told_to_another(fleet, upstream):
    """They are nobody's here, so somebody elsewhere is asked, who has no idea."""
    assert dig(fleet, "blue/x", "b.net.red.internal", result="NXDOMAIN") == []
    assert "b.net.red.internal" in upstream.asked
    assert dig(fleet, "blue/x", "-x", "10.0.0.200", result="NXDOMAIN") == []


@pytest.fixture
def only(fleet):
    """``only(*rules)``: what ``red/a`` may begin, and nothing else."""

    def apply(*rules):
        about = [{"endpoints": {"matchLabels": {"name": "a"}}}]
        rules = [*rules, {"action": "drop"}]
        policy = fleet.manifest("Policy", "only", "red", appliesTo=about, egress=rules)
        fleet.controller.client.apply([policy])
        fleet.until(lambda: realised(fleet), what="every bridge has the policy")
        fleet.settle()

    yield apply
    fleet.controller.client.delete("Policy", "red", "only")


def realised(fleet):
    policy = fleet.controller.client.get("Policy", "red", "only")
    status = policy.get("status", {})
    if status.get("observedRevision") != policy["metadata"]["revision"]:
        return False
    return any(c["type"] == "Realised" and c["status"] == "True" for c in status["conditions"])


def test_who_may_speak_to_nobody_is_configured_but_asks_no_names(fleet, client, only):
    """DHCP is not about anybody; names are a way to the world."""
    only()
    asking = client("red/a")
    with asking.udhcpc():
        assert asking.told("bound")["ip"] == address(fleet, "red/a")
    words = ("dig", "@10.0.0.1", "+tries=1", "+time=1", "b.net.red.internal")
    assert fleet.netns("red/a", *words, check=False).returncode == 9
    ports = [{"protocol": protocol, "port": 53} for protocol in ("udp", "tcp")]
    only({"peers": [{"cidr": "10.0.0.1/32"}], "ports": ports})
    for words in ((), ("+tcp",)):
        assert dig(fleet, "red/a", *words, "b.net.red.internal") == [address(fleet, "red/b")]


def test_rules_about_names_know_what_the_gateway_answers(fleet, upstream, only):
    """The first connection succeeds, though nobody was told of the address before."""
    target = address(fleet, "red/b")
    upstream.names |= {f"n{port}.example.net": [target] for port in range(8000, 8010)}
    gateway = {"peers": [{"cidr": "10.0.0.1/32"}], "ports": [{"protocol": "udp", "port": 53}]}
    only(
        gateway,
        *(
            {"peers": [{"domain": f"n{port}.example.net"}], "ports": [{"port": port}]}
            for port in range(8000, 8010)
        ),
    )
    with contextlib.ExitStack() as undo:
        for port in range(8000, 8010):
            undo.enter_context(open_listener(fleet.records["red/b"].netns, 4, port))
        for port in range(8000, 8010):
            assert not connects(fleet, target, port, 0.1), "nobody knows it yet"
            assert dig(fleet, "red/a", f"n{port}.example.net") == [target]
            assert connects(fleet, target, port, 0.9), "a SYN that is lost is sent again after 1 s"


def connects(fleet, target, port, wait):
    with open_tcp(fleet.records["red/a"].netns, 4) as trying:
        trying.settimeout(wait)
        with contextlib.suppress(TimeoutError):
            return trying.connect_ex((target, port)) == 0
    return False


STALE = """
import socket, sys
own, target, mac = *sys.argv[1:3], bytes.fromhex(sys.argv[3])
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for one, at in ((asking, own), (hearing, "255.255.255.255")):
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    one.bind((at, 68))
head = bytes.fromhex("01010600") + b"lost" + bytes(4) + socket.inet_aton(own) + bytes(12) + mac
hearing.settimeout(10)
for _ in range(3):
    asking.sendto(head.ljust(236, b"\\0") + bytes.fromhex("63825363350103ff"), (target, 67))
    try:
        told = hearing.recv(1500)
    except TimeoutError:
        continue
    print(told[4:8].decode(), told[240:243].hex())
    break
"""


@pytest.mark.parametrize("target", ["255.255.255.255", "10.0.0.1"])
def test_who_has_another_address_than_its_own_is_told_so(fleet, target):
    """Rebinding and renewing (RFC 2131 §4.3.2); all else that it says from there is dropped."""
    stale, record = "10.0.0.77/24", fleet.records["blue/y"]
    fleet.netns("blue/y", "ping", "-c", "1", "-W", "5", "10.0.0.1")  # its MAC is known from now on
    fleet.netns("blue/y", "ip", "address", "add", stale, "dev", "eth0")
    try:
        words = ("10.0.0.77", target, record.mac.replace(":", ""))
        told = fleet.netns("blue/y", sys.executable, "-c", STALE, *words).stdout
        assert told.split() == ["lost", "350106"]
        ping = ("ping", "-c", "1", "-W", "1", "-I", "10.0.0.77", "10.0.0.1")
        assert fleet.netns("blue/y", *ping, check=False).returncode
    finally:
        fleet.netns("blue/y", "ip", "address", "delete", stale, "dev", "eth0")


FLOOD = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.bind(("", 68))
for n in range(5000):
    s.sendto(bytes.fromhex("01010600") + bytes(300), ("255.255.255.255", 67))
"""


def test_a_flood_starves_nobody_else(fleet, client):
    asking = client("blue/x")
    netns = fleet.records["red/a"].netns
    words = ["nsenter", f"--net=/run/netns/{netns}", "--", sys.executable, "-c", FLOOD]
    before = became(fleet, "dhcp").get("malformed", 0)
    with subprocess.Popen(words) as flooding:
        with asking.dhclient():
            assert asking.told("BOUND")["new_ip_address"] == address(fleet, "blue/x")
        assert flooding.wait() == 0
    assert before < became(fleet, "dhcp")["malformed"] < before + 2500


def test_a_workload_of_the_fleet_may_ask_itself(fleet):
    fleet.attach(("red", "asking", "net", "h1", (), "", True))
    given = fleet.netns("red/asking", "ip", "-4", "-o", "address", "show", "eth0").stdout
    assert f"inet {address(fleet, 'red/asking')}/24" in given
    routes = fleet.netns("red/asking", "ip", "-4", "route").stdout
    assert "10.9.0.0/16 via 10.0.0.1" in routes
    assert "default via 10.0.0.1" in routes
    assert "mtu 1380" in fleet.netns("red/asking", "ip", "link", "show", "eth0").stdout
    fleet.netns("red/asking", "ping", "-c", "1", "-W", "5", address(fleet, "red/b"))


ROGUE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.bind(("", int(sys.argv[1])))
for n in range(10):
    s.sendto(bytes(300), (sys.argv[2], int(sys.argv[3])))
"""


def refused(fleet, host):
    """Packets that endpoints' ports were refused on a host, as the rogue servers' that they are."""
    told = fleet.ofctl(host, "dump-flows", "--names", "table=refused")
    kind = "reg0={:#x}/{:#x}".format(*REFUSED.match(Refusal.DHCP))
    kinds = (line for line in told.splitlines() if kind in line)
    return sum(int(re.search(r"n_packets=(\d+)", line)[1]) for line in kinds)


def test_a_rogue_server_is_dropped_and_counted(fleet):
    """By whichever port it speaks: clients look at no source. What is for others arrives."""
    target, netns = address(fleet, "red/a"), fleet.records["red/b"].netns
    there = fleet.records["red/a"].netns
    before = refused(fleet, "h2")
    with open_udp(there, 4, 68) as client, open_udp(there, 4, 6868) as other:
        for source, port, count in ((67, 68, 10), (4711, 68, 20), (67, 6868, 20)):
            words = ("nsenter", f"--net=/run/netns/{netns}", "--", sys.executable, "-c", ROGUE)
            subprocess.run([*words, str(source), target, str(port)], check=True, timeout=60)
            counted = before + count
            fleet.until(lambda n=counted: refused(fleet, "h2") >= n, what=f"{count} are counted")
        assert select.select([other], [], [], 5)[0]
        assert not select.select([client], [], [], 0)[0]
    assert refused(fleet, "h2") == before + 20
