# SPDX-License-Identifier: Apache-2.0
"""Wires between bridges of a real Open vSwitch: found, measured, lost, moved, and claimed twice."""

import os
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
BRIDGES = ("s1", "s2", "s3")
ENDPOINTS, ATTACHED = 2000, 400
"""How many the controller is made to compile again and again, and how many of them have ports."""


def wire(switch, one, other):
    """A patch cable between two bridges."""
    near, far = f"{one}-{other}", f"{other}-{one}"
    words = []
    for bridge, port, peer in ((one, near, far), (other, far, near)):
        words += ["--", "add-port", bridge, port, "--", "set", "interface", port]
        words += ["type=patch", f"options:peer={peer}"]
    switch.vsctl(*words[1:])


def links(controller):
    """What is reported of each link."""
    return {item["metadata"]["name"]: item["status"] for item in controller.client.list("Link")}


@pytest.fixture
def lab(make_controller, make_switch, system):
    """Three bridges without a database of their own, as in Mininet."""
    port = system.free_port()
    controller, switch = make_controller(), make_switch()
    controller.start("--openflow-listen", f"ptcp:{port}:127.0.0.1")
    for number, name in enumerate(BRIDGES, 1):
        switch.vsctl(
            "add-br", name, "--", "set", "bridge", name, "datapath_type=dummy",
            "fail_mode=secure", "protocols=OpenFlow14,OpenFlow15",
            f"other_config:datapath-id={number:016x}",
            "--", "set-controller", name, f"tcp:127.0.0.1:{port}",
            "--", "set", "controller", name, "max_backoff=1000",
        )  # fmt: skip
    controller.client.apply([
        system.manifest("Host", name, datapathId=f"{number:016x}", bridge=name)
        for number, name in enumerate(BRIDGES, 1)
    ])  # fmt: skip
    controller.await_synced(BRIDGES)
    wire(switch, "s1", "s2")
    controller.again = ("--openflow-listen", f"ptcp:{port}:127.0.0.1")
    return controller, switch


def test_a_wire_is_found_reported_kept_and_replaced(lab, system):
    controller, switch = lab

    def state(name):
        return links(controller).get(name, {}).get("state")

    first, second = "s1.s1-s2-s2.s2-s1", "s1.s1-s3-s3.s3-s1"
    system.until(lambda: state(first) == "up", what=f"{first} up")
    stored = controller.client.get("Link", "", first)
    assert stored["metadata"]["annotations"]["vneter.io/origin"] == "lldp"
    assert stored["spec"]["sourcePort"] == "s1-s2"
    system.until(lambda: "latencyMs" in links(controller)[first], what="a latency")
    assert 0 <= links(controller)[first]["latencyMs"] < 1000
    controller.kill()
    controller.start(*controller.again)
    controller.await_synced(BRIDGES)
    assert controller.client.get("Link", "", first)["metadata"]["uid"] == stored["metadata"]["uid"]
    system.until(lambda: state(first) == "up", what=f"{first} up again")
    switch.vsctl("del-port", "s1", "s1-s2", "--", "del-port", "s2", "s2-s1")
    system.until(lambda: state(first) == "down", what=f"{first} down")
    wire(switch, "s1", "s3")
    system.until(lambda: state(second) == "up", what=f"{second} up")
    assert state(first) == "down", "it is not known to be elsewhere"


def test_what_is_declared_is_not_overwritten(lab, system):
    controller, switch = lab
    mine = system.manifest("Link", "uplink", source="s2", target="s3", medium="wire",
                           sourcePort="s2-s3", targetPort="s3-s2", cost=7)  # fmt: skip
    controller.client.apply([mine])
    wire(switch, "s2", "s3")
    system.until(
        lambda: links(controller).get("uplink", {}).get("state") == "up",
        what="the declared wire up",
    )
    assert links(controller)["uplink"]["origin"] == "declared"
    found = [item["metadata"]["name"] for item in controller.client.list("Link")]
    assert sorted(found) == ["s1.s1-s2-s2.s2-s1", "uplink"]
    assert controller.client.get("Link", "", "uplink")["spec"]["cost"] == 7


def test_a_second_bridge_of_one_datapath_id_is_refused_and_named(
    make_controller, make_switch, system
):
    port = system.free_port()
    controller, one, other = make_controller(), make_switch(), make_switch()
    controller.start("--openflow-listen", f"ptcp:{port}:127.0.0.1")
    controller.client.apply([system.manifest("Host", "s1", datapathId=f"{1:016x}", bridge="s1")])
    for switch in (one, other):
        switch.vsctl(
            "add-br", "s1", "--", "set", "bridge", "s1", "datapath_type=dummy",
            "fail_mode=secure", "protocols=OpenFlow14,OpenFlow15",
            f"other_config:datapath-id={1:016x}",
            "--", "set-controller", "s1", f"tcp:127.0.0.1:{port}",
            "--", "set", "controller", "s1", "max_backoff=1000",
        )  # fmt: skip
        controller.await_synced(["s1"])

    def claimed():
        return controller.conditions("Host", "s1").get("DatapathUnique")

    system.until(lambda: claimed() == ("False", "DuplicateDatapath"), what="the condition")
    assert controller.conditions("Host", "s1")["Ready"][0] == "True", "the first one is served"


def processor_seconds(pid):
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def compiling(controller, system):
    """Change every endpoint again and again, for as long as the context lasts.

    Gives a list of the rounds that were taken.
    """
    ended, rounds, failed = threading.Event(), [], []

    def change():
        while not ended.is_set():
            number = len(rounds) % 256
            try:
                controller.client.apply([endpoint(system, n, number) for n in range(ENDPOINTS)])
            except Exception as refused:  # noqa: BLE001 - the test is told
                failed.append(refused)
                return
            rounds.append(number)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield rounds
    finally:
        ended.set()
        thread.join()
    assert not failed, failed


def endpoint(system, number, round_):
    mac = f"02:00:00:{round_:02x}:{number >> 8:02x}:{number & 255:02x}"
    return system.manifest("Endpoint", f"e{number}", "red", network="web", mac=mac)


@pytest.mark.timeout(600)
def test_a_controller_that_compiles_all_the_time_loses_no_wire_and_sees_one_that_is_cut(
    lab, make_switch, system
):
    controller, switch = lab
    wire(switch, "s2", "s3")
    wire(switch, "s1", "s3")
    workloads = make_switch()
    controller.client.apply([
        system.manifest("Host", "h1", ovsdb=workloads.ovsdb, datapathType="dummy",
                        tunnelAddresses=["127.0.0.1"], underlayMtu=1600),
        system.manifest("Tenant", "red"),
        system.manifest("Network", "web", "red", prefixes=["10.0.0.0/16"]),
        *(endpoint(system, number, 0) for number in range(ENDPOINTS)),
    ])  # fmt: skip
    controller.await_synced(["h1"], 120)
    for first in range(0, ATTACHED, 100):
        workloads.attach(*(f"red/e{number}" for number in range(first, first + 100)))
    for number in (0, ATTACHED - 1):
        controller.client.wait("Endpoint", "red", f"e{number}", timeout=120)

    def states():
        return {name: status["state"] for name, status in links(controller).items()}

    system.until(lambda: list(states().values()) == ["up"] * 3, 120, "three wires")
    core = controller.child("core")
    with compiling(controller, system) as rounds:
        begun, first = processor_seconds(core), len(rounds)
        while processor_seconds(core) < begun + 10 or len(rounds) < first + 3:
            assert set(states().values()) == {"up"}
        assert {status["flaps"] for status in links(controller).values()} == {0}
        switch.vsctl("del-port", "s1", "s1-s2", "--", "del-port", "s2", "s2-s1")
        system.until(lambda: states()["s1.s1-s2-s2.s2-s1"] == "down", 120, "the one that was cut")
    assert sorted(states().values()) == ["down", "up", "up"]
