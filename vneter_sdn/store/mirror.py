# SPDX-License-Identifier: Apache-2.0
"""From database updates to snapshots, and from admissions to transactions. No connection here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from vneter_sdn.admission.admit import Admission
from vneter_sdn.admission.advance import carried_out, taken_in, with_reports
from vneter_sdn.admission.index import IndexedSnapshot
from vneter_sdn.model.access import Credential
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Allocation, Binding, Delta, Key, Pools, Snapshot, Status
from vneter_sdn.ovsdb.operations import Condition, Operation, by_uuid, delete, insert, update, wait
from vneter_sdn.ovsdb.protocol import Update, Watched
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.values import NamedUuid, Row
from vneter_sdn.store import rows
from vneter_sdn.store.chain import Chain

_TABLES = ("Store", "Object", "Allocation", "Binding", "Status")
WATCHED: dict[str, None] = dict.fromkeys((*_TABLES, "LinkStatus", "Credential", "Chain"))
"""Tables that every client follows; the journal is read when asked for."""

_READ: dict[str, tuple[Callable[[Row], Any], Callable[[Any], Any]]] = {
    "Object": (rows.object_of, lambda stored: stored.key),
    "Allocation": (rows.allocation_of, lambda held: (held.pool, held.value)),
    "Binding": (rows.binding_of, lambda binding: binding.endpoint),
    "Status": (rows.status_of_row, lambda status: status.key),
    "LinkStatus": (rows.status_of_row, lambda status: status.key),
}
_APART: dict[str, Callable[[Row], Any]] = {
    "Credential": rows.credential_of,
    "Chain": rows.chain_of,
}
"""What is followed without being part of snapshots."""


class Mirror:
    """The database as seen through one monitor: its rows, where they are, and what they mean."""

    def __init__(self, watched: Watched, breathe: Breathe = on_and_on) -> None:
        self._breathe = breathe
        self._replica = Replica(watched)
        self.places: dict[str, dict[Any, UUID]] = {table: {} for table in _READ}
        """Row of each key, by table."""
        self._keys: dict[UUID, Any] = {}
        self._apart: dict[tuple[str, UUID], Any] = {}
        self.credentials: Mapping[str, Credential] = {}
        """By name; never changed once here, but replaced."""
        self.chains: Mapping[str, tuple[UUID, Chain]] = {}
        """Ends of chains, and their rows, by name."""
        self.store: UUID | None = None
        self.revision = 0
        self.generation = 0

    def take(self, change: Update) -> dict[str, dict[Any, Any]]:
        """Take over one update: by table, the new value of each key, or None when it is gone.

        Raises:
            DecodeError: a row that cannot be read, or an update that does not fit.
        """
        news: dict[str, dict[Any, Any]] = {table: {} for table in _READ if table != "LinkStatus"}
        news["LinkStatus"] = news["Status"]
        arrived: list[tuple[str, UUID, Row]] = []
        apart: dict[tuple[str, UUID], Row | None] = {}
        for table, uuid in self._replica.apply(change):
            row = self._replica.table(table).get(uuid)
            if table == "Store":
                self._note_store(uuid, row)
            elif table in _APART:
                apart[table, uuid] = row
            elif row is not None:
                arrived.append((table, uuid, row))
            else:
                key = self._keys.pop(uuid, None)
                if key is not None and self.places[table].get(key) == uuid:
                    del self.places[table][key]
                    news[table][key] = None
        for table, uuid, row in paced(arrived, self._breathe):
            read, key_of = _READ[table]
            value = read(row)
            key = key_of(value)
            if table == "Status" and key.kind == "Link":
                continue  # of a release before 1.1.0, and reported anew elsewhere
            self._keys[uuid] = key
            self.places[table][key] = uuid
            news[table][key] = value
        self._note_apart(apart)
        return news

    def _note_apart(self, changed: Mapping[tuple[str, UUID], Row | None]) -> None:
        """Take over rows that are no part of snapshots."""
        for place, row in changed.items():
            if row is None:
                self._apart.pop(place, None)
            else:
                self._apart[place] = _APART[place[0]](row)
        if changed:
            held = [(table, uuid, value) for (table, uuid), value in self._apart.items()]
            self.credentials = {v.name: v for table, _, v in held if table == "Credential"}
            self.chains = {v.name: (uuid, v) for table, uuid, v in held if table == "Chain"}

    def _note_store(self, uuid: UUID, row: Row | None) -> None:
        if row is not None:
            self.store = uuid
            self.revision, self.generation = _integer(row, "revision"), _integer(row, "generation")

    def chain(self, name: str) -> Chain:
        """The ends of a chain."""
        return self.chains[name][1]

    def guarded(self, snapshot: IndexedSnapshot, admission: Admission) -> list[Operation]:
        """The operations of an admission, which fail still the store is where it was judged."""
        assert self.store is not None
        where = by_uuid(self.store)
        operations = [wait("Store", where, {"revision": snapshot.revision})]
        operations.append(update("Store", where, {"revision": snapshot.revision + 1}))
        operations += self._writes("Object", admission.objects, rows.object_row)
        operations += [
            delete("LinkStatus", [("object", "==", str(key))])
            for key in admission.deleted
            if key.kind == "Link"
        ]
        operations += self._writes(
            "Allocation",
            admission.allocations,
            rows.allocation_row,
            lambda place: _as_it_rests(snapshot, place),
        )
        return operations

    def colours(
        self, snapshot: IndexedSnapshot, changes: Mapping[tuple[str, str], Allocation]
    ) -> list[Operation]:
        """The operations that colour routes, which fail if any is no longer as it was seen."""
        operations: list[Operation] = []
        for place in changes:
            row, before = self.places["Allocation"].get(place), snapshot.allocations.get(place)
            if row is not None and before is not None:
                seen = {"released": rows.allocation_row(before)["released"]}
                operations.append(wait("Allocation", by_uuid(row), seen))
        return [*operations, *self._writes("Allocation", changes, rows.allocation_row)]

    def _writes(
        self,
        table: str,
        changes: Mapping[Any, Any],
        row_of: Callable[[Any], dict[str, Any]],
        still: Callable[[Any], list[Condition]] = lambda _: [],
    ) -> Iterable[Operation]:
        """Insert, update, and delete rows; these only if they still meet some conditions."""
        places = self.places[table]
        for key, value in changes.items():
            place = places.get(key)
            if value is None:
                if place is not None:
                    yield delete(table, [*by_uuid(place), *still(key)])
            elif place is None:
                yield insert(table, row_of(value))
            else:
                yield update(table, by_uuid(place), row_of(value))

    def reports(
        self,
        bindings: Mapping[Key, Binding | None],
        statuses: Mapping[Key, Status | None],
    ) -> list[Operation]:
        """The operations that write reports. Rows of objects that are gone by then vanish."""
        operations: list[Operation] = []
        for endpoint, binding in bindings.items():
            operations += self._binding(endpoint, binding)
        links = {key: status for key, status in statuses.items() if key.kind == "Link"}
        operations += self._writes("LinkStatus", links, rows.status_row)
        for key, status in statuses.items():
            if status is not None and key not in links:
                operations += self._owned("Status", "status", key, rows.status_row(status))
        return operations

    def _binding(self, endpoint: Key, binding: Binding | None) -> list[Operation]:
        place = self.places["Binding"].get(endpoint)
        if binding is None:
            owner = by_uuid(self.places["Object"][endpoint])
            return [update("Object", owner, {"binding": frozenset()})] if place else []
        if place is None:
            # Another client may have bound it meanwhile, and more recently: then look again.
            unbound = wait(
                "Object", by_uuid(self.places["Object"][endpoint]), {"binding": frozenset()}
            )
            return [
                unbound,
                *self._owned("Binding", "binding", endpoint, rows.binding_row(binding)),
            ]
        where = [*by_uuid(place), ("sequence", "<", binding.sequence)]
        return [update("Binding", where, rows.binding_row(binding))]

    def _owned(self, table: str, column: str, key: Key, row: dict[str, Any]) -> list[Operation]:
        """Write a row that belongs to an object."""
        place = self.places[table].get(key)
        if place is not None:
            return [update(table, by_uuid(place), row)]
        owner, name = self.places["Object"][key], f"{column}_{self.places['Object'][key].hex}"
        return [
            insert(table, row, name),
            update("Object", by_uuid(owner), {column: NamedUuid(name)}),
        ]


def _as_it_rests(snapshot: Snapshot, place: tuple[str, str]) -> list[Condition]:
    """That a route still rests: colouring may have revived it, which changes no revision."""
    held = snapshot.allocations.get(place) if place[0] == Pools.PATH else None
    return [("released", "==", rows.allocation_row(held)["released"])] if held else []


def _integer(row: Row, column: str) -> int:
    value = row[column]
    assert isinstance(value, int)
    return value


def advanced(
    snapshot: IndexedSnapshot,
    news: Mapping[str, Mapping[Any, Any]],
    revision: int,
    expected: Admission | None,
    breathe: Breathe = on_and_on,
) -> tuple[IndexedSnapshot, Delta] | None:
    """The snapshot after an update, and exactly what changed; None when nothing did.

    Args:
        snapshot: the one before.
        news: as `Mirror.take` gives them.
        revision: of the store, now.
        expected: what this client is writing; when the update is just that, its index is used.
        breathe: called now and then; what runs then sees the snapshot before.
    """
    objects = _differing(snapshot.objects, news["Object"])
    allocations = _differing(snapshot.allocations, news["Allocation"])
    bindings = _differing(snapshot.bindings, news["Binding"])
    statuses = _differing(snapshot.statuses, news["Status"])
    if not (objects or allocations or bindings or statuses) and revision == snapshot.revision:
        return None
    delta = Delta(*map(frozenset, (objects, allocations, bindings, statuses)))
    if expected is not None and _is(expected, objects, allocations):
        after, _ = carried_out(snapshot, expected)
    else:
        after = taken_in(snapshot, revision, objects, allocations, breathe)
    return with_reports(
        IndexedSnapshot(
            revision,
            after.objects,
            after.allocations,
            snapshot.bindings,
            snapshot.statuses,
            after.index,
        ),
        bindings,
        statuses,
    ), delta


def _is(
    expected: Admission, objects: Mapping[Key, Any], allocations: Mapping[tuple[str, str], Any]
) -> bool:
    return objects == expected.objects and allocations == expected.allocations


def _differing(before: Mapping[Any, Any], news: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in news.items() if before.get(key) != value}
