# SPDX-License-Identifier: Apache-2.0
"""A database that came back older than what bridges confirmed deletes nothing by itself."""

import shutil

import pytest

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
MANY = 40
HELD = ("False", "ShrinkHeld")


def endpoint(system, number):
    return system.manifest("Endpoint", f"e{number}", "red", network="web")


def other(system):
    """A host that is not there, but has a tunnel to it."""
    return system.manifest("Host", "h2", ovsdb="unix:/nonexistent/db.sock",
                           tunnelAddresses=["127.0.0.2"], underlayMtu=1600)  # fmt: skip


def tunnels(switch):
    found = switch.vsctl("--bare", "--columns=name", "find", "Interface", "type=geneve")
    return len(found.split())


@pytest.fixture
def restored(make_controller, make_switch, system):
    """A controller that was stopped and whose database is as it was before most endpoints."""
    controller, switch = make_controller(), make_switch()
    controller.start()
    client = controller.client
    client.apply([
        system.manifest("Host", "h1", ovsdb=switch.ovsdb, datapathType="dummy",
                        tunnelAddresses=["127.0.0.1"], underlayMtu=1600),
        system.manifest("Tenant", "red"),
        system.manifest("Network", "web", "red", prefixes=["10.0.0.0/16"]),
        endpoint(system, 0),
    ])  # fmt: skip
    controller.await_synced(["h1"])
    switch.attach("red/e0")
    client.wait("Endpoint", "red", "e0")
    controller.stop()
    database = controller.scratch / "state" / "vneter.db"
    shutil.copy(database, controller.scratch / "old.db")
    controller.start()
    client.apply([other(system), *(endpoint(system, n) for n in range(1, MANY))])
    switch.attach(*(f"red/e{n}" for n in range(1, MANY)))
    for number in range(1, MANY):
        client.wait("Endpoint", "red", f"e{number}")
    controller.await_synced(["h1"])
    system.until(lambda: tunnels(switch) == 1, what="the tunnel")
    controller.stop()
    shutil.copy(controller.scratch / "old.db", database)
    return controller, switch


def test_nothing_is_deleted_and_the_host_says_why(restored, system):
    controller, switch = restored
    before = switch.flows()
    assert before > MANY
    controller.start()
    system.until(lambda: controller.conditions("Host", "h1").get("InSync") == HELD)
    assert switch.flows() == before
    (message,) = [c["message"] for c in told(controller)["conditions"] if c["type"] == "InSync"]
    assert "--accept-older-intent" in message
    for number in range(3):  # edits raise the revision, but they are not what is missing
        controller.client.apply([system.manifest("Tenant", f"t{number}")])
    controller.stop()
    since = controller.log_length()
    controller.start()
    controller.client.apply([system.manifest("Network", "db", "red", prefixes=["10.1.0.0/16"])])
    revision = controller.client.status()["revision"]
    controller.await_log("bridge connected", 1, since)
    system.until(lambda: told(controller)["compiledRevision"] == revision)
    assert controller.conditions("Host", "h1")["InSync"] == HELD
    assert switch.flows() == before
    assert tunnels(switch) == 1
    assert "in sync" not in controller.log.read_text()[since:]


def told(controller):
    return controller.client.get("Host", "", "h1")["status"]


def test_the_intent_applied_again_goes_on(restored, system):
    controller, switch = restored
    before = switch.flows()
    controller.start()
    system.until(lambda: controller.conditions("Host", "h1").get("InSync") == HELD)
    controller.client.apply(
        [other(system), *(endpoint(system, n) for n in range(1, MANY))], "the same again"
    )
    controller.await_synced(["h1"])
    assert switch.flows() == before
    assert tunnels(switch) == 1


def test_an_operator_may_accept_what_is_left(restored, system):
    controller, switch = restored
    before = switch.flows()
    controller.start("--accept-older-intent")
    system.until(lambda: switch.flows() < before - 50, what="the deletion")
    system.until(lambda: tunnels(switch) == 0, what="the end of the tunnel")
    controller.stop()
    controller.start()
    controller.await_synced(["h1"])
