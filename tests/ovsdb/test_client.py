# SPDX-License-Identifier: Apache-2.0
"""The client against a real ovsdb-server."""

import threading
from uuid import UUID

import pytest

from vneter_sdn.errors import OvsdbError, SessionClosed
from vneter_sdn.ovsdb import operations as op
from vneter_sdn.ovsdb.client import Client, Limits
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.values import NamedUuid

pytestmark = pytest.mark.ovs


def test_lists_databases_and_reads_a_schema(database):
    with Client(database.remote) as client:
        assert "Open_vSwitch" in client.list_dbs()
        schema = client.get_schema("Open_vSwitch")
    assert schema.tables["Bridge"]["flow_tables"].key == "integer"
    assert schema.tables["Bridge"]["name"].scalar
    assert schema.tables["Port"]["tag"].maximum == 1


def test_transacts_and_reads_back(database):
    with Client(database.remote) as client:
        inserted, _ = client.transact(
            "Open_vSwitch",
            [
                op.insert("Open_vSwitch", {"external_ids": {"a": "b", "c": "d"}}),
                op.commit(durable=True),
            ],
        )
        assert isinstance(inserted.uuid, UUID)
        (selected,) = client.transact(
            "Open_vSwitch", [op.select("Open_vSwitch", [], ["_uuid", "external_ids"])]
        )
    assert selected.rows == ({"_uuid": inserted.uuid, "external_ids": {"a": "b", "c": "d"}},)


def test_refusal_names_the_operation(database):
    with Client(database.remote) as client:
        with pytest.raises(OvsdbError) as refused:
            client.transact(
                "Open_vSwitch",
                [op.comment("one"), op.insert("Open_vSwitch", {"no_such": 1})],
            )
        assert (refused.value.index, refused.value.error) == (1, "unknown column")
        with pytest.raises(OvsdbError, match="timed out") as refused:
            client.transact("Open_vSwitch", [op.wait("Open_vSwitch", [], {"db_version": "9"})])
        assert refused.value.index == 0
        with pytest.raises(OvsdbError, match="unknown database"):
            client.get_schema("nothing")
        assert client.list_dbs()


def test_monitor_follows_other_writers(database):
    with Client(database.remote) as client, Client(database.remote) as writer:
        first = client.monitor(
            "Open_vSwitch", {"Open_vSwitch": None, "Bridge": ["name", "flow_tables"], "Nope": None}
        )
        replica = Replica(client.watched("Open_vSwitch"))
        assert replica.apply(first) == frozenset()
        writer.transact(
            "Open_vSwitch",
            [
                op.insert("Open_vSwitch", {"bridges": NamedUuid("b")}),
                op.insert("Bridge", {"name": "br0"}, "b"),
            ],
        )
        changed = [replica.apply(update) for update in client.poll(10)]
    assert {table for rows in changed for table, _ in rows} == {"Open_vSwitch", "Bridge"}
    ((uuid, bridge),) = replica.table("Bridge").items()
    assert bridge == {"name": "br0", "flow_tables": {}}
    ((_, root),) = replica.table("Open_vSwitch").items()
    assert root["bridges"] == frozenset({uuid})


def test_resumes_where_it_stopped(database):
    with Client(database.remote) as client:
        client.monitor("Open_vSwitch", {"Open_vSwitch": ["db_version"]})
        client.transact("Open_vSwitch", [op.insert("Open_vSwitch", {})])
        last = client.poll(10)[-1].last_txn
        client.transact("Open_vSwitch", [op.update("Open_vSwitch", [], {"db_version": "7"})])
    with Client(database.remote) as client:
        update = client.monitor("Open_vSwitch", {"Open_vSwitch": ["db_version"]}, since=last)
    # A standalone server keeps no history across monitors: both answers are correct.
    kinds = {change.kind for rows in update.tables.values() for change in rows.values()}
    assert kinds == ({"initial"} if update.full else {"modify"})


def test_interrupt_ends_a_wait(database):
    with Client(database.remote) as client:
        client.monitor("Open_vSwitch", {"Open_vSwitch": []})
        thread = threading.Thread(target=client.interrupt)
        thread.start()
        assert client.poll(60) == []
        thread.join()


def test_a_dying_server_ends_the_session(database):
    with Client(database.remote) as client:
        client.list_dbs()
        database.stop("ovsdb-server")
        with pytest.raises(SessionClosed, match=r"db\.sock"):
            client.poll(20)
        assert client.closed
        with pytest.raises(SessionClosed):
            client.list_dbs()


def test_nobody_there(tmp_path):
    with pytest.raises(SessionClosed, match="cannot connect"):
        Client(f"unix:{tmp_path}/none")


def test_idle_clients_are_probed_and_live(database):
    with Client(database.remote, limits=Limits(probe=0.5)) as client:
        client.poll(1.2)
        assert not client.closed
        assert client.counters.unknown_replies == 0
        assert client.list_dbs()
