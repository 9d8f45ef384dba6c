# SPDX-License-Identifier: Apache-2.0
"""Marked packets through the live data plane: where they are seen, and what they leave behind."""

import json
import re

import pytest

from vneter_sdn.cli.main import run

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


def left_behind(fleet):
    """Flows and connections of traces."""
    flows = [
        line
        for host in HOSTS
        for line in fleet.ofctl(host, "dump-flows").splitlines()
        if "cookie=0x74" in line or "priority=65535" in line
    ]
    connections = [
        line
        for host in HOSTS
        for line in fleet.appctl(host, "dpctl/dump-conntrack").splitlines()
        if "sport=6" in line
    ]
    return flows + connections


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


def test_nobody_is_answered_and_workloads_see_nothing(fleet, trace):
    """Neither the SYN comes to the target, nor its refusal to the sender."""
    listeners = [
        fleet.popen(who, "tcpdump", "-c1", "-nli", "eth0", "tcp") for who in ("red/a", "red/b")
    ]
    try:
        for port in ("80", "83"):
            assert trace("red/a", "red/b", "--tcp", port)[0] == 0
        assert [one.poll() for one in listeners] == [None, None]
    finally:
        for one in listeners:
            one.kill()
            one.wait()


def test_for_reading(trace):
    code, out, _ = trace("red/a", "red/b", "--tcp", "80", output="text")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "they agree"
    rows = [re.split(r" {3,}", line) for line in lines[-4:-1]]
    assert [row[:2] for row in rows] == [
        ["model", "allowed"], ["ofproto/trace", "allowed"], ["injected", "allowed"],
    ]  # fmt: skip
    assert "  h2 by h1>h2: entry > classify > arrival > remember > ingress > " in out


def test_a_flow_that_is_gone_is_told_of(fleet, trace):
    """What leads to h2 is deleted by hand; nobody repairs it before the next audit."""
    found = fleet.ofctl("h1", "--no-names", "dump-flows")
    (line,) = [one for one in found.splitlines() if "table=138," in one and "group" in one][:1]
    assert line
