# SPDX-License-Identifier: Apache-2.0
"""Marked packets through the live data plane: where they are seen, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from vneter_sdn.cli.main import run
from vneter_sdn.daemon.injecting import EVERY
from vneter_sdn.errors import Conflict, VneterError
from vneter_sdn.pipeline.tables import TABLES
from vneter_sdn.pipeline.traced import HOLD

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
PLACES = {"a": "h1", "b": "h2", "c": "h1"}
HOSTS = ("h1", "h2", "h3")
KINDS = (("--tcp", "80"), ("--udp", "53"), ("--sctp", "9"), ("--icmp",))


def rule(action, *ports):
    return {"action": action} | ({"ports": list(ports)} if ports else {})


def tcp(port):
    return {"protocol": "tcp", "port": port}


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    """Three workloads in one subnet, one in another; policies about who speaks to ``b``."""
    fleet.up(3)
    client = fleet.controller.client
    networks = [
        fleet.manifest("Network", "net", "red", prefixes=["10.0.0.0/24", "fd00:1::/64"]),
        fleet.manifest("Network", "far", "red", prefixes=["10.0.9.0/24", "fd00:9::/64"]),
    ]
    rules = [rule("drop", tcp(82)), rule("reject", tcp(83)), rule("allow", tcp(84))]
    selected = {"endpoints": {"matchLabels": {"app": "b"}}}
    policy = fleet.manifest("Policy", "b", "red", appliesTo=[selected], ingress=rules)
    client.apply([fleet.manifest("Tenant", "red"), *networks, policy])
    fleet.attach(*(("red", name, "net", host) for name, host in PLACES.items()))
    fleet.attach(("red", "d", "far", "h3"))
    fleet.tenant("blue", {"e": "h2"}, prefix="10.7.0.0/24")
    labelled = client.get("Endpoint", "red", "b")
    labelled["metadata"]["labels"] = {"app": "b"}
    labelled.pop("status", None)
    client.apply([labelled])
    for host in HOSTS:
        fleet.controller.await_synced([host])


@pytest.fixture
def trace(fleet, capsys):
    """What the command says, as JSON, and with which code it ends."""

    def once(words):
        capsys.readouterr()
        code = run(["trace", *words, "--server", fleet.controller.server])
        out, err = capsys.readouterr()
        return None if code == 4 else (code, out, err)

    def call(source, target, *words, output="json"):
        words = ("--from", source, "--to", target, *words, "--inject", "-o", output)
        code, out, err = fleet.until(lambda: once(words), 10, what="a turn")
        return code, json.loads(out) if out and output == "json" else out, err

    return call


def flows_left(fleet):
    """Flows of traces, on all bridges."""
    return [
        line
        for host in HOSTS
        for line in fleet.ofctl(host, "dump-flows").splitlines()
        if "cookie=0x74" in line
    ]


def left_behind(fleet):
    """Flows of traces, and connections from ports that only they have; none of ICMPv6."""
    ours = re.compile(r"sport=6[1-5]\d{3}\b|\bid=")
    return flows_left(fleet) + [
        line
        for host in HOSTS
        for line in fleet.appctl(host, "dpctl/dump-conntrack").splitlines()
        if ours.search(line) and not line.startswith("icmpv6")
    ]


@pytest.mark.parametrize("target", ["red/b", "red/c", "red/d"])
@pytest.mark.parametrize("six", [(), ("-6",)])
@pytest.mark.parametrize("words", KINDS)
def test_what_is_allowed_is_seen_to_arrive(fleet, trace, target, six, words):
    code, found, err = trace("red/a", target, *words, *six)
    assert code == 0, (err, found)
    verdicts = found["verdicts"]
    assert verdicts["agree"]
    assert [verdicts[by]["allowed"] for by in ("model", "live", "inject")] == [True] * 3
    assert found["inject"]["delivered"] == found["delivered"]
    assert [hop["host"] for hop in found["inject"]["hops"]] == [h["host"] for h in found["hops"]]
    assert all(hop["tables"][-1] in ("transit", "output") for hop in found["inject"]["hops"])
    assert not left_behind(fleet)


@pytest.mark.parametrize(
    ("port", "words"), [("82", "ingress[0]"), ("83", "ingress[1]"), ("84", "ingress[2]")]
)
@pytest.mark.parametrize("source", ["red/a", "red/d"])
@pytest.mark.parametrize("six", [(), ("-6",)])
def test_the_rule_that_decides_is_told_by_the_bridge(fleet, trace, source, six, port, words):
    code, found, err = trace(source, "red/b", "--tcp", port, *six)
    assert code == 0, (err, found)
    allowed = port == "84"
    seen = found["inject"]
    assert (seen["allowed"], seen["rule"]) == (allowed, f"Policy red/b {words}")
    assert seen["ended"].startswith("h2 port" if allowed else "h2 ingress_verdict")
    assert not left_behind(fleet)


@pytest.mark.parametrize("six", [(), ("-6",)])
def test_again_and_again(fleet, trace, six):
    """Echo requests have no ports: to flows and trackers each is much like the one before."""
    for _ in range(4):
        code, found, err = trace("red/a", "red/b", "--icmp", *six)
        assert code == 0, (err, found)
        assert found["inject"]["delivered"] == found["delivered"]
    assert not left_behind(fleet)


def test_another_tenant_is_not_reached(trace):
    code, found, err = trace("red/a", "blue/e", "--tcp", "80")
    assert code == 0, (err, found)
    verdicts = found["verdicts"]
    assert {verdicts[by]["allowed"] for by in ("model", "live", "inject")} == {False}
    assert {verdicts[by]["where"] for by in ("model", "live", "inject")} == {"h1 complain"}
    assert found["inject"]["rule"] == "tenants"


@contextmanager
def overheard(fleet, *workloads):
    """Whether a workload gets TCP, once the context is over: a line for each segment."""
    found, dumps = {}, {}
    for one in workloads:
        within = ("nsenter", f"--net=/run/netns/{fleet.records[one].netns}", "--")
        words = ("tcpdump", "--immediate-mode", "-nli", "any", "tcp")
        pipe = subprocess.PIPE
        dumps[one] = subprocess.Popen([*within, *words], stdout=pipe, stderr=pipe, text=True)
        for line in dumps[one].stderr:
            if line.startswith("listening"):
                break
    try:
        yield found
    finally:
        for one, dump in dumps.items():
            dump.terminate()
            found[one] = dump.communicate(timeout=20)[0].split()


def test_workloads_get_nothing(fleet, trace):
    """Neither the packet, nor the refusal of one that is rejected; an allowed connection does."""
    with overheard(fleet, "red/a", "red/b") as heard:
        for port in ("80", "83"):
            assert trace("red/a", "red/b", "--tcp", port)[0] == 0
    assert heard == {"red/a": [], "red/b": []}
    address = fleet.records["red/b"].addresses[0].split("/")[0]
    with overheard(fleet, "red/b") as heard:
        fleet.netns("red/a", "bash", "-c", f"timeout 2 cat </dev/tcp/{address}/80", check=False)
    assert heard["red/b"]


def test_for_reading(trace):
    code, out, _ = trace("red/a", "red/b", "--tcp", "80", output="text")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "they agree"
    rows = [re.split(r" {3,}", line) for line in lines[-4:-1]]
    assert [row[:2] for row in rows] == [
        ["model", "allowed"], ["ofproto/trace", "allowed"], ["injected", "allowed"],
    ]  # fmt: skip
    assert any(line.startswith("  h2 by h1>h2: ") and "> output" in line for line in lines)


@contextmanager
def without(fleet, host, table, *words):
    """Without the flows of a table in which all words occur, deleted behind the controller."""
    number = {one.name: one.id for one in TABLES}[table]
    dump = fleet.ofctl(host, "dump-flows", f"table={number}", "--no-names", "--no-stats")
    flows = [line.strip() for line in dump.splitlines() if all(word in line for word in words)]
    assert flows
    for flow in flows:
        where = re.sub(r"^ *cookie=\S+ ", "", flow.partition(" actions=")[0]).replace(" ", "")
        fleet.ofctl(host, "del-flows", where, "--strict")
    try:
        yield
    finally:
        for flow in flows:
            fleet.ofctl(host, "add-flow", flow.replace(", ", ",").replace(" table", ",table"))


def test_a_flow_that_is_gone_is_told_of(fleet, trace):
    """On the receiver's bridge: it goes on elsewhere, and all three say what they saw."""
    assert trace("red/a", "red/d", "--tcp", "80")[0] == 0
    with without(fleet, "h3", "deliver", "actions"):
        code, found, err = trace("red/a", "red/d", "--tcp", "80")
    assert code == 1
    verdicts = found["verdicts"]
    assert not verdicts["agree"]
    allowed = [verdicts[by]["allowed"] for by in ("model", "live", "inject")]
    assert allowed == [True, False, False]
    assert verdicts["inject"]["where"] == verdicts["live"]["where"] == "h3 deliver"
    assert "h3: after deliver the model goes on to" in err
    assert "by the model it gets there, injected it does not get there" in err
    assert trace("red/a", "red/d", "--tcp", "80")[0] == 0


def test_a_flow_towards_another_host_that_is_gone_is_told_of(fleet, trace):
    with without(fleet, "h1", "transit", "actions"):
        code, found, err = trace("red/a", "red/b", "--tcp", "80")
    assert code == 1
    assert found["inject"]["ended"] == "h1 transit"
    assert "h2: it does not come to h2 by h1>h2" in err
    assert not found["inject"]["allowed"]


def test_a_foreign_flow_in_the_way_is_told_of(fleet, trace):
    number = {one.name: one.id for one in TABLES}["steer"]
    fleet.ofctl("h1", "add-flow", f"table={number},priority=60000,tcp,tp_dst=80,actions=drop")
    try:
        code, found, err = trace("red/a", "red/b", "--tcp", "80")
    finally:
        fleet.ofctl("h1", "del-flows", f"table={number},tcp,tp_dst=80")
    assert code == 1
    assert found["verdicts"]["live"]["where"] == found["inject"]["ended"] == "h1 steer"
    assert "h1: after steer the model goes on to transit; the bridge does not" in err


def test_ordinary_traffic_is_not_disturbed(fleet, trace):
    """Not a datagram between the same two is lost, late or twice while packets are traced."""
    with fleet.stream("red/a", "red/b", 1000) as stream:
        assert stream.await_flow()
        for words in (("--udp", "53"), ("--tcp", "80"), ("--tcp", "82"), ("--icmp",)):
            assert trace("red/a", "red/b", *words)[0] == 0
        sent = stream.report().sent
    report = stream.report()
    assert sent > 3000
    assert report.lost == 0, report
    assert not left_behind(fleet)


@contextmanager
def under_way(fleet):
    """A trace that takes a while, for nothing comes back: held from when flows are there."""
    answers = []

    def ask():
        try:
            answers.append(fleet.controller.client.inject(
                {"tenant": "red", "source": "a", "target": "b", "protocol": "tcp", "port": 82}
            ))  # fmt: skip
        except VneterError as refused:
            answers.append(refused)

    time.sleep(EVERY)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        fleet.until(lambda: left_behind(fleet), 10, what="flows of a trace")
        yield answers
    finally:
        thread.join(30)


def test_one_at_a_time(fleet):
    with under_way(fleet) as answers, pytest.raises(Conflict, match="one at a time"):
        fleet.controller.client.inject(
            {"tenant": "red", "source": "a", "target": "b", "protocol": "icmp"}
        )
    assert answers[0]["seen"]
    assert not left_behind(fleet)


def test_flows_go_by_themselves_when_the_core_dies(fleet):
    with under_way(fleet) as answers:
        os.kill(fleet.controller.child("daemon.core"), signal.SIGKILL)
    assert isinstance(answers[0], VneterError)
    began = time.monotonic()
    fleet.until(lambda: not flows_left(fleet), HOLD + 5, what="bridges without flows of traces")
    assert time.monotonic() - began < HOLD + 2
    fleet.controller.await_synced(HOSTS)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (("red/a", "198.51.100.7"), "198.51.100.7 is an address outside"),
        (("red/a", "red/nowhere"), "there is no packet to inject: not attached"),
        (("red/a", "red/a"), "there is no packet to inject: self"),
    ],
)
def test_what_cannot_be_injected_is_said(fleet, trace, ends, said):
    client = fleet.controller.client
    client.apply([fleet.manifest("Endpoint", "nowhere", "red", network="net")])
    try:
        code, _, err = trace(*ends, "--tcp", "80")
    finally:
        client.delete("Endpoint", "red", "nowhere")
    assert code == 1
    assert said in err


def test_bridges_that_do_not_answer(fleet, trace):
    """One on the way: what becomes of it there is not known. The sender's: nothing is injected."""
    pid = int((fleet.directory("h3") / "ovs-vswitchd.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        _, found, _ = trace("red/a", "red/d", "--tcp", "80")
        assert found["inject"]["allowed"] is None
        (hop,) = [hop for hop in found["inject"]["hops"] if hop["host"] == "h3"]
        # The latter once echoes are missed, which a busy machine may find first.
        assert hop["why"] in {"did not take the flows in time", "is not connected"}

        def away():
            return fleet.controller.conditions("Host", "h3")["OpenFlowConnected"][0] != "True"

        fleet.until(away, 30, what="the loss of h3")
        code, _, err = trace("red/d", "red/a", "--tcp", "80")
        assert code == 5
        assert "the bridge of h3 is away" in err
    finally:
        os.kill(pid, signal.SIGCONT)
    fleet.controller.await_synced(HOSTS)
