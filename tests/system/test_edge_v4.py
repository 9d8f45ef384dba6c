# SPDX-License-Identifier: Apache-2.0
"""What workloads expect of their network, asked by the clients they come with: DHCP and DNS."""

import contextlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
SCRIPT = """#!/bin/sh
# Writes down what a client was told, and does the least of it.
env >"$0.$$" && mv "$0.$$" "$0.${reason:-$1}"
ip=${new_ip_address:-$ip}
[ -z "$ip" ] || ip -4 address replace "$ip/${new_subnet_mask:-$subnet}" dev "$interface"
exit 0
"""
OPTIONS = {
    "leaseSeconds": 3600,
    "ntpServers": ["192.0.2.123"],
    "domain": "example.com",
    "search": ["example.com", "example.net"],
    "routes": [{"prefix": "10.9.0.0/16"}, {"prefix": "10.8.0.0/16", "via": "10.0.0.2"}],
}
ASKED = "subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, host-name, "
ASKED += "interface-mtu, ntp-servers, rfc3442-classless-static-routes, domain-search"


def endpoint(fleet, name, tenant="red"):
    return fleet.manifest("Endpoint", name, tenant, network="net")


@pytest.fixture(scope="module")
def fleet(shared_fleet_with):
    with shared_fleet_with() as made:
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
        made.attach(
            *(
                (tenant, name, "net", host)
                for tenant in ("red", "blue")
                for name, host in (("a", "h1"), ("b", "h2"))
            )
        )
        yield made


def address(fleet, identity):
    found = (one.partition("/")[0] for one in fleet.records[identity].addresses)
    return next(one for one in found if ":" not in one)


class Client:
    """A client of DHCP in a workload that has forgotten its address."""

    def __init__(self, fleet, identity, directory):
        self.fleet, self.identity, self.directory = fleet, identity, directory
        self.script = directory / "script"
        self.script.write_text(SCRIPT)
        self.script.chmod(0o755)
        fleet.netns(identity, "ip", "-4", "address", "flush", "dev", "eth0")

    @contextlib.contextmanager
    def running(self, *words):
        netns = f"--net=/run/netns/{self.fleet.records[self.identity].netns}"
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                ["nsenter", netns, "--", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def told(self, when):
        """What the client told its script at some occasion; waits for it."""
        file = Path(f"{self.script}.{when}")
        self.fleet.until(file.exists, what=f"{when} of {self.identity}")
        lines = file.read_text().splitlines()
        file.unlink()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def dhclient(self, *words):
        config = self.directory / "dhclient.conf"
        config.write_text(
            "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n"
            f"request {ASKED};\ntimeout 20;\nretry 1;\n"
        )
        files = ("-lf", self.directory / "leases", "-pf", self.directory / "pid")
        words = ("-d", "-cf", config, *files, "-sf", self.script, *words)
        return self.running("dhclient", *map(str, words), "eth0")

    def udhcpc(self, *words):
        return self.running("udhcpc", "-f", "-i", "eth0", "-s", str(self.script), *words)


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
