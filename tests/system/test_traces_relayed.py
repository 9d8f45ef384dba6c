# SPDX-License-Identifier: Apache-2.0
"""Marked packets that a third host's bridge passes on over wires, or does not."""

import json

import pytest

from vneter_sdn.cli.main import run
from vneter_sdn.fleet.topology import Link, Topology
from vneter_sdn.pipeline.tables import TABLES

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]
HOSTS = ("h1", "h2", "h3")
CHAIN = Topology(
    hosts=HOSTS,
    links=tuple(Link(ends=ends, medium="wire") for ends in (("h1", "h2"), ("h2", "h3"))),
)


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(CHAIN)
    fleet.tenant("red", {"a": "h1", "c": "h3"})
    fleet.until(lambda: list(fleet.links().values()) == ["up"] * 2, what="both wires up")


@pytest.fixture
def trace(fleet, capsys):
    def call():
        capsys.readouterr()
        ends = ("--from", "red/a", "--to", "red/c", "--tcp", "80", "--inject", "-o", "json")
        code = run(["trace", *ends, "--server", fleet.controller.server])
        out, err = capsys.readouterr()
        return None if code == 4 else (code, json.loads(out), err)

    return lambda: fleet.until(call, 10, what="a turn")


def test_over_another_bridge(fleet, trace):
    fleet.until(lambda: trace()[0] == 0, what="agreement")
    hops = trace()[1]["inject"]["hops"]
    assert [hop["host"] for hop in hops] == list(HOSTS)
    assert hops[1]["tables"][-2:] == ["arrival", "transit"]
    assert not hops[0]["edge"]
    assert all(hop["edge"] for hop in hops[1:])


def test_a_bridge_between_that_does_not_pass_it_on(fleet, trace):
    number = {one.name: one.id for one in TABLES}["transit"]
    fleet.ofctl("h2", "add-flow", f"table={number},priority=60000,tcp,actions=drop")
    try:
        code, found, err = trace()
    finally:
        fleet.ofctl("h2", "del-flows", f"table={number},tcp")
    assert code == 1
    assert found["inject"]["ended"] == "h2 transit"
    assert found["inject"]["allowed"] is found["live"]["allowed"] is False
    assert "h3: it does not come to h3 by " in err
