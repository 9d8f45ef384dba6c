# SPDX-License-Identifier: Apache-2.0
"""A replica follows a real ovsdb-server through any transactions, ``modify`` differences too."""

import json
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError, OvsdbError
from vneter_sdn.ovsdb import operations as op
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.ovsdb.protocol import RowChange, Update, watched_columns
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.schema import Schema
from vneter_sdn.ovsdb.values import encode

SCHEMA = {
    "name": "db",
    "version": "1.0.0",
    "tables": {
        "T": {
            "isRoot": True,
            "columns": {
                "name": {"type": "string"},
                "real": {"type": "real"},
                "flag": {"type": "boolean"},
                "maybe": {"type": {"key": "integer", "min": 0, "max": 1}},
                "many": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                "some": {"type": {"key": "integer", "min": 1, "max": 3}},
                "map": {
                    "type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}
                },
                "pair": {"type": {"key": "string", "value": "string", "min": 0, "max": 1}},
                "peers": {
                    "type": {
                        "key": {"type": "uuid", "refTable": "T", "refType": "weak"},
                        "min": 0,
                        "max": "unlimited",
                    }
                },
            },
        }
    },
}
NAMES = st.sampled_from(["a", "b", "c", 'q"\\', "ü\u2028"])
SMALL = st.integers(-1, 3)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "real": st.sampled_from([0.0, 1.5, -2.0, 1e300]),
        "flag": st.booleans(),
        "maybe": st.frozensets(SMALL, max_size=1),
        "many": st.frozensets(NAMES),
        "some": st.frozensets(SMALL, min_size=1, max_size=3),
        "map": st.dictionaries(NAMES, SMALL, max_size=4),
        "pair": st.dictionaries(NAMES, NAMES, max_size=1),
    },
)
WHERE = NAMES.map(lambda name: [("name", "==", name)]) | st.just([])
MUTATION = (
    st.tuples(st.just("many"), st.sampled_from(["insert", "delete"]), st.frozensets(NAMES))
    | st.tuples(st.just("map"), st.just("insert"), st.dictionaries(NAMES, SMALL, max_size=3))
    | st.tuples(st.just("map"), st.just("delete"), st.frozensets(NAMES))
    | st.tuples(st.just("real"), st.sampled_from(["+=", "*="]), st.just(2.0))
)
OPERATION = (
    st.builds(lambda row: op.insert("T", row), ROW)
    | st.builds(lambda where, row: op.update("T", where, row), WHERE, ROW)
    | st.builds(lambda where, m: op.mutate("T", where, m), WHERE, st.lists(MUTATION, min_size=1))
    | NAMES.map(lambda name: op.delete("T", [("name", "==", name)]))
)


@pytest.fixture
def server(ovs, tmp_path):
    (tmp_path / "db.ovsschema").write_text(json.dumps(SCHEMA))
    sandbox = ovs()
    sandbox.start_database(tmp_path / "db.ovsschema")
    return sandbox


def dump(server) -> dict:
    """The table as ``ovsdb-client dump`` has it, in the wire form."""
    text = server.run("ovsdb-client", "--format=json", "dump", server.remote, "db")
    table = json.loads(text.split("\n")[0])
    rows = (dict(zip(table["headings"], row, strict=True)) for row in table["data"])
    return {row.pop("_uuid")[1]: row for row in rows}


def as_wire(replica: Replica) -> dict:
    schema = Schema.parse(SCHEMA).tables["T"]
    found = {}
    for uuid, row in replica.table("T").items():
        wire = {column: encode(value) for column, value in row.items()}
        for column, value in wire.items():
            single = isinstance(value, list) and value[0] == "set" and len(value[1]) == 1
            if single and schema[column].value is None:
                wire[column] = value[1][0]
        found[str(uuid)] = wire
    return found


def ordered(rows: dict) -> dict:
    """The same with sets and maps sorted."""

    def sort(value):
        if isinstance(value, list) and value[0] in ("set", "map"):
            return [value[0], sorted(value[1])]
        return value

    return {uuid: {c: sort(v) for c, v in row.items()} for uuid, row in rows.items()}


@pytest.mark.ovs
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(OPERATION, min_size=1, max_size=4), min_size=1, max_size=6))
def test_replica_equals_dump(server, transactions):
    with Client(server.remote) as client, Client(server.remote) as writer:
        first = client.monitor("db", {"T": None})
        replica = Replica(client.watched("db"))
        replica.apply(first)
        for operations in transactions:
            before = dict(replica.table("T"))
            try:
                writer.transact("db", operations)
            except OvsdbError:
                continue
            writer.transact(
                "db", [op.update("T", [("name", "==", "c")], {"peers": everyone(writer)})]
            )
            writer.list_dbs()
            client.list_dbs()
            changed = {row for update in client.poll() for _, row in replica.apply(update)}
            after = replica.table("T")
            really = {u for u in {*before, *after} if before.get(u) != after.get(u)}
            assert really <= changed
        assert ordered(as_wire(replica)) == ordered(dump(server))
        writer.transact("db", [op.delete("T", [("name", "!=", "a")])])


def everyone(client: Client) -> frozenset[UUID]:
    (found,) = client.transact("db", [op.select("T", [], ["_uuid"])])
    return frozenset(row["_uuid"] for row in found.rows)


WATCHED = watched_columns(Schema.parse(SCHEMA), {"T": None})
ONE, TWO = UUID(int=1), UUID(int=2)


def test_a_full_update_replaces_what_is_not_in_it():
    replica = Replica(WATCHED)
    rows = {ONE: RowChange("initial", {"name": "a"}), TWO: RowChange("initial")}
    assert len(replica.apply(Update("db", {"T": rows}, full=True))) == 2
    del rows[TWO]
    assert replica.apply(Update("db", {"T": rows}, full=True)) == {("T", TWO)}
    assert replica.table("T")[ONE]["some"] == {0}
    assert replica.apply(Update("db", {}, full=True)) == {("T", ONE)}


def test_an_update_that_does_not_fit_changes_nothing():
    replica = Replica(WATCHED)
    rows = {ONE: RowChange("insert"), TWO: RowChange("modify", {"name": "a"})}
    with pytest.raises(DecodeError):
        replica.apply(Update("db", {"T": rows}))
    assert not replica.table("T")
