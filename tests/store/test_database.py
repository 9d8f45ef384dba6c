# SPDX-License-Identifier: Apache-2.0
"""The store in a real ovsdb-server: crashes, races between clients, restarts, schemas."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from vneter_sdn.errors import Conflict, SessionClosed, StoreUnavailable
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Binding
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.store import connection, filedb, schema
from vneter_sdn.store.embedded import EmbeddedDatabase
from vneter_sdn.store.ovsdb import Concurrency, OvsdbStore

pytestmark = pytest.mark.ovs


def owners(store: OvsdbStore, pool: str) -> list[str]:
    held = store.snapshot().allocations.values()
    return [a.owner for a in held if a.pool.startswith(pool) and a.owner.startswith("Endpoint")]


def settled(*stores: OvsdbStore) -> None:
    """Wait until every store has seen what the first has."""
    target = stores[0].snapshot().revision
    for store in stores:
        seen = store.snapshot()
        while seen.revision < target:
            found = store.wait(seen, 20.0)
            assert found is not None
            seen = found[0]


def test_a_database_that_takes_long_to_read_is_waited_for(
    connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().apply(given.world(), author="ada")
    openings = []

    def slowly(client: Client, breathe: Any) -> Any:
        openings.append(client)
        threading.Event().wait(0.6)
        return read(client, breathe)

    read = connection._open
    monkeypatch.setattr(connection, "_open", slowly)
    assert connect(patience=0.2).snapshot().revision == 1
    assert len(openings) == 1


def test_a_database_that_cannot_be_read_is_not_waited_for(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(client: Client, _: Any) -> Any:
        raise SessionClosed("of another kind")

    monkeypatch.setattr(connection, "_open", never)
    with pytest.raises(StoreUnavailable, match="of another kind"):
        connect(patience=0.2)


def test_much_at_once_lets_others_run(connect: Any, database: Any, given: Any) -> None:
    """As on eventlet: meanwhile others see the state before, and never half of it."""
    seen: list[int] = []
    follower: list[OvsdbStore] = []

    def breathe() -> None:
        if follower:
            seen.append(len(follower[0].snapshot().objects))

    follower.append(OvsdbStore(database.remote, concurrency=Concurrency(breathe=breathe)))
    empty = follower[0].snapshot()
    writer = connect()
    writer.apply([*given.world(), *(given.endpoint(f"m{n}") for n in range(200))], author="ada")
    assert follower[0].wait(empty, 20.0) is not None
    assert len(seen) > 10
    assert set(seen) == {0}
    follower[0].close()


def test_clients_race_and_none_loses(connect: Any, given: Any) -> None:
    stores = [connect() for _ in range(3)]
    stores[0].apply(given.world(), author="ada")
    failures: list[BaseException] = []

    def work(store: OvsdbStore, who: int) -> None:
        try:
            for number in range(10):
                store.apply([given.endpoint(f"w{who}-{number}")], author=str(who))
        except BaseException as error:  # noqa: BLE001 -- shown below
            failures.append(error)

    workers = [threading.Thread(target=work, args=(s, n)) for n, s in enumerate(stores)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    newest = connect()
    settled(newest, *stores)
    for pool in ("address/red/web/10", "address/red/web/fd", "slot", "mac/"):
        assert len(owners(newest, pool)) == len(set(owners(newest, pool))) == 31
    assert [e.number for e in newest.revisions()] == list(range(31, 0, -1))
    for store in stores:
        assert store.snapshot() == newest.snapshot()


def test_nobody_is_refused_for_what_one_client_has_not_seen(connect: Any, given: Any) -> None:
    first, second = connect(), connect()
    for number in range(20):
        prefix = f"10.{number + 1}.0.0/16"
        first.apply([given.edit("Tenant", "red")], author="a")
        first.apply([given.edit("Network", f"n{number}", prefixes=[prefix])], author="a")
        second.apply([given.endpoint(f"e{number}", f"n{number}")], author="b")
    settled(second, first)
    assert len(owners(first, "slot")) == 20


def test_kill_loses_nothing_acknowledged(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect(patience=30.0)
    store.apply(given.world(), author="ada")
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            store.apply([given.endpoint(f"k{number}")], author="x")
            acknowledged.append(f"k{number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    for target in (15, 30, 45):
        seen = store.snapshot()
        while len(acknowledged) < target:
            store.wait(seen, 0.2)
            seen = store.snapshot()
        database.stop(kill=True)
        database.start()
    stop.set()
    writer.join()
    fresh = connect()
    present = {key.name for key in fresh.snapshot().objects}
    assert set(acknowledged) <= present
    assert len(fresh.revisions(limit=10_000)) == fresh.snapshot().revision
    applied = [line for entry in fresh.revisions(limit=10_000) for line in entry.changes]
    assert len(applied) == len(set(applied)), "nothing was applied twice"


def test_a_lost_answer_is_found_in_the_journal(connect: Any, given: Any, lost: list[Any]) -> None:
    store = connect()
    store.apply(given.world(), author="ada")
    lost.clear()
    applied = store.apply([given.endpoint("once")], author="x")
    assert lost
    assert applied.created == (given.key("Endpoint", "once"),)
    assert applied.revision == 2
    assert len(store.revisions()) == 2


def test_unreachable_is_said_and_snapshots_remain(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect(patience=0.3)
    store.apply(given.world(), author="ada")
    known = store.snapshot()
    database.stop()
    with pytest.raises(StoreUnavailable):
        store.apply([given.endpoint("e2")], author="x")
    assert store.snapshot() is known
    with pytest.raises(StoreUnavailable):
        OvsdbStore(database.remote, patience=0.2)
    database.start()
    deadline = time.monotonic() + 20
    while not store.connected and time.monotonic() < deadline:
        store.wait(store.snapshot(), 0.05)
    store.apply([given.endpoint("e2")], author="x")
    assert store.snapshot().revision == 2


def test_reconnecting_shows_what_happened_meanwhile(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    first, second = connect(), connect()
    first.apply([*given.world(), given.endpoint("e2")], author="ada")
    settled(first, second)
    before = second.snapshot()
    database.stop(kill=True)
    database.start()
    first.apply([given.delete("Endpoint", "e2")], author="ada")
    settled(first, second)
    found = second.wait(before, 20.0)
    assert found is not None
    assert found[1].objects == {given.key("Endpoint", "e2")}


def test_a_database_that_went_back_is_refused(
    database: EmbeddedDatabase, connect: Any, given: Any, short_dir: Path
) -> None:
    store = connect(patience=0.5)
    store.apply(given.world(), author="ada")
    old = short_dir / "old.db"
    database.backup(old)
    store.apply([given.endpoint("e2")], author="ada")
    database.stop()
    old.rename(database.file)
    database.start()
    with pytest.raises(StoreUnavailable):
        store.apply([given.endpoint("e3")], author="ada")
    assert given.key("Endpoint", "e2") in store.snapshot().objects
    assert given.key("Endpoint", "e2") not in connect().snapshot().objects


def test_older_binding_from_another_client(connect: Any, given: Any) -> None:
    first, second = connect(), connect()
    first.apply(given.world(), author="ada")
    settled(first, second)
    key = given.key("Endpoint", "e1")
    first.bind([Binding(key, "h2", "veth", 7, 5)])
    second.bind([Binding(key, "h1", "veth", 3, 4)])
    assert connect().snapshot().bindings[key].host == "h2"


def test_failover_along_the_list(database: EmbeddedDatabase, short_dir: Path, given: Any) -> None:
    store = OvsdbStore(f"unix:{short_dir}/nothing,{database.remote}", patience=20.0)
    assert store.apply(given.world(), author="ada").revision == 1
    store.close()


def test_embedded_is_private_and_survives_leftovers(short_dir: Path) -> None:
    first = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    first.start()
    assert stat.S_IMODE(os.stat(first.socket).st_mode) == 0o600
    orphan = first.pid
    second = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    second.start()
    assert second.pid != orphan
    assert first.pid is None, "the server that its supervisor left behind was stopped"
    second.stop(kill=True)
    assert second.socket.exists()
    second.start()
    with Client(second.remote) as client:
        assert "vneter" in client.list_dbs()
    second.stop()


def test_backup_is_a_database(database: EmbeddedDatabase, connect: Any, given: Any) -> None:
    connect().apply(given.world(), author="ada")
    target = database.file.with_name("copy")
    database.backup(target)
    assert filedb.verify(target) >= 2
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_damage_is_found_before_it_is_served(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect()
    store.apply(given.world(), author="ada")
    store.apply([given.endpoint("e2")], author="ada")
    database.stop()
    whole = database.file.read_bytes()
    records = filedb.verify(database.file)
    middle = whole.index(b"OVSDB", 10) + 200
    database.file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(StoreUnavailable, match="damaged"):
        database.prepare()
    database.file.write_bytes(whole[:-3])
    assert filedb.verify(database.file) == records - 1, "a torn tail was never acknowledged"
    database.file.write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="empty"):
        database.prepare()


def test_schema_conversion(short_dir: Path) -> None:
    database = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    older = schema.document() | {"version": "0.9.0"}
    del older["tables"]["Object"]["columns"]["annotations"]
    _create(database, older, short_dir)
    database.prepare()
    assert filedb.schema_of(database.file).version == schema.VERSION
    assert database.file.with_suffix(".0.9.0.backup").exists()


@pytest.mark.parametrize("version", ["1.9.0", "0.9.0"])
def test_lossy_downgrade_is_refused(short_dir: Path, version: str) -> None:
    database = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    newer = schema.document() | {"version": version}
    newer["tables"]["Object"]["columns"]["future"] = {"type": "string"}
    _create(database, newer, short_dir)
    with pytest.raises(StoreUnavailable, match=r"Object\.future"):
        database.prepare()


def _create(database: EmbeddedDatabase, document: dict[str, Any], where: Path) -> None:
    database.file.parent.mkdir()
    source = where / "other.ovsschema"
    source.write_text(json.dumps(document))
    subprocess.run(["ovsdb-tool", "create", database.file, source], check=True, timeout=30)


def test_schema_file_is_current() -> None:
    assert schema.main(["--check"]) == 0


def test_a_sweep_forgets_no_route_that_is_revived_meanwhile(connect: Any, clock: Any) -> None:
    other = connect()
    other.colour({"h1>h2": 3, "h1>h3": 4})
    other.colour({}, ["h1>h2", "h1>h3"])
    clock.now += 200

    def while_judging() -> float:
        other.colour({"h1>h2": 3})
        return clock()

    sweeper = connect(wall=while_judging)
    assert sweeper.sweep().revision == 1
    settled(sweeper, other)
    for store in (sweeper, other):
        held = store.snapshot().allocations
        assert {place[1] for place in held} == {"h1>h2"}
        assert held["path", "h1>h2"].released is None


def test_clients_that_colour_one_route_agree(connect: Any) -> None:
    stores = [connect() for _ in range(3)]
    start = threading.Barrier(len(stores))

    def work(number: int) -> None:
        start.wait()
        for step in range(10):
            stores[number].colour({f"r{step}": number + 1})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].snapshot().revision == 0
    found = [store.snapshot().allocations for store in stores]
    for number, held in enumerate(found):
        assert len(held) == 10, number
        assert held == found[0]


def test_credentials_are_seen_by_every_client_and_after_a_restart(
    database: EmbeddedDatabase, connect: Any
) -> None:
    first, second = connect(), connect()
    given = Credential("ada", "aa", "{}", "root", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    first.issue(given)
    with pytest.raises(Conflict):
        second.issue(Credential("ada", "bb"))
    assert second.credential("ada") == given
    database.stop(kill=True)
    database.start()
    assert connect().credentials() == (given,)


def test_a_lost_answer_to_a_credential_is_no_conflict(connect: Any, lost: list[Any]) -> None:
    store = connect()
    lost.clear()
    store.issue(Credential("ada", "aa"))
    assert [one.name for one in store.credentials()] == ["ada"]
    lost.clear()
    store.revoke("ada")
    assert lost
    assert store.credentials() == ()
