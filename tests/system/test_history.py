# SPDX-License-Identifier: Apache-2.0
"""Going back, on a fleet: what comes back is reached again, where it was."""

import pytest

from vneter_sdn.errors import NotFound

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]
PING = ("ping", "-c1", "-W1")


def test_what_a_rollback_brings_back_is_reached_where_it_was(fleet):
    fleet.up(2)
    fleet.tenant("red", {"a": "h1", "b": "h2"})
    client = fleet.controller.client
    address = fleet.records["red/b"].addresses[0].partition("/")[0]

    def reached():
        return fleet.netns("red/a", *PING, address, check=False).returncode == 0

    fleet.until(reached)
    good = client.status()["revision"]
    before = client.get("Endpoint", "red", "b")
    client.delete("Endpoint", "red", "b")
    fleet.until(lambda: not reached())

    would = client.rollback(good, dry_run=True)
    assert [(one.verb, one.key.path) for one in would.diff] == [("created", "red/b")]
    done = client.rollback(good, "it was good")
    assert [key.path for key in done.created] == ["red/b"]
    fleet.until(reached)
    after = client.get("Endpoint", "red", "b")
    for field in ("addresses", "mac", "slot"):
        assert after["status"][field] == before["status"][field]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]

    fleet.controller.kill()
    fleet.controller.start()
    fleet.until(reached)
    assert client.revision(done.revision).revision.message == f"rollback to {good}: it was good"
    assert client.verify().broken is None
    client.rollback(done.revision - 1)
    fleet.until(lambda: not reached())
    with pytest.raises(NotFound):
        client.get("Endpoint", "red", "b")
    client.rollback(done.revision)
    fleet.until(reached)
    assert client.verify().entries == len(client.revisions(1000))
