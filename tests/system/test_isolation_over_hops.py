# SPDX-License-Identifier: Apache-2.0
"""Two tenants with the same addresses on bridges joined by wires and by tunnels, relayed by both.

A chain of three bridges by wires (a1, a2, a3) and one of two (b1, b2); a1, a3 and b1 have tunnels
to one another, of which that between a1 and b1 is not used: so a1 and b1 reach each other only by
way of a3, and from a2 to b2 it is a wire, a tunnel and a wire, or a wire, two tunnels and a wire.
"""

import re
import time
from contextlib import contextmanager

import pytest

from vneter_sdn.fleet.expectation import Finding
from vneter_sdn.fleet.lifecycle import links
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.strands import between, set_state
from vneter_sdn.fleet.topology import Link, Topology

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]
TENANTS = ("red", "blue")
PREFIXES = ["10.0.0.0/24", "fd00::/64"]


def wire(*ends):
    return Link(ends=ends, medium="wire")


MIXED = Topology(
    hosts=("a1", "a2", "a3", "b1", "b2"),
    switches=("u",),
    links=(wire("a1", "a2"), wire("a2", "a3"), wire("b1", "b2"),
           ("a1", "u"), ("a3", "u"), ("b1", "u")),
)  # fmt: skip
COLOUR = re.compile(r"set_field:([0-9a-f]{2}):")
USED = {"a1.w-a2-a2.w-a1", "a2.w-a3-a3.w-a2", "b1.w-b2-b2.w-b1", "a1-a3", "a3-b1"}


@pytest.fixture(scope="module")
def mixed(fleet):
    """Two tenants alike, with a workload of each on every host."""
    fleet.up(MIXED)
    unused = {"source": "a1", "target": "b1", "medium": "tunnel", "disabled": True}
    objects = [fleet.manifest("Link", "unused", **unused)]
    for tenant in TENANTS:
        objects.append(fleet.manifest("Tenant", tenant))
        objects.append(fleet.manifest("Network", "net", tenant, prefixes=PREFIXES))
    fleet.controller.client.apply(objects)
    fleet.attach(*((tenant, f"on-{h}", "net", h) for tenant in TENANTS for h in MIXED.hosts))
    fleet.until(lambda: all_up(fleet), 60, "all links up")
    return fleet


def all_up(fleet):
    return {name for name, state in fleet.links().items() if state == "up"} >= USED


@contextmanager
def cut(fleet, *ends):
    """Without a link, once that is seen; afterwards all is as before."""
    strands = between(links(fleet.layout), *ends)
    set_state(strands, "down")
    try:
        fleet.until(lambda: not all_up(fleet), 60, "that it is seen to be cut")
        yield
    finally:
        set_state(strands, "up")
    fleet.until(lambda: all_up(fleet), 120, "all links up again")


def unreached(fleet):
    """Pairs of one tenant, as hosts, that do not reach each other; whatever else differs fails."""
    report = probe(list(fleet.records.values()), Method(tcp=(80,), udp=(53,)))
    pairs = len(fleet.records) * (len(fleet.records) - 1)
    assert len(report.findings) == pairs * len(PREFIXES) * 3
    wrong = {one: how for one, how in report.findings.items() if not how.good}
    assert set(wrong.values()) <= {Finding.UNREACHABLE}, wrong
    return {
        (fleet.records[one.source].host, fleet.records[report.wanted[one]].host) for one in wrong
    }


def agrees(fleet, apart=frozenset()):
    """Wait until all reach whom they are to reach; ``apart``: pairs of hosts that cannot."""
    deadline = time.monotonic() + 120
    while (found := unreached(fleet)) != apart:
        assert time.monotonic() < deadline, (found, fleet.links())


def ways(fleet, host):
    """Most colours that any select group of a bridge writes."""
    told = fleet.ofctl(host, "dump-groups")
    groups = [line for line in told.splitlines() if "type=select" in line]
    return max((len(set(COLOUR.findall(line))) for line in groups), default=0)


def test_the_tenants_have_the_same_addresses(mixed):
    held = {
        tenant: {address for one in mixed.records.values() if one.tenant == tenant
                 for address in one.addresses}
        for tenant in TENANTS
    }  # fmt: skip
    assert held["red"] & held["blue"], "or it proves less than it says"


def test_every_pair_is_as_the_intent_has_it(mixed):
    agrees(mixed)


def test_and_with_a_wire_cut(mixed):
    with cut(mixed, "a2", "a3"):
        agrees(mixed)
    agrees(mixed)


def test_and_over_two_paths_and_with_one_of_them_cut(mixed):
    spread = {"paths": 2, "sharing": "unequal"}
    policies = [mixed.manifest("PathPolicy", one, tenants=[one], **spread) for one in TENANTS]
    mixed.controller.client.apply(policies)
    mixed.until(lambda: ways(mixed, "a2") == 2, 60, "two ways out of a2")
    agrees(mixed)
    for ends in (("a2", "a3"), ("a1", "a2")):
        with cut(mixed, *ends):
            agrees(mixed)
        agrees(mixed)


def test_halves_that_are_parted_do_not_reach_each_other_nor_anybody_else(mixed):
    near, far = {"a1", "a2", "a3"}, {"b1", "b2"}
    apart = {(one, other) for one in near for other in far}
    apart |= {(other, one) for one, other in apart}
    with cut(mixed, "b1", "u"):
        agrees(mixed, apart)
    agrees(mixed)
