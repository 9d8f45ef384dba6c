# SPDX-License-Identifier: Apache-2.0
"""A bridge that cannot hold a flow: its object is named, and everybody else is served."""

import pytest

from vneter_sdn.pipeline.tables import table

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(120)]


def test_a_full_table_costs_only_who_does_not_fit(make_controller, make_switch, system):
    # What was refused is tried again with each reading of the bridge.
    controller, switch = make_controller("--readback-interval", "5"), make_switch()
    controller.start()
    client = controller.client
    client.apply([
        system.manifest("Host", "h1", ovsdb=switch.ovsdb, datapathType="dummy",
                        tunnelAddresses=["127.0.0.1"], underlayMtu=1600),
        system.manifest("Tenant", "red"),
        system.manifest("Network", "web", "red", prefixes=["10.0.0.0/24"]),
        *(system.manifest("Endpoint", name, "red", network="web") for name in "abc"),
    ])  # fmt: skip
    controller.await_synced(["h1"])
    switch.attach("red/a")
    client.wait("Endpoint", "red", "a")
    (row,) = switch.vsctl("--bare", "--columns=_uuid", "find", "Flow_Table",
                            "name=classify").split()  # fmt: skip
    room = switch.flows(f"table={table('classify').id}") + 1
    switch.vsctl("set", "Flow_Table", row, f"flow_limit={room}", "overflow_policy=refuse")
    switch.attach("red/b")
    client.wait("Endpoint", "red", "b")
    switch.attach("red/c")
    rejected = ("False", "RejectedByBridge")
    system.until(lambda: controller.conditions("Endpoint", "c", "red").get("Ready") == rejected)
    assert controller.conditions("Host", "h1")["InSync"] == ("False", "BundleRejected")
    for name in "ab":
        assert controller.conditions("Endpoint", name, "red")["Ready"][0] == "True"
    client.apply([system.manifest("Endpoint", "d", "red", network="web"),
                  system.manifest("Network", "db", "red", prefixes=["10.0.1.0/24"])])  # fmt: skip
    switch.vsctl("clear", "Flow_Table", row, "flow_limit")
    client.wait("Endpoint", "red", "c")
    controller.await_synced(["h1"])
