# SPDX-License-Identifier: Apache-2.0
"""The journal in a real ovsdb-server: tampering, restarts, several clients, older releases."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vneter_sdn.errors import IntentError, NotFound, StoreUnavailable
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.ovsdb.operations import Operation, delete, insert, mutate, select, update
from vneter_sdn.store import connection, journal, ledger, schema
from vneter_sdn.store.embedded import EmbeddedDatabase
from vneter_sdn.store.ovsdb import OvsdbStore
from vneter_sdn.store.port import Retention

pytestmark = pytest.mark.ovs


def behind(database: EmbeddedDatabase, *operations: Operation) -> list[Any]:
    """Do something to the database that no store knows of."""
    with Client(database.remote) as client:
        return client.transact("vneter", operations)


def together(work: Callable[..., None], *given: Iterable[Any]) -> None:
    """Do something at once in many threads; raises what any of them raised."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, *given))


def rows(database: EmbeddedDatabase, table: str, *columns: str) -> list[Any]:
    return list(behind(database, select(table, [], columns))[0].rows)


def five(store: OvsdbStore, given: Any) -> None:
    store.apply(given.world(), author="ada", message="first")
    for number in range(4):
        store.apply([given.endpoint(f"x{number}")], author="ada")
        store.audit([AuditEntry("ada", str(number))])


SECOND = [("number", "==", 2)]
TAMPERED = {
    "author": (update("Revision", SECOND, {"author": "bob"}), 2),
    "message": (update("Revision", SECOND, {"message": "!"}), 2),
    "time": (update("Revision", SECOND, {"time": "2020-01-01T00:00:00Z"}), 2),
    "lines": (update("Revision", SECOND, {"changes": "[]"}), 2),
    "garbled lines": (update("Revision", SECOND, {"changes": "{"}), 2),
    "diff": (update("Revision", SECOND, {"diff": "[]"}), 2),
    "packed diff": (update("Revision", SECOND, {"diff": "zlib:!"}), 2),
    "objects": (mutate("Revision", SECOND, [("objects", "insert", frozenset(["Tenant x"]))]), 2),
    "digest": (update("Revision", SECOND, {"digest": "00"}), 2),
    "previous": (update("Revision", SECOND, {"previous": "00"}), 2),
    "number": (update("Revision", SECOND, {"number": 77}), 77),
    "removed": (delete("Revision", SECOND), 3),
    "newest removed": (delete("Revision", [("number", "==", 5)]), 4),
    "all removed": (delete("Revision", []), 0),
    "swapped": (update("Revision", SECOND, {"position": 9}), 3),
    "put beside": (insert("Revision", {"number": 9, "uid": "x", "changes": "[]"}), 9),
    "head": (update("Chain", [("name", "==", "revisions")], {"head": "00"}), 5),
    "anchor": (update("Chain", [("name", "==", "revisions")], {"anchor": "00"}), 1),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_the_first_revision_that_is_not_as_it_was_is_named(
    database: EmbeddedDatabase, connect: Any, given: Any, how: str
) -> None:
    store = connect()
    five(store, given)
    assert store.verify().broken is None
    operation, broken = TAMPERED[how]
    behind(database, operation)
    found = store.verify()
    assert (found.broken, bool(found.reason)) == (broken, True)
    assert store.verify("audit").broken is None


@pytest.mark.parametrize(
    ("operation", "broken"),
    [
        (update("Audit", [("position", "==", 3)], {"outcome": "refused"}), 3),
        (delete("Audit", [("position", "==", 2)]), 3),
        (delete("Audit", [("position", "==", 4)]), 3),
    ],
)
def test_the_audit_chain_tells_too(
    database: EmbeddedDatabase, connect: Any, given: Any, operation: Any, broken: int
) -> None:
    store = connect()
    five(store, given)
    behind(database, operation)
    assert store.verify("audit").broken == broken


def test_a_garbled_diff_is_said(database: EmbeddedDatabase, connect: Any, given: Any) -> None:
    store = connect()
    five(store, given)
    behind(database, update("Revision", SECOND, {"diff": "zlib:AAAA"}))
    with pytest.raises(StoreUnavailable, match="revision 2 of the journal cannot be read"):
        store.revision(2)
    with pytest.raises(StoreUnavailable, match="revision 2 of the journal cannot be read"):
        store.rollback(1, author="ada")
    assert store.rollback(2, author="ada").deleted


def test_history_survives_a_restart(database: EmbeddedDatabase, connect: Any, given: Any) -> None:
    first = connect()
    five(first, given)
    first.apply([given.endpoint("k")], author="ada", idempotency_key="once")
    before = first.verify()
    database.stop(kill=True)
    database.start()
    store = connect()
    assert store.verify() == before
    assert store.apply([given.endpoint("k")], author="ada", idempotency_key="once").replayed
    assert store.snapshot().revision == 6
    assert len(store.rollback(1, author="ada").deleted) == 5
    assert store.verify().broken is None
    assert len(store.audited()) == 4


def test_a_key_works_across_clients(connect: Any, given: Any) -> None:
    first, second = connect(), connect()
    done = first.apply(given.world(), author="ada", idempotency_key="k")
    again = second.apply(given.world(), author="ada", idempotency_key="k")
    assert (again.replayed, again.revision) == (True, done.revision)
    with pytest.raises(IntentError, match="another request"):
        second.apply([given.endpoint("e9")], author="ada", idempotency_key="k")
    answers: list[Any] = []

    def work(store: OvsdbStore, step: int) -> None:
        edits = [given.endpoint(f"s{step}")]
        answers.append(store.apply(edits, author="ada", idempotency_key=f"s{step}"))

    for step in range(10):
        together(work, (first, second), (step, step))
    assert len(answers) == 20
    assert sorted(answer.replayed for answer in answers) == [False] * 10 + [True] * 10
    assert len(first.revisions()) == 11


def test_one_key_for_what_changes_nothing_from_many_clients(connect: Any, given: Any) -> None:
    stores = [connect() for _ in range(3)]
    stores[0].apply(given.world(), author="ada")
    answers: list[Any] = []
    start = threading.Barrier(len(stores))

    def work(store: OvsdbStore) -> None:
        for step in range(8):
            start.wait()
            answers.append(store.apply(given.world(), author="ada", idempotency_key=f"{step}"))

    together(work, stores)
    assert sorted(answer.replayed for answer in answers) == [False] * 8 + [True] * 16
    assert {answer.revision for answer in answers} == {1}


@pytest.mark.parametrize("what", ["apply", "audit"])
def test_a_lost_answer_does_nothing_twice(
    connect: Any, given: Any, lost: list[Any], what: str
) -> None:
    store = connect()
    store.apply(given.world(), author="ada")
    lost.clear()
    if what == "apply":
        done = store.apply([given.endpoint("e2")], author="ada", idempotency_key="k")
        assert done.created == (given.key("Endpoint", "e2"),)
        assert len(store.revisions()) == 2
    else:
        store.audit([AuditEntry("ada", "once")])
        assert len(store.audited()) == 1
    assert lost


def test_much_is_pruned_little_by_little(
    database: EmbeddedDatabase, connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = connect(retention=Retention(revisions=0))
    for number in range(60):
        first.apply([given.edit("Tenant", f"t{number}")], author="ada")
    first.close()
    monkeypatch.setattr(journal, "BATCH", 16)
    cuts: list[int] = []
    real = connection.Connection.transact

    def transact(self: connection.Connection, operations: Any) -> Any:
        results = real(self, operations)
        for operation, result in zip(operations, results, strict=True):
            if operation["op"] == "delete" and operation["table"] == "Revision":
                cuts.append(result.count)
        return results

    monkeypatch.setattr(connection.Connection, "transact", transact)
    store = connect(retention=Retention(revisions=10))
    store.apply([given.edit("Tenant", "last")], author="ada")
    while sum(cuts) < 51:
        store.wait(store.snapshot(), 0.02)
    assert max(cuts) <= 16
    assert len(store.revisions()) == len(rows(database, "Revision", "number")) == 10
    assert store.verify().broken is None


def test_pruning_beside_other_clients_loses_no_write(connect: Any, given: Any) -> None:
    keep = Retention(revisions=4, audit=4)
    stores = [connect(retention=keep) for _ in range(3)]

    def work(store: OvsdbStore, who: int) -> None:
        for number in range(15):
            store.apply([given.edit("Tenant", f"t{who}-{number}")], author=str(who))
            store.audit([AuditEntry(str(who), str(number))])

    together(work, stores, range(len(stores)))
    fresh = connect(retention=keep)
    assert len(fresh.snapshot().objects) == fresh.snapshot().revision == 45
    fresh.apply([given.edit("Tenant", "last")], author="x")
    _await(fresh, lambda: len(fresh.revisions()) == 4)
    for chain in ("revisions", "audit"):
        assert fresh.verify(chain).broken is None


def test_what_is_pruned_while_it_is_read_is_not_rolled_back_over(
    connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = connect(), connect(retention=Retention(revisions=1))
    five(store, given)
    real, read = ledger._beside, []

    def beside(*asked: Any) -> Any:
        read.append(asked)
        if len(read) == 2:
            other.apply([given.edit("Tenant", "late")], author="ada")
            _await(other, lambda: len(other.revisions()) == 1)
        return real(*asked)

    monkeypatch.setattr(ledger, "_PAGE", 1)
    monkeypatch.setattr(ledger, "_beside", beside)
    with pytest.raises(NotFound, match="revision 1 was pruned"):
        store.rollback(1, author="ada")
    assert len(read) >= 2


def test_what_is_pruned_while_it_is_verified_is_no_fault(
    connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = connect(), connect(retention=Retention(revisions=1))
    five(store, given)
    monkeypatch.setattr(ledger, "_PAGE", 1)
    verifying, found = ledger.Verifying("revisions"), None
    assert store._call(verifying.step) is None
    for number in range(3):
        other.apply([given.edit("Tenant", f"t{number}")], author="ada")
    _await(other, lambda: len(other.revisions()) == 1)
    while found is None:
        found = store._call(verifying.step)
    assert (found.entries, found.pruned, found.broken) == (1, 7, None)


def _await(store: OvsdbStore, holds: Callable[[], bool]) -> None:
    while not holds():
        store.wait(store.snapshot(), 0.02)


# Older releases


def older() -> dict[str, Any]:
    """The schema of release 1.1.0."""
    document = schema.document() | {"version": "1.1.0"}
    for table in ("Audit", "Chain", "Request", "Credential"):
        del document["tables"][table]
    columns = document["tables"]["Revision"]["columns"]
    for column in ("objects", "diff", "position", "previous", "digest"):
        del columns[column]
    return document


def old_revision(number: int) -> Operation:
    line = json.dumps([f"created Tenant t{number}"])
    told = {"author": "old", "time": "2020-01-01T00:00:00Z", "changes": line}
    return insert("Revision", {"number": number, "uid": f"u{number}", **told})


@pytest.fixture
def upgraded(short_dir: Path, request: pytest.FixtureRequest) -> EmbeddedDatabase:
    """A database that an older release wrote three revisions to, opened by this one."""
    database: EmbeddedDatabase = request.getfixturevalue("database")
    database.stop()
    database.file.unlink()
    source = short_dir / "old.ovsschema"
    source.write_text(json.dumps(older()))
    subprocess.run(["ovsdb-tool", "create", database.file, source], check=True, timeout=30)
    store = {"revision": 3, "generation": 1, "cluster": "c"}
    what = ["vneter", insert("Store", store), *(old_revision(n) for n in (1, 2, 3))]
    command = ["ovsdb-tool", "transact", database.file, json.dumps(what)]
    subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)
    database.start()
    return database


def test_the_journal_of_an_older_release(
    upgraded: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect(retention=Retention(revisions=2))
    assert [one.number for one in store.revisions()] == [3, 2, 1]
    assert store.revision(2).diff == ()
    assert store.verify().broken is None
    store.apply(given.world(), author="ada")
    assert (store.revision(4).position, store.revision(4).previous) == (1, "")
    with pytest.raises(NotFound, match=r"kept by an older release.*roll back to is 3"):
        store.rollback(2, author="ada")
    assert len(store.rollback(3, author="ada").deleted) == 4
    for number in range(3):
        store.apply([given.edit("Tenant", f"t{number}")], author="ada")
    _await(store, lambda: len(rows(upgraded, "Revision", "number")) == 2)
    assert store.verify().broken is None


def test_what_an_older_release_wrote_beside_is_not_rolled_back_over(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect()
    five(store, given)
    behind(
        database,
        insert("Revision", {"number": 6, "uid": "u", "changes": "[]"}),
        update("Store", [], {"revision": 6}),
    )
    _await(store, lambda: store.snapshot().revision == 6)
    with pytest.raises(NotFound, match="revision 6 was written by an older release"):
        store.rollback(5, author="ada")


def test_a_long_history_is_read_in_steps_and_others_are_served_in_between(
    connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    five(store, given)
    monkeypatch.setattr(ledger, "_PAGE", 1)
    real, calls = OvsdbStore._call, []

    def call(self: OvsdbStore, work: Any) -> Any:
        calls.append(work)
        return real(self, work)

    monkeypatch.setattr(OvsdbStore, "_call", call)
    assert store.verify().entries == 5
    assert len(calls) > 5
    calls.clear()
    assert len(store.rollback(1, author="ada", idempotency_key="k").deleted) == 4
    assert len(calls) > 4


def test_going_back_beside_other_writers(connect: Any, given: Any) -> None:
    """Whoever wins each race, every rollback is exactly the state it names."""
    stores = [connect() for _ in range(2)]
    stores[0].apply(given.world(), author="ada")
    done: list[tuple[int, int]] = []

    def work(store: OvsdbStore, who: int) -> None:
        for number in range(12):
            if number % 4 == 3:
                back = number * 2 // 3
                done.append((back, store.rollback(back, author=str(who)).revision))
                continue
            with suppress(NotFound, IntentError):
                store.apply([given.endpoint(f"w{who}-{number}")], author=str(who))
                store.apply([given.delete("Endpoint", f"w{who}-{number}")], author="x")

    together(work, stores, range(len(stores)))
    states = replayed(connect())
    assert len(done) == 6
    for back, revision in done:
        assert states[revision] == states[back]


def test_what_is_written_while_it_is_read_is_taken_back_too(
    connect: Any, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = connect(), connect()
    five(store, given)
    real, late = OvsdbStore._rewound, []

    def rewound(self: OvsdbStore, opened: connection.Connection, *asked: Any) -> Any:
        if not late:
            late.append(other.apply([given.endpoint("late")], author="bob"))
            opened.revision()  # whose answer comes behind the news
        return real(self, opened, *asked)

    monkeypatch.setattr(OvsdbStore, "_rewound", rewound)
    store.rollback(1, author="ada")
    assert late
    states = replayed(store)
    assert states[7] == states[1]


def replayed(store: OvsdbStore) -> dict[int, dict[Any, Any]]:
    """The state after each revision, by its diffs from the first on."""
    states: dict[int, dict[Any, Any]] = {0: {}}
    for told in reversed(store.revisions(1000)):
        newest = dict(states[max(states)])
        for change in store.revision(told.number).diff:
            assert newest.pop(change.key, None) == _asked(change.before)
            if change.after is not None:
                newest[change.key] = _asked(change.after)
        states[told.number] = newest
    now = store.snapshot().objects
    specs = {key: msgspec.json.decode(msgspec.json.encode(one.spec)) for key, one in now.items()}
    assert {key: one[0] for key, one in states[max(states)].items()} == specs
    return states


def _asked(version: Any) -> Any:
    return version and (version.spec, version.labels, version.annotations)
