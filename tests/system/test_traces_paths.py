# SPDX-License-Identifier: Apache-2.0
"""Traces where a policy spreads connections over wires: the bridges go by select groups."""

import json

import pytest

from vneter_sdn.cli.main import run
from vneter_sdn.fleet.topology import Link, Topology

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]
FOUR = Topology(hosts=("h1", "h2"), links=(Link(ends=("h1", "h2"), medium="wire"),) * 4)


@pytest.fixture(scope="module")
def wired(fleet):
    """Two hosts, four wires, and a workload on each."""
    fleet.up(FOUR)
    fleet.tenant("red", {"a": "h1", "b": "h2"})
    fleet.until(lambda: list(fleet.links().values()) == ["up"] * 4, what="all wires up")
    return fleet


def differences(fleet, capsys, *words):
    capsys.readouterr()
    ends = ("--from", "red/a", "--to", "red/b")
    server = ("--server", fleet.controller.server)
    code = run(["trace", *ends, *words, "--live", "-o", "json", *server])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["live"]["agrees"] else 1)
    assert found["allowed"]
    return found["live"]["differences"]


def injected(fleet, capsys, *words):
    """What a marked packet does otherwise than the model says, or ofproto/trace."""
    ends = ("--from", "red/a", "--to", "red/b", *words, "--inject", "-o", "json")

    def once():
        capsys.readouterr()
        code = run(["trace", *ends, "--server", fleet.controller.server])
        return None if code == 4 else json.loads(capsys.readouterr().out)

    found = fleet.until(once, 10, what="a turn")
    assert found["inject"]["allowed"]
    return found["inject"]["differences"] + found["live"]["differences"]


def agreed(fleet, capsys):
    every = (("--tcp", "80"), ("--udp", "53"), ("--icmp",))
    return [one for words in every for one in differences(fleet, capsys, *words)]


def test_over_wires(wired, capsys):
    wired.until(lambda: not agreed(wired, capsys), what="agreement")
    assert not injected(wired, capsys, "--tcp", "80")


def test_over_several_paths(wired, capsys):
    wired.controller.client.apply(
        [wired.manifest("PathPolicy", "spread", paths=4, sharing="equal")]
    )

    def settled():
        return all("type=select" in wired.ofctl(host, "dump-groups") for host in ("h1", "h2"))

    wired.until(settled, what="shares")
    last = []

    def agree():
        last[:] = agreed(wired, capsys)
        return not last

    try:
        wired.until(agree, 15, what="agreement")
    except AssertionError:
        raise AssertionError(last) from None
    for words in (("--tcp", "80"), ("--udp", "53"), ("--icmp",)):
        assert not injected(wired, capsys, *words)
