# SPDX-License-Identifier: Apache-2.0
"""Traffic engineering on real hosts: declared traffic is spread, and a restart moves nothing."""

import pytest

from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import Link, Topology

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]
RING = Topology(
    hosts=("r1", "r2", "r3", "r4"),
    links=tuple(
        Link(ends=ends, medium="wire")
        for ends in (("r1", "r2"), ("r2", "r3"), ("r3", "r4"), ("r4", "r1"))
    ),
)


def test_declared_traffic_is_spread_over_both_ways(own_fleet):
    fleet = own_fleet
    client = fleet.controller.client
    fleet.up(RING)
    fleet.tenant("red", {"a": "r1", "b": "r3"})
    fleet.until(
        lambda: [i["status"].get("state") for i in client.list("Link")] == ["up"] * 4,
        what="four wires",
    )
    client.apply([
        fleet.manifest("Demand", "much", source="r1", target="r3", mbps=1500),
        fleet.manifest("PathPolicy", "spread", tenants=["red"], paths=2, sharing="engineered"),
    ])  # fmt: skip

    def status():
        return client.get("PathPolicy", "", "spread")["status"]

    def planned():
        found = status().get("plan", {}).get("r1>r3", ())
        return found if len(found) == 2 else None

    shares = fleet.until(planned, what="a plan of two paths")
    assert abs(shares[0]["weight"] - shares[1]["weight"]) <= 1
    fleet.until(lambda: len(status().get("colours", ())) >= 1, what="colours")
    highest = status()["maxUtilisation"]
    assert highest["ours"] <= 1.03 * highest["lpBound"] < highest["shortestPath"]
    ends = fleet.records["red/a"], fleet.records["red/b"]
    with Stream(*ends, rate=100, protocol="udp") as stream:
        assert stream.await_flow()
    before = status()["plan"]
    fleet.controller.kill()
    fleet.controller.start()
    fleet.controller.await_synced(record.name for record in fleet.hosts)
    fleet.until(lambda: status().get("plan"), what="the plan")
    assert status()["plan"] == before
