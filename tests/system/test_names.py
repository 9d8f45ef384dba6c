# SPDX-License-Identifier: Apache-2.0
"""Policies about DNS names on real bridges: who is answered may connect at once."""

import contextlib
import ipaddress
import json
import select
import struct
import threading
import time

import pytest

from vneter_sdn.fleet.sockets import open_listener, open_tcp, open_udp

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
TRIES = 50
FIRST_PORT = 8000
A, AAAA = 1, 28
SOON = 0.9
"""Seconds: a SYN that is lost is sent again after one."""


class Server(threading.Thread):
    """A DNS server for ``names``: by name, an address."""

    def __init__(self, netns):
        super().__init__(daemon=True)
        self.names, self.seconds, self.ending = {}, 60, threading.Event()
        self.socket, self.listener = open_udp(netns, 4, 53), open_listener(netns, 4, 53)
        self.start()

    def run(self):
        while not self.ending.is_set():
            ready = select.select([self.socket, self.listener], [], [], 0.2)[0]
            if self.socket in ready:
                asked, who = self.socket.recvfrom(2000)
                self.socket.sendto(self.answer(asked), who)
            if self.listener in ready:
                with self.listener.accept()[0] as asking:
                    told = self.answer(asking.recv(2000)[2:])
                    asking.sendall(struct.pack("!H", len(told)) + told)

    def answer(self, asked):
        name, at = [], 12
        while asked[at]:
            name.append(asked[at + 1 : at + 1 + asked[at]].decode())
            at += 1 + asked[at]
        question = asked[12 : at + 5]
        address = ipaddress.ip_address(self.names[".".join(name)])
        kind = A if address.version == 4 else AAAA
        data = struct.pack("!HHHIH", 0xC00C, kind, 1, self.seconds, len(address.packed))
        head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
        return head + question + data + address.packed

    def close(self):
        self.ending.set()
        self.join()
        self.socket.close()
        self.listener.close()


def question(name, kind):
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def address(fleet, name, family=4):
    found = [one.partition("/")[0] for one in fleet.records[f"red/{name}"].addresses]
    return next(one for one in found if (":" in one) == (family == 6))


class Client:
    """What an application does: ask, and connect to the answer."""

    def __init__(self, fleet):
        self.fleet, self.netns = fleet, fleet.records["red/client"].netns
        self.server = address(fleet, "dns")

    def resolve(self, name, family=4, wait=5.0):
        """The address, None for no answer within ``wait``; and the seconds it took."""
        with open_udp(self.netns, 4) as asking:
            began = time.monotonic()
            asking.sendto(question(name, A if family == 4 else AAAA), (self.server, 53))
            if not select.select([asking], [], [], wait)[0]:
                return None, wait
            told = asking.recv(2000)
        size = 4 if family == 4 else 16
        return str(ipaddress.ip_address(told[-size:])), time.monotonic() - began

    def resolve_by_tcp(self, name):
        with open_tcp(self.netns, 4) as asking:
            asking.settimeout(5.0)
            asking.connect((self.server, 53))
            asked = question(name, A)
            asking.sendall(struct.pack("!H", len(asked)) + asked)
            return str(ipaddress.ip_address(asking.recv(2000)[-4:]))

    def connects(self, target, port, wait=SOON):
        family = 6 if ":" in target else 4
        with open_tcp(self.netns, family) as client:
            client.settimeout(wait)
            with contextlib.suppress(TimeoutError):
                return client.connect_ex((target, port)) == 0
        return False


@pytest.fixture(scope="module")
def fleet(shared_fleet_with):
    with shared_fleet_with() as made:
        made.up(2)
        network = made.manifest("Network", "net", "red", prefixes=["10.0.0.0/24", "fd00::/64"])
        places = {"client": "h1", "dns": "h1", "web": "h2"}
        endpoints = [made.manifest("Endpoint", name, "red", network="net") for name in places]
        for endpoint in endpoints:
            endpoint["metadata"]["labels"] = {"name": endpoint["metadata"]["name"]}
        made.controller.client.apply([made.manifest("Tenant", "red"), network, *endpoints])
        made.attach(*(("red", name, "net", host) for name, host in places.items()))
        yield made


@pytest.fixture
def server(fleet):
    made = Server(fleet.records["red/dns"].netns)
    yield made
    made.close()


@pytest.fixture
def only(fleet):
    """``only({"www.example.com": 80})``: ``client`` may connect to these, and ask ``dns``."""

    def apply(domains):
        dns = {"peers": [{"endpoints": {"matchLabels": {"name": "dns"}}}], "action": "allow"}
        named = [
            {"peers": [{"domain": domain}], "ports": [{"port": port}]}
            for domain, port in domains.items()
        ]
        about = [{"endpoints": {"matchLabels": {"name": "client"}}}]
        rules = [dns, *named, {"action": "drop"}]
        policy = fleet.manifest("Policy", "names", "red", appliesTo=about, egress=rules)
        fleet.controller.client.apply([policy])
        fleet.until(lambda: realised(fleet), what="every bridge has the policy")
        fleet.until(lambda: leased(fleet), what="answers are held back")

    yield apply
    fleet.controller.client.delete("Policy", "red", "names")


def realised(fleet):
    policy = fleet.controller.client.get("Policy", "red", "names")
    status = policy.get("status", {})
    if status.get("observedRevision") != policy["metadata"]["revision"]:
        return False
    return any(c["type"] == "Realised" and c["status"] == "True" for c in status["conditions"])


def leased(fleet):
    return "hard_timeout" in fleet.ofctl("h1", "dump-flows", "table=answers", "--names")


def test_the_first_connection_succeeds(fleet, server, only):
    """Fifty names, each for a port of its own: none is allowed before it was asked for."""
    names = {f"n{number}.example.com": FIRST_PORT + number for number in range(TRIES)}
    families = {name: 4 + 2 * (port % 2) for name, port in names.items()}
    server.names = {name: address(fleet, "web", families[name]) for name in names}
    only(names)
    client, netns = Client(fleet), fleet.records["red/web"].netns
    worst = 0.0
    with contextlib.ExitStack() as undo:
        for name, port in names.items():
            undo.enter_context(open_listener(netns, families[name], port))
        for name, port in names.items():
            family = families[name]
            assert not client.connects(server.names[name], port, wait=0.1), "nobody knows it yet"
            target, seconds = client.resolve(name, family)
            assert target == server.names[name]
            assert client.connects(target, port), f"{name} did not work at once"
            worst = max(worst, seconds)
    assert worst < SOON, "an answer waited for as long as it may"


def test_names_by_tcp(fleet, server, only):
    names = {f"n{number}.example.org": 8300 + number for number in range(5)}
    server.names = dict.fromkeys(names, address(fleet, "web"))
    only(names)
    client, netns = Client(fleet), fleet.records["red/web"].netns
    with contextlib.ExitStack() as undo:
        for port in names.values():
            undo.enter_context(open_listener(netns, 4, port))
        for name, port in names.items():
            assert not client.connects(server.names[name], port, wait=0.1)
            assert client.resolve_by_tcp(name) == server.names[name]
            assert client.connects(server.names[name], port), f"{name} did not work at once"


def believed(fleet):
    return fleet.controller.client.get("Tenant", "", "red")["status"].get("names", {})


def test_what_was_learned_is_seen_and_outlives_the_controller(fleet, server, only, vneterctl):
    server.names = {"www.example.net": address(fleet, "web")}
    only({"*.example.net": 8100})
    trace = ("trace", "--from", "red/client", "--tcp", "8100", "--live", "-o", "json", "--to")
    code, out, _ = vneterctl(*trace, server.names["www.example.net"])
    assert (code, json.loads(out)["allowed"]) == (0, False)
    client, netns = Client(fleet), fleet.records["red/web"].netns
    target, _ = client.resolve("www.example.net")
    fleet.until(lambda: "www.example.net" in believed(fleet), what="it is reported")
    code, out, err = vneterctl(*trace, "WWW.example.net.")
    found = json.loads(out)
    assert (code, found["allowed"], found["live"]["agrees"]) == (0, True, True), err
    reach = ("reachability", "--from", "red/client", "--ports", "tcp/8100,tcp/1", "-o", "json")
    _, out, _ = vneterctl(*reach, "--to", "www.example.net")
    assert [(row["to"], row["allowed"]) for row in json.loads(out)] == [
        ("red/web", True),
        ("red/web", False),
    ]
    code, _, err = vneterctl(*reach, "--to", "ftp.example.net")
    assert code == 3
    assert "nobody was told what ftp.example.net is" in err
    with open_listener(netns, 4, 8100):
        fleet.controller.kill()
        fleet.controller.start()
        fleet.controller.await_synced(["h1", "h2"])
        assert client.connects(target, 8100), "nobody asked again"
        assert "www.example.net" in believed(fleet)


def test_names_resolve_without_a_controller(fleet, server, only):
    """What a rule wants waits for nobody once the lease is over; so does what no rule wants."""
    server.names = {"a.example.com": address(fleet, "web"), "other.org": "192.0.2.1"}
    only({"*.example.com": 8200})
    client = Client(fleet)
    with fleet.controller.frozen():
        fleet.until(lambda: not leased(fleet), what="the lease's end")
        assert client.resolve("a.example.com")[0] == server.names["a.example.com"]
        assert client.resolve("other.org")[0] == "192.0.2.1"
    fleet.until(lambda: leased(fleet), what="another lease")
    assert client.resolve("other.org")[0] == "192.0.2.1"
