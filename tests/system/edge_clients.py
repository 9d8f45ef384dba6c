# SPDX-License-Identifier: Apache-2.0
"""The clients that workloads come with, of DHCP and of DNS, and a DNS server elsewhere."""

import contextlib
import select
import socket
import subprocess
import threading
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from vneter_sdn.southbound.openflow import dns_message
from vneter_sdn.southbound.openflow.dns_message import Kind, Record

SCRIPT = """#!/bin/sh
# Writes down what a client was told, and does the least of it.
env >"$0.$$" && mv "$0.$$" "$0.${reason:-$1}"
ip=${new_ip_address:-$ip}
[ -z "$ip" ] || ip -4 address replace "$ip/${new_subnet_mask:-$subnet}" dev "$interface"
exit 0
"""
ASKED = "subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, host-name, "
ASKED += "interface-mtu, ntp-servers, rfc3442-classless-static-routes, domain-search"


class Upstream(threading.Thread):
    """A DNS server elsewhere, for ``names``: by name, addresses."""

    def __init__(self):
        super().__init__(daemon=True)
        self.names, self.asked, self.ending = {}, [], threading.Event()
        self.socket, self.listener = self._bound()
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.start()

    @staticmethod
    def _bound():
        """Sockets for UDP and TCP on one port."""
        while True:
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                return datagrams, socket.create_server(datagrams.getsockname())
            datagrams.close()

    def run(self):
        while not self.ending.is_set():
            for ready in select.select([self.socket, self.listener], [], [], 0.2)[0]:
                if ready is self.socket:
                    asked, who = self.socket.recvfrom(4096)
                    for told in self.answers(dns_message.decode(asked), 512):
                        wrong = bytes((told[0] ^ 1,)) + told[1:]  # as one who guesses sends
                        self.socket.sendto(wrong, who)
                        self.socket.sendto(told, who)
                else:
                    self.by_tcp(self.listener.accept()[0])

    def by_tcp(self, asking):
        with asking:
            size = int.from_bytes(asking.recv(2), "big")
            asked = dns_message.decode(asking.recv(size))
            for told in self.answers(asked, 65_535):
                asking.sendall(len(told).to_bytes(2, "big") + told)

    def answers(self, asked, limit):
        name = ".".join(label.decode() for label in asked.question.name)
        self.asked.append(name)
        if name.startswith("silent"):
            return
        kind = asked.question.kind
        found = [ip_address(one) for one in self.names.get(name, ())]
        records = tuple(
            Record(asked.question.name, kind, one.packed, 60)
            for one in found
            if (one.version == 6) == (kind == Kind.AAAA)
        )
        said = replace(asked, answer=True, result=0 if found else 3, answers=records, others=())
        if len(dns_message.encode(said)) > limit:
            said = replace(said, truncated=True, answers=())
        yield dns_message.encode(said)

    def close(self):
        self.ending.set()
        self.join()
        self.socket.close()
        self.listener.close()


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


def dig(fleet, identity, *words, server="10.0.0.1", result="NOERROR"):
    """What ``dig`` has found: the values of records."""
    told = fleet.netns(identity, "dig", f"@{server}", "+tries=2", "+time=4", *words).stdout
    assert f"status: {result}" in told, told
    answers = told.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    return sorted(line.split()[-1] for line in answers.splitlines())
