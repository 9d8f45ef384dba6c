# SPDX-License-Identifier: Apache-2.0
"""What Linux makes of the answers a real bridge gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from intent import Intent

from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.daemon.offline import compile_manifests

pytestmark = pytest.mark.fleet


@pytest.fixture
def one_host(lab):
    intent = Intent()
    intent.host("h1", 1)
    intent.tenant("red", 7)
    intent.network("red", "web", 5000, "10.1.0.0/24", "fd01::/64", blocks=[("10.1.0.0/26", "h1")])
    intent.network("red", "db", 5001, "10.2.0.0/24", "fd02::/64")
    for port, network, last in ((1, "web", 2), (2, "web", 3), (3, "db", 2)):
        subnet = 1 if network == "web" else 2
        four, six = f"10.{subnet}.0.{last}", f"fd0{subnet}::{last}"
        mac = f"02:00:00:00:00:0{port}"
        intent.endpoint("red", f"e{port}", network, four, six, host="h1", port=port, mac=mac)
        lab.attach(port, mac, f"{four}/24", f"{six}/64")
        lab.within(str(port), "ip", "route", "add", "default", "via", f"10.{subnet}.0.1")
        lab.within(str(port), "ip", "-6", "route", "add", "default", "via", f"fd0{subnet}::1")
    lab.load(compile_snapshot(intent.snapshot()).bridge("h1"))
    return lab


def ping(lab, port: int, to: str, *more: str) -> str:
    return lab.within(str(port), "ping", "-n", "-c", "2", "-i", "0.1", "-W", "3", *more, to)


@pytest.mark.parametrize("size", ["56", "1300", "4000"])
@pytest.mark.parametrize("gateway", ["10.1.0.1", "fd01::1"])
def test_gateway_answers_echo_of_any_size(one_host, gateway, size):
    assert "bytes from" in ping(one_host, 1, gateway, "-s", size)


def test_neighbours_are_learnt_from_our_answers(one_host):
    settled(one_host)
    for to in ("10.1.0.3", "fd01::3", "fe80::ff:fe00:2%e0", "10.2.0.2", "fd02::2"):
        ping(one_host, 1, to)
    table = one_host.within("1", "ip", "neigh")
    for line in (
        "10.1.0.3 dev e0 lladdr 02:00:00:00:00:02",
        "fd01::3 dev e0 lladdr 02:00:00:00:00:02",
        "fe80::ff:fe00:2 dev e0 lladdr 02:00:00:00:00:02",
        "fd01::1 dev e0 lladdr 02:00:00:13:88:01 router",
    ):
        assert line in table


def eventually(lab, port: int, words: str, holds) -> str:
    for _ in range(50):
        seen = lab.within(str(port), *words.split())
        if holds(seen):
            return seen
        lab.within(str(port), "sleep", "0.1")
    return pytest.fail(f"{words}: {seen}")


def settled(lab) -> None:
    for port in (1, 2, 3):
        eventually(lab, port, "ip -6 address show tentative", lambda seen: not seen.strip())


def test_a_neighbour_stays_reachable_by_unicast_probes(one_host):
    settled(one_host)
    ping(one_host, 1, "fd01::3")
    one_host.within("1", "ip", "-6", "neigh", "change", "fd01::3", "dev", "e0", "nud", "probe")
    shown = "ip -6 neigh show fd01::3"
    assert eventually(one_host, 1, shown, lambda seen: "REACHABLE" in seen)


def test_duplicate_address_detection_finds_nobody(one_host):
    settled(one_host)
    one_host.within("1", "ip", "address", "del", "fd01::2/64", "dev", "e0")
    one_host.within("1", "ip", "address", "add", "fd01::2/64", "dev", "e0")
    shown = "ip -6 address show dev e0 to fd01::2"
    assert "tentative" in one_host.within("1", *shown.split())
    seen = eventually(one_host, 1, shown, lambda seen: "tentative" not in seen)
    assert "dadfailed" not in seen


def test_an_endpoint_cannot_speak_for_another(one_host):
    settled(one_host)
    for address in ("10.1.0.9/24", "fd01::9/64"):
        nodad = ["nodad"] if ":" in address else []
        one_host.within("1", "ip", "address", "add", address, "dev", "e0", *nodad)
        own = address.partition("/")[0]
        to = "fd01::3" if ":" in address else "10.1.0.3"
        said = one_host.within("1", "ping", "-c1", "-W1", "-I", own, to, check=False)
        assert "100% packet loss" in said
        ping(one_host, 1, to, "-I", own.replace("9", "2"))


SCENARIOS = Path(__file__).parents[2] / "flows" / "scenarios"


@pytest.mark.parametrize("name", ["leaf-spine", "multi-path", "repair"])
def test_a_real_bridge_takes_everything_at_once(lab, name):
    texts = [(SCENARIOS / name / file).read_text() for file in ("topology.yaml", "intent.yaml")]
    found = compile_manifests([one for text in texts for one in yaml.safe_load_all(text)]).compiler
    host = found.hosts()[0]
    state = found.bridge(host)
    lab.load(state)
    control = ["ovs-ofctl", "-O", "OpenFlow15"]
    target = f"unix:{lab.directory}/br.mgmt"
    assert lab.run(*control, "dump-flows", target).count("cookie=0x76") == len(state.flows)
    assert lab.run(*control, "dump-groups", target).count("group_id=") == len(state.groups) > 0
    assert lab.run(*control, "dump-meters", target).count("meter=") == len(state.meters)
