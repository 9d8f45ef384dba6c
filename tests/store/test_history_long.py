# SPDX-License-Identifier: Apache-2.0
"""A history of 10,000 revisions in a real ovsdb-server: nobody loads it, everything works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vneter_sdn.model.journal import Change, Version
from vneter_sdn.model.snapshot import Revision
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.ovsdb.operations import insert, update
from vneter_sdn.store import changes, rows
from vneter_sdn.store.chain import Chain, Entry, with_revision
from vneter_sdn.store.embedded import EmbeddedDatabase
from vneter_sdn.store.ovsdb import OvsdbStore

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]
REVISIONS = 10_000
BATCH = 500


def annotated(stored: Any, number: int) -> Version:
    annotations = {"n": str(number)} if number > 1 else {}
    return Version(
        spec=stored.spec, annotations=annotations, uid=stored.uid, created=stored.created
    )


def entries(stored: Any) -> Iterator[Entry]:
    """Revisions 2 to the last, each of which writes another annotation."""
    for number in range(2, REVISIONS + 1):
        before, after = annotated(stored, number - 1), annotated(stored, number)
        diff = changes.written([Change(kind="Tenant", name="red", before=before, after=after)])
        lines = ("updated Tenant red",)
        who = "ada" if number % 1000 else "bob"
        told = Revision(number, who, "2026-01-01T00:00:00.000Z", "", lines)
        yield Entry(told, ("Tenant red",), diff)


@pytest.fixture
def long(database: EmbeddedDatabase, connect: Any, given: Any) -> OvsdbStore:
    """A store on a database with so many revisions, which were not written one by one."""
    first = connect()
    first.apply([given.edit("Tenant", "red")], author="ada")
    stored, told = first.snapshot().objects[given.key("Tenant", "red")], first.revision(1)
    first.close()
    chain = Chain("revisions", head=told.revision.digest, length=1)
    written: list[Any] = []
    with Client(database.remote) as client:
        for entry in entries(stored):
            chain, sealed = with_revision(chain, entry)
            written.append(insert("Revision", rows.entry_row(sealed, f"u{sealed.revision.number}")))
            if len(written) == BATCH or sealed.revision.number == REVISIONS:
                client.transact("vneter", written)
                written = []
        newest = {"revision": REVISIONS, "annotations": {"n": str(REVISIONS)}}
        client.transact(
            "vneter",
            [
                update("Object", [], newest),
                update("Store", [], {"revision": REVISIONS}),
                update("Chain", [("name", "==", "revisions")], rows.chain_row(chain)),
            ],
        )
    return connect()


def test_ten_thousand_revisions(long: OvsdbStore, given: Any) -> None:
    red = given.key("Tenant", "red")
    assert long._connection is not None
    assert not long._connection.mirror._replica.table("Revision"), "nobody follows the journal"
    seen: list[int] = []
    while page := long.revisions(1000, seen[-1] if seen else None):
        seen += [one.number for one in page]
    assert seen == list(range(REVISIONS, 0, -1))
    assert [one.number for one in long.revisions(3, author="bob")] == [10_000, 9_000, 8_000]
    assert len(long.revisions(5, about="Tenant red")) == 5
    assert long.revisions(5, about="Tenant blue") == ()
    (change,) = long.revision(5000).diff
    assert change.before is not None
    assert change.before.annotations == {"n": "4999"}
    found = long.verify()
    assert (found.entries, found.broken) == (REVISIONS, None)
    for number in (1, REVISIONS):
        long.rollback(number, author="ada")
        expected = {"n": str(number)} if number > 1 else {}
        assert long.snapshot().objects[red].annotations == expected
