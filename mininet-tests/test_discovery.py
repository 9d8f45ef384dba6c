# SPDX-License-Identifier: Apache-2.0
"""Wires of Mininet are found as the file has them, whatever hosts send, and not by their word."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).resolve().parents[1]
NAMES = ("dual-homed", "fat-tree", "abilene", "geant")
"""Loops, hosts with two links, and many wires; the fabric below is one more."""
SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
frame = bytes.fromhex(sys.argv[2])
rate, seconds = float(sys.argv[3]), float(sys.argv[4])
begun = time.monotonic()
sent = 0
while time.monotonic() - begun < seconds:
    if sent <= (time.monotonic() - begun) * rate:
        out.send(frame)
        sent += 1
print(sent)
"""
LISTENER = """
import socket, sys
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88CC))
heard.bind((sys.argv[1], 0x88CC))
heard.settimeout(20)
frames = [heard.recv(2048) for _ in range(int(sys.argv[2]))]
print(frames[0].hex())
"""
RELAY = """
import ctypes, os, select, socket, sys
def tap(place):
    pid, interface = place.split(":")
    if ctypes.CDLL(None, use_errno=True).setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0):
        raise OSError(ctypes.get_errno(), place)
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88CC))
    made.bind((interface, 0x88CC))
    return made
taps = [tap(place) for place in sys.argv[2:4]]
ways = {taps[0]: taps[1]}
if sys.argv[1] == "both":
    ways[taps[1]] = taps[0]
print("relaying", flush=True)
while True:
    for one in select.select([*ways, sys.stdin], [], [])[0]:
        if one is sys.stdin:
            sys.exit()
        frame, (_, _, direction, *_) = one.recvfrom(2048)
        if direction != socket.PACKET_OUTGOING:
            ways[one].send(frame)
"""
"""Sends the discovery frames that come in at a place, ``pid:interface``, out at another at once."""


HALF_LIFE = 15
"""Seconds, of what flapping wires are left out for: half of what is usual, as we wait for it."""


@pytest.fixture(scope="module")
def controller(lab, mininet):
    made = mininet.Controller(lab)
    made.start(f"--damping-half-life={HALF_LIFE}")
    return made


def found(controller, net):
    return controller.edges() == net.edges


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_wires_of_the_file_are_found(lab, mininet, controller, name):
    options = {"bw": "off", "delay": "off"}
    with mininet.network(lab, f"topologies/{name}.yaml", **options) as net:
        mininet.until(lambda: found(controller, net), f"the graph of {name}")


@pytest.fixture(scope="module")
def net(lab, mininet, controller):
    """A fabric whose graph is known, and whose hosts are."""
    with mininet.network(lab, "topologies/leaf-spine.yaml", bw="off", delay="off") as made:
        mininet.until(lambda: found(controller, made), "the graph")
        for script, text in (("send", SENDER), ("listen", LISTENER), ("relay", RELAY)):
            lab.run(["sh", "-c", f'printf %s "$1" >/run/{script}.py', "sh", text])
        mininet.until(lambda: made.ping("h1", "h2"), "that hosts reach one another")
        yield made


def send(net, host, frame, rate=5, seconds=2):
    said = net.run(host, f"/usr/bin/python3 /run/send.py {host}-eth0 {frame} {rate} {seconds}")
    return int(said.split()[-1])


def probe(lab, net):
    """What somebody who listens on a wire could send again: a probe that five others followed."""
    (_, interface), _ = net.wires[0]
    return lab.run(["/usr/bin/python3", "/run/listen.py", interface, "10"]).stdout.split()[-1]


def test_what_hosts_forge_or_send_again_is_counted_and_makes_no_wire(lab, mininet, controller, net):
    old = probe(lab, net)
    own = probe_of(net, "h1")
    forged = f"{int(own, 16) ^ (1 << 160):0{len(own)}x}"  # a bit of its digest, which comes last
    wrong = own[:-4] + "ff00"  # what ends it is no end
    for frame, reason in ((old, "replayed"), (forged, "forged"), (wrong, "malformed")):
        with refused(mininet, controller, reason):
            assert send(net, "h1", frame) > 5
    with (
        relay(lab, net, "one", "h1:h1-eth0", "h1:h1-eth0"),
        refused(mininet, controller, "looped"),
    ):
        pass
    assert found(controller, net)


def probe_of(net, host):
    """A probe of the port that a host is at."""
    return net.run(host, f"/usr/bin/python3 /run/listen.py {host}-eth0 1").split()[-1]


@contextmanager
def refused(mininet, controller, reason):
    """What is sent in this context is to be refused for a reason."""
    before = controller.refused()[reason]
    yield
    mininet.until(lambda: controller.refused()[reason] > before, f"refused as {reason}")


@contextmanager
def relay(lab, net, ways, *places):
    """Somebody relays discovery frames as long as the context lasts."""
    named = (place.split(":") for place in places)
    pids = [f"{net.run(node, 'echo $$').split()[-1]}:{name}" for node, name in named]
    process = lab.start(["/usr/bin/python3", "/run/relay.py", ways, *pids])
    try:
        assert process.stdout.readline() == "relaying\n"
        yield
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.mark.parametrize("ways", ["one", "both"])
def test_probes_of_a_wire_that_come_by_the_port_of_a_host_too_make_no_wire_and_break_none(
    lab, mininet, controller, net, ways
):
    """A tap at a wire has a host send what the wire carries, as it carries it; and back."""
    (node, interface), _ = net.wires[0]
    before, flaps = controller.refused()["relayed"], flapped(controller)
    with relay(lab, net, ways, f"{node}:{interface}", "h3:h3-eth0"):
        while controller.refused()["relayed"] < before + 10:
            assert found(controller, net)
            assert net.ping("h1", "h2", "-c 20 -i 0.02 -W 2")
    assert found(controller, net)
    assert flapped(controller) == flaps


def test_hosts_that_relay_to_one_another_are_no_wire(lab, mininet, controller, net):
    """As a cable between their ports would be; but somebody who is no bridge was heard there."""
    mininet.until(lambda: net.ping("h1", "h4"), "that both are known")
    before = controller.refused()["endpoint"]
    with relay(lab, net, "both", "h1:h1-eth0", "h4:h4-eth0"):
        while controller.refused()["endpoint"] < before + 10:
            assert found(controller, net)
    assert net.ping("h1", "h4", "-c 20 -i 0.02 -W 2")
    assert found(controller, net)


def flapped(controller):
    """How often each link has flapped so far, by name."""
    return {name: status["flaps"] for name, status in controller.links().items()}


def test_a_flood_of_probes_disturbs_neither_traffic_nor_wires(lab, mininet, controller, net):
    true = probe(lab, net)
    before, flaps = sum(controller.refused().values()), flapped(controller)
    words = f"/usr/bin/python3 /run/send.py h3-eth0 {true} 1e9 5 >/run/flood &"
    net.run("h3", words)
    assert net.ping("h1", "h2", "-c 200 -i 0.02 -W 2")
    assert found(controller, net)

    def flooded():
        return lab.run(["cat", "/run/flood"]).stdout

    sent = int(mininet.until(flooded, "the flood's end"))
    told = sum(controller.refused().values()) - before
    assert 0 < told < sent / 4, "the bridge's meter comes first"
    assert flapped(controller) == flaps
    assert found(controller, net)


CYCLES = 30
"""Far more than a wire that fails again and again is allowed: three within 20 s, or one each 14 s
for long, by `HALF_LIFE`."""


def test_a_wire_that_is_cut_is_lost_and_one_that_flaps_is_damped(mininet, controller, net):
    wire = net.wires[0]
    name = ".".join(re.escape(part) for part in wire[0])

    def report():
        return next(s for n, s in controller.links().items() if re.search(name, n))

    def becomes(*states):
        mininet.until(lambda: report()["state"] in states, " or ".join(states), 120)
        return report()["state"]

    assert becomes("up", "damped") == "up"
    flaps = report()["flaps"]
    for cycle in range(1, CYCLES + 1):
        net.set(wire[:1], "down")
        state = becomes("down", "damped")
        assert report()["flaps"] >= flaps + cycle
        net.set(wire[:1], "up")
        if state == "damped":
            break
        becomes("up")
    assert state == "damped"
    assert report()["flaps"] > 2, "who fails once or twice is used as soon as he is back"
    assert net.ping("h1", "h2", "-c 20 -i 0.02 -W 2"), "traffic goes elsewhere"
    becomes("up")
    mininet.until(lambda: found(controller, net), "that it is used again, when it has been quiet")
