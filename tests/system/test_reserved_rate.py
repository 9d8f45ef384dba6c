# SPDX-License-Identifier: Apache-2.0
"""A reservation on real hosts: a flood over it is cut to its rate, and nobody else's is."""

import re
import subprocess
import sys
import time

import pytest

from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.reserved import ANSWERS, RATES

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]
MBPS = 2.0
SIZE, PACKETS = 1000, 8000
BURST = 512_000
"""Bits that pass at once (`features.reservation.LEAST_BURST`)."""
SINK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
s.bind(("", 5001)); print("ready", flush=True); s.settimeout(3); n = 0
try:
    while True:
        s.recv(2048); n += 1
except TimeoutError:
    print(n)
"""
FLOOD = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({PACKETS}):
    s.sendto(bytes({SIZE - 28}), (sys.argv[1], 5001)); time.sleep(0.0002)
"""


def flood(fleet, source, target):
    """Bits that arrived of a flood, and the seconds it took at most."""
    address = fleet.records[target].addresses[0].partition("/")[0]
    inside = ["nsenter", f"--net=/run/netns/{fleet.records[target].netns}", "--"]
    words = [*inside, sys.executable, "-c", SINK]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout.readline() == "ready\n"
        began = time.monotonic()
        fleet.netns(source, sys.executable, "-c", FLOOD, address)
        took = time.monotonic() - began
        return int(sink.communicate()[0]) * SIZE * 8, took


def dropped(fleet, host):
    """Packets that each meter of a reservation dropped, by number."""
    told = fleet.ofctl(host, "meter-stats")
    found = re.findall(r"meter:(\d+).*?0: packet_count:(\d+)", told, re.DOTALL)
    return {int(n): int(count) for n, count in found if RATES < int(n) < ANSWERS}


def reservation(fleet, name, mbps):
    found = fleet.manifest("Reservation", name, source="a", target="b", rateMbps=mbps)
    return found | {"spec": {**found["spec"], "tenant": "red"}}


def test_a_flood_over_a_reserved_pair_is_cut_to_its_rate(own_fleet):
    fleet = own_fleet
    fleet.up(2)
    fleet.tenant("red", {"a": "h1", "b": "h2", "c": "h2"})
    link = fleet.manifest("Link", "wan", source="h1", target="h2", capacityMbps=100)
    fleet.controller.client.apply([link, reservation(fleet, "hold", MBPS)])

    def admitted():
        return fleet.controller.conditions("Reservation", "hold").get("Admitted")

    fleet.until(lambda: admitted() == ("True", "Admitted"), what="admission")
    fleet.until(lambda: dropped(fleet, "h1") and dropped(fleet, "h2"), what="meters")
    arrived, took = flood(fleet, "red/a", "red/b")
    (cut,) = dropped(fleet, "h1").values()
    free, _ = flood(fleet, "red/a", "red/c")
    sys.stdout.write(
        f"{arrived / took / 1e6:.2f} Mbit/s of {PACKETS * SIZE * 8 / took / 1e6:.1f} over a "
        f"reservation of {MBPS}, {cut} packets dropped; to another, {free / 8 / SIZE:.0f} packets\n"
    )
    assert 0 < arrived <= MBPS * 1e6 * took * 1.1 + BURST
    assert cut >= PACKETS // 2
    assert free > 2 * arrived
    assert list(dropped(fleet, "h1").values()) == [cut], "what nobody reserved is not metered"
    fleet.controller.client.apply([reservation(fleet, "more", 99)])
    fleet.until(
        lambda: (
            fleet.controller.conditions("Reservation", "more").get("Admitted") == ("False", "Full")
        ),
        what="a refusal",
    )
    told = fleet.controller.client.get(*Key("Reservation", "", "more"))["status"]
    assert told["edge"] in ("h1>h2", "h2>h1")
    assert told["freeMbps"] == 100 - MBPS
