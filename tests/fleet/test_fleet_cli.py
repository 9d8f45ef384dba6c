# SPDX-License-Identifier: Apache-2.0
"""``vneterctl fleet`` as people use it."""

import json
import os
import signal
import threading

import pytest
import yaml

from vneter_sdn.cli import fleet_controller
from vneter_sdn.cli.main import run
from vneter_sdn.config import Settings
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore

pytestmark = pytest.mark.fleet


@pytest.fixture
def vneterctl(layout, controller, wire, monkeypatch, capfd):
    """Runs a command line in a fleet of its own; gives exit code, output and what was told."""
    monkeypatch.setenv("VNETER_RUN_DIR", str(layout.run_dir))
    monkeypatch.setenv("VNETER_FLEET_PREFIX", layout.prefix)
    monkeypatch.setattr(fleet_controller, "client", lambda server: controller)
    monkeypatch.setattr(fleet_controller, "answering", lambda server: controller)
    controller.status = lambda: {"hosts": []}

    def call(*words):
        code = run(["fleet", *words])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


def test_from_up_to_down(vneterctl, layout, controller, wire):
    from vneter_sdn.fleet.records import read_hosts

    code, _, told = vneterctl("up", "--hosts", "2")
    assert code == 0, told
    assert "registered 2 hosts" in told
    assert {key[0] for key in controller.objects} == {"Host"}
    wire(read_hosts(layout))

    for host, name, address in (("h1", "a", "10.0.0.1/24"), ("h2", "b", "10.0.0.2/24")):
        words = ("--network", "n", "-t", "red", "--address", address)
        assert vneterctl("attach", host, name, *words)[0] == 0
    code, out, _ = vneterctl("exec", "red/a", "--", "cat", "/sys/class/net/nothing")
    assert code != 0
    code, out, _ = vneterctl("exec", "a", "ip", "-br", "address", "show", "eth0")
    assert (code, "10.0.0.1/24" in out) == (0, True)
    code, out, _ = vneterctl("exec", "h2", "ovs-vsctl", "--timeout=5", "list-br")
    assert (code, out.split()) == (0, ["br-int", "br-phy"])

    code, out, _ = vneterctl("probe", "--tcp", "80", "--udp", "53", "-4", "-o", "json")
    report = json.loads(out)
    assert (code, report["good"], report["findings"]) == (0, True, {"reached": 6})
    code, out, _ = vneterctl("probe", "-6")
    assert (code, "FAIL: nothing to probe" in out) == (1, True)
    code, out, _ = vneterctl("probe")
    assert (code, "PASS: all 2 probes agree" in out) == (0, True)

    assert vneterctl("move", "b", "h1", "--no-wait")[0] == 0
    code, out, _ = vneterctl("status", "-o", "json")
    assert (code, json.loads(out)[0]["workloads"]) == (0, ["red/a", "red/b"])
    assert vneterctl("detach", "red/b")[0] == 0
    assert ("Endpoint", "red", "b") not in controller.objects
    code, out, _ = vneterctl("manifests")
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(out)] == ["h1", "h2"]

    assert vneterctl("down")[0] == 0
    assert controller.objects == {}
    assert vneterctl("down")[0] == 0
    assert not layout.run_dir.exists()


@pytest.mark.parametrize("words", [("status",), ("link",), ("probe",)])
def test_every_form_says_the_same(vneterctl, layout, words):
    assert vneterctl("up", "--hosts", "1")[0] == 0
    code, out, _ = vneterctl(*words, "-o", "json")
    values = json.loads(out)
    forms = [vneterctl(*words, "-o", one)[:2] for one in ("yaml", "jsonpath={@}")]
    told = [yaml.safe_load(forms[0][1]), json.loads(forms[1][1])]
    for one in (values, *told):
        if isinstance(one, dict):
            one.pop("seconds", None)
    assert [one[0] for one in forms] == [code, code]
    assert told == [values, values]


def test_names_of_hosts_and_links(vneterctl):
    assert vneterctl("status", "-o", "name")[:2] == (0, "")
    assert vneterctl("up", "--hosts", "2")[0] == 0
    assert vneterctl("status", "-o", "name")[1].split() == ["h1", "h2"]
    links = json.loads(vneterctl("link", "-o", "json")[1])
    assert vneterctl("link", "-o", "name")[1].split() == [one["name"] for one in links]


def test_attach_may_be_repeated_but_not_for_another_network(vneterctl, layout, controller, wire):
    from vneter_sdn.fleet.records import read_hosts

    vneterctl("up", "--hosts", "1")
    wire(read_hosts(layout))
    words = ("attach", "h1", "a", "-t", "red", "--address", "10.0.0.1/24", "--network")
    for _ in range(2):
        assert vneterctl(*words, "n")[0] == 0
    code, _, told = vneterctl(*words, "m")
    assert (code, "exists, with n instead of m" in told) == (1, True)
    # What was attached twice is still the fleet's own to remove.
    assert vneterctl("detach", "red/a")[0] == 0
    assert ("Endpoint", "red", "a") not in controller.objects


def test_status_names_a_dead_daemon_and_up_repairs_it(vneterctl, layout, controller):
    vneterctl("up", "--hosts", "1")
    code, out, _ = vneterctl("status")
    assert (code, out.split()[8:11]) == (0, ["h1", "run", f"{layout.prefix}-h1"])
    code, out, _ = vneterctl("status", "-o", "json")
    os.kill(json.loads(out)[0]["vswitchd_pid"], signal.SIGKILL)
    code, out, told = vneterctl("status")
    assert (code, "no ovs-vswitchd" in out, "fleet up` repairs" in told) == (1, True, True)
    assert vneterctl("up", "--hosts", "1")[0] == 0
    assert vneterctl("status")[0] == 0


def test_up_waits_for_a_controller_that_is_starting(vneterctl, controller, monkeypatch):
    answers = iter([None, None])
    monkeypatch.setattr(fleet_controller, "answering", lambda server: next(answers, controller))
    code, _, told = vneterctl("up", "--hosts", "1")
    assert (code, "waiting 20 s for a controller" in told) == (0, True)
    assert "registered 1 hosts" in told


@pytest.mark.parametrize(
    "words",
    [
        ("probe", "--tcp", "0"),
        ("probe", "--udp", "65536"),
        ("status", "-o", "xml"),
        ("probe", "-o", "name"),
    ],
)
def test_impossible_options_are_refused(vneterctl, words):
    assert vneterctl(*words)[0] == 2


def test_a_leak_fails_the_probe_and_is_named(vneterctl, layout, wire):
    from vneter_sdn.fleet.records import read_hosts

    vneterctl("up", "--hosts", "1")
    wire(read_hosts(layout))
    for tenant, address in (("red", "10.0.0.1/24"), ("blue", "10.0.0.2/24")):
        words = ("--network", "n", "-t", tenant, "--address", address)
        assert vneterctl("attach", "h1", "a", *words)[0] == 0

    code, out, _ = vneterctl("probe")

    assert code == 1
    assert "FAIL: 2 of 2 probes differ" in out
    assert "red/a -> blue/a 10.0.0.2 icmp: expected nobody, seen blue/a" in out
    assert vneterctl("exec", "a", "true")[0] == 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("up", "--hosts", "0"), 1, "0 is not 1 to 1000"),
        (("up", "--topology", "none.yaml"), 1, "cannot be read"),
        (("attach", "h9", "a", "--network", "n"), 3, "h9 is not up"),
        (("detach", "nobody"), 3, "no workload nobody"),
        (("move", "nobody", "h1"), 3, "no workload nobody"),
        (("exec", "nobody", "true"), 3, "no workload nobody"),
        (("stream", "a", "b"), 3, "no workload a"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(vneterctl, words, code, message):
    seen, _, told = vneterctl(*words)
    assert seen == code
    assert message in told
    assert "Traceback" not in told


def test_a_controller_on_a_unix_socket_is_found(tmp_path):
    path = tmp_path / "api"
    server = Server(MemoryStore(), Settings(api_listen=f"unix:{path}"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert fleet_controller.answering(f"unix:{path}") is not None
    finally:
        server.stop()
        thread.join(30)
    assert fleet_controller.answering(f"unix:{path}") is None


def test_links_are_shown_cut_and_mended(vneterctl, tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text("hosts: [h1, h2]\nlinks: [{ends: [h1, h2], latency: 5, loss: 0.01}]")
    assert vneterctl("up", "--topology", str(path), "--wires", "--no-register")[0] == 0
    code, out, _ = vneterctl("link")
    assert code == 0
    assert all(word in out for word in ("h1-h2", "wire", "up", "w-h2 - w-h1", "5 ms, 1 % lost"))
    assert "silent" in vneterctl("link", "h2", "h1", "--silent")[1]
    assert "silent" in vneterctl("status")[1]
    code, out, _ = vneterctl("link", "h1-h2", "--down", "-o", "json")
    assert [one["state"] for one in json.loads(out)] == ["down"]
    assert "up" in vneterctl("link", "h1-h2", "--up")[1]
    assert vneterctl("link", "h1", "h2", "--up", "--down")[0] == 2
    assert vneterctl("link", "--down")[0] == 2
    assert vneterctl("link", "h1", "h9")[0] == 3
    code, out, _ = vneterctl("manifests", "--links")
    assert (code, out.count("kind: Host"), out.count("kind: Link")) == (0, 2, 1)
