# SPDX-License-Identifier: Apache-2.0
"""Bridges that have to forget at each change: plans for them, and what such a bridge does."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model.flow import BridgeState, Flow, Output, match
from vneter_sdn.pipeline import eras
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.pipeline.text import flow_text
from vneter_sdn.reconcile.apply import apply
from vneter_sdn.reconcile.diff import diff
from vneter_sdn.reconcile.plan import Observed, Step, Verb
from vneter_sdn.reconcile.renewal import renewing
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.sandbox import Sandbox
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
from vneter_sdn.southbound.ovsdb.observe import HostFacts

wishes = st.lists(st.frozensets(st.integers(0, 3)), max_size=6)


def state(numbers):
    flows = (Flow(6, 1, match(reg1=n), (Output(1),), None, Cookie(1, 1, n).number) for n in numbers)
    return BridgeState.of(flows)


def era(observed):
    return [eras.era_of(observed.flows[key]) for key in eras.KEYS if key in observed.flows]


@given(wishes)
def test_each_plan_that_changes_anything_begins_one_era_and_ends_one(history):
    observed, begun = Observed(), 0
    for numbers in history:
        wanted = state(numbers)
        plan = renewing(diff(wanted, observed), observed)
        changes = wanted.flows != {k: f for k, f in observed.flows.items() if k not in eras.KEYS}
        assert bool(plan) == changes
        begun += changes
        observed = apply(plan, observed)
        assert era(observed) == ([begun - 1] if begun else [])
        assert {k for k in observed.flows if k not in eras.KEYS} == wanted.flows.keys()


def test_eras_go_round():
    last = eras.flow(eras.ERAS - 1)
    observed = Observed({last.key: last})
    plan = renewing(diff(state([1]), observed), observed)
    assert plan.bundle[-2:] == (Step(Verb.ADD, eras.flow(0)), Step(Verb.DELETE, last))


def test_of_two_that_somebody_left_the_later_goes_too():
    observed = Observed({f.key: f for f in (eras.flow(4), eras.flow(5))})
    found = apply(renewing(diff(state([1]), observed), observed), observed)
    assert era(found) == [6]


def test_a_bridge_that_is_kept_renews_where_it_is_wished():
    bridges = MemoryBridges()
    bridges.connect(1)
    bridges.desire(1, DesiredBridge(state([1]), 1, renews=True))
    assert era(bridges.observed(1)) == [0]
    bridges.desire(1, DesiredBridge(state([1]), 2, renews=True))
    assert era(bridges.observed(1)) == [0]
    bridges.desire(1, DesiredBridge(state([1]), 2, renews=None))
    assert era(bridges.observed(1)) == [0]
    bridges.desire(1, DesiredBridge(state([1, 3]), 2, renews=None))
    assert era(bridges.observed(1)) == [1]
    bridges.restart(1)
    bridges.connect(1)
    bridges.desire(1, DesiredBridge(state([1, 2]), 3, renews=True))
    assert len(era(bridges.observed(1))) == 1
    bridges.desire(1, DesiredBridge(state([2]), 4))
    assert era(bridges.observed(1)) == []


@pytest.mark.parametrize(
    ("version", "datapath", "confused"),
    [
        ("3.1.0", "netdev", True),
        ("3.1.2", "netdev", True),
        ("3.1.3", "netdev", False),
        ("2.17.7", "netdev", True),
        ("2.17.8", "netdev", False),
        ("2.13.8", "netdev", True),
        ("3.0.5", "netdev", False),
        ("3.2.0", "netdev", False),
        ("4.0.1", "netdev", False),
        ("", "netdev", True),
        ("3.1.0", "", False),
        ("3.1.0", "system", False),
        ("3.1.0", "dummy", False),
    ],
)
def test_which_datapaths_mix_up_megaflows(version, datapath, confused):
    facts = HostFacts(version, frozenset(), frozenset(), 1, datapath)
    assert facts.mixes_up_megaflows == confused


class Datapath(Sandbox):
    """One whose megaflows are looked at."""

    def appctl(self, *words):
        pid = (self.directory / "ovs-vswitchd.pid").read_text().strip()
        return self.run("ovs-appctl", "-t", f"{self.directory}/ovs-vswitchd.{pid}.ctl", *words)

    def receive(self, *addresses):
        for address in addresses:
            sent = (
                "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
                f"ipv4(src=10.9.9.9,dst={address},proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
            )
            self.appctl("netdev-dummy/receive", "p1", sent)

    def megaflows(self):
        told = self.appctl("dpctl/dump-flows").splitlines()
        return [line for line in told if "actions:" in line]

    def await_megaflows(self, count):
        limit = time.monotonic() + 10
        while len(self.megaflows()) != count:
            assert time.monotonic() < limit, self.megaflows()

    def commit(self, *lines):
        path = Path(self.directory) / "bundle"
        path.write_text("".join(f"{line}\n" for line in lines))
        self.ofctl("--bundle", "add-flows", str(self.management), str(path))
        self.appctl("revalidator/wait")


def swapped(number):
    """Lines that begin an era, and end the one before."""
    begun, ended = eras.flow(number), flow_text(eras.flow(number - 1))
    gone = ended.partition(" actions=")[0].partition(",")[2] if number else "table=99"
    return f"add {flow_text(begun)}", f"delete_strict {gone}"


@pytest.mark.ovs
@pytest.mark.parametrize("renews", [False, True])
def test_overlapping_megaflows_of_a_real_bridge(renews):
    """The steps of the fault that Open vSwitch describes; at the end nothing may come out."""
    with Datapath(3) as sandbox:

        def renewed(number):
            return swapped(number) if renews else ()

        sandbox.vsctl("set", "Interface", "p1", "type=dummy-pmd")
        sandbox.appctl("time/stop")
        sandbox.commit("add table=0,priority=1 actions=goto_table:6", *renewed(0))
        sandbox.commit("add table=6,ip,nw_dst=10.1.2.0/24 actions=output:2", *renewed(1))
        sandbox.receive("10.1.2.2")
        sandbox.await_megaflows(1)
        sandbox.commit(
            "add table=6,ip,nw_dst=10.1.0.0/16 actions=output:3",
            "delete table=6,ip,nw_dst=10.1.2.0/24",
            *renewed(2),
        )
        for _ in range(20):  # so that it is looked up before the one of before
            sandbox.receive("10.1.0.2")
        sandbox.await_megaflows(1 if renews else 2)
        sandbox.appctl("time/warp", "3000", "100")
        sandbox.receive("10.1.0.2", "10.1.2.2")
        sandbox.await_megaflows(1 if renews else 2)
        sandbox.commit("add table=6,ip,nw_dst=10.1.0.0/16 actions=drop", *renewed(3))
        leaks = [line for line in sandbox.megaflows() if not line.endswith("actions:drop")]
        (version,) = re.findall(r"ovs-vswitchd.* (\S+)\n", sandbox.appctl("version"))
        broken = HostFacts(version, frozenset(), frozenset(), 1, "netdev").mixes_up_megaflows
        assert bool(leaks) == (broken and not renews), leaks
