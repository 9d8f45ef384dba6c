# SPDX-License-Identifier: Apache-2.0
"""The database schema, with its reasons. ``vneter.ovsschema`` is generated from here.

JSON has no comments, so this is the documented source::

    python -m vneter_sdn.store.schema            # write vneter.ovsschema
    python -m vneter_sdn.store.schema --check    # fail when it is stale

Versions follow ovsschema(5): the last number rises with harmless changes, the middle one with
additions, the first when older programs can no longer read the database.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from vneter_sdn.ovsdb.schema import Schema

DATABASE = "vneter"
VERSION = "1.2.0"
GENERATION = 1
"""Written to ``Store.generation``; programs refuse a database of a newer generation."""
PATH = Path(__file__).with_name("vneter.ovsschema")

Type = str | dict[str, Any]
_OPTIONAL_REAL: Type = {"key": "real", "min": 0, "max": 1}
_OPTIONAL_STRING: Type = {"key": "string", "min": 0, "max": 1}
_STRINGS: Type = {"key": "string", "min": 0, "max": "unlimited"}
_MAP: Type = {"key": "string", "value": "string", "min": 0, "max": "unlimited"}


def _one_of(table: str) -> Type:
    """At most one row that exists for as long as this one refers to it."""
    return {"key": {"type": "uuid", "refTable": table}, "min": 0, "max": 1}


class Table(NamedTuple):
    """One table."""

    why: str
    columns: dict[str, tuple[Type, str]]
    """Type and meaning, by name."""
    indexes: tuple[tuple[str, ...], ...] = ()
    root: bool = True
    """Rows of other tables vanish once nothing refers to them."""
    max_rows: int | None = None


TABLES: dict[str, Table] = {
    "Store": Table(
        "One row about the whole. Every transaction that changes objects or allocations waits for "
        "`revision` to be the one it was judged against, and adds one: that makes transactions "
        "serial, whoever writes, and a repeated one harmless.",
        {
            "revision": ("integer", "Rises by one with every change of objects or allocations."),
            "generation": ("integer", "Of this schema's meaning."),
            "cluster": ("string", "A UUID made with the database; restored backups keep it."),
        },
        max_rows=1,
    ),
    "Object": Table(
        "What was asked for. `binding` and `status` own the rows about the object, so that "
        "deleting it deletes them, and reports about objects that are gone leave nothing behind.",
        {
            "kind": ("string", "`Network`."),
            "tenant": ("string", "Empty for kinds that belong to none."),
            "name": ("string", "As in the manifest."),
            "uid": ("string", "A UUID that no other object ever has."),
            "revision": ("integer", "Revision that last changed it."),
            "created": ("string", "RFC 3339."),
            "spec": ("string", "JSON, defaults filled in. Text: kinds change without the schema."),
            "labels": (_MAP, "Metadata to select by."),
            "annotations": (_MAP, "Metadata of other programs."),
            "binding": (_one_of("Binding"), "Where an endpoint is."),
            "status": (_one_of("Status"), "What the controller reported."),
        },
        (("kind", "tenant", "name"),),
    ),
    "Allocation": Table(
        "Who has which number or address; the index is the last line of defence against two "
        "owners. Kept apart from objects: released values outlive their owners for a while.",
        {
            "pool": ("string", "`vni`, `address/red/web/10.0.0.0/24`."),
            "value": ("string", "Decimal number, address, MAC or prefix."),
            "owner": ("string", "`Endpoint red/web1`."),
            "released": (_OPTIONAL_REAL, "POSIX time of release; absent while owned."),
        },
        (("pool", "value"),),
    ),
    "Binding": Table(
        "Where an endpoint is, as its host's OVSDB said. Belongs to an Object.",
        {
            "endpoint": ("string", "`red/web1`."),
            "host": ("string", "Name of the host."),
            "interface": ("string", "Name of the OVS interface."),
            "ofport": ("integer", "OpenFlow port number."),
            "sequence": ("integer", "The newest binding has the highest."),
        },
        (("endpoint",),),
        root=False,
    ),
    "Status": Table(
        "What the controller last reported of an object. Belongs to an Object.",
        {
            "object": ("string", "`Network red/web`."),
            "observed_revision": ("integer", "Revision of the object that it speaks of."),
            "conditions": ("string", "JSON array of conditions."),
            "details": ("string", "JSON object; depends on the kind."),
        },
        (("object",),),
        root=False,
    ),
    "LinkStatus": Table(
        "What the controller last reported of a link. Links are found, too, and then no object is "
        "there for a row to belong to: so these stay until somebody removes them.",
        {
            "object": ("string", "`Link h1-h2`."),
            "observed_revision": ("integer", "Revision of its object, if it has one."),
            "conditions": ("string", "JSON array of conditions."),
            "details": ("string", "JSON object: ends, state, measurements."),
        },
        (("object",),),
    ),
    "Revision": Table(
        "The journal of intent, one row per transaction that changed objects. Nobody follows it: "
        "it is read when asked for. Rows of releases before 1.2.0 have position 0 and no diff.",
        {
            "number": ("integer", "The store's revision after it."),
            "uid": ("string", "By which its writer finds it again after a lost connection."),
            "author": ("string", "Who."),
            "time": ("string", "When, RFC 3339."),
            "message": ("string", "Why."),
            "changes": ("string", "JSON array of lines: `created Network red/web`."),
            "objects": (_STRINGS, "`Network red/web`: what it changed, to search by."),
            "diff": ("string", "Each object before and after (`store.changes`)."),
            "position": ("integer", "In the chain: 1, 2, 3…, where numbers have gaps."),
            "previous": ("string", "Digest of the row before."),
            "digest": ("string", "Of the digest before and all of this (`store.chain`)."),
        },
        (("number",), ("uid",)),
    ),
    "Audit": Table(
        "What was done or refused that is no revision: credentials made and taken away, writes "
        "that were not allowed. Chained as revisions are.",
        {
            "position": ("integer", "In the chain."),
            "time": ("string", "When, RFC 3339."),
            "author": ("string", "Who."),
            "action": ("string", "What: `token create`."),
            "object": ("string", "To what."),
            "outcome": ("string", "`done`, `refused: ...`."),
            "source": ("string", "Address it came from."),
            "previous": ("string", "Digest of the row before."),
            "digest": ("string", "Of the digest before and all of this."),
        },
        (("position",),),
    ),
    "Chain": Table(
        "Both ends of each hash chain. Whoever appends or prunes waits for the row to be as seen.",
        {
            "name": ("string", "`revisions` or `audit`."),
            "head": ("string", "Digest of the newest row."),
            "length": ("integer", "Rows ever chained; the position of the newest."),
            "anchor": ("string", "Digest of the newest row that was pruned."),
            "pruned": ("integer", "Its position."),
            "floor": ("integer", "The newest revision whose diff is not kept."),
        },
        (("name",),),
    ),
    "Request": Table(
        "Requests that must not be done twice, and what came of them; written with what they "
        "wrote.",
        {
            "author": ("string", "Who asked; keys of different authors have nothing in common."),
            "key": ("string", "Made up by who asked."),
            "fingerprint": ("string", "Digest of what was asked."),
            "result": ("string", "JSON: what was answered."),
            "time": ("real", "POSIX time."),
        },
        (("author", "key"),),
    ),
    "Credential": Table(
        "Who may do what. Followed by every client, so that a request costs no query.",
        {
            "name": ("string", "By which it is found."),
            "digest": ("string", "Of the secret, which is not kept."),
            "grants": ("string", "JSON."),
            "author": ("string", "Who issued it."),
            "created": ("string", "When, RFC 3339."),
            "expires": (_OPTIONAL_STRING, "RFC 3339; absent when it never does."),
        },
        (("name",),),
    ),
}


def document() -> dict[str, Any]:
    """The schema as RFC 7047 §3.2 has it."""
    return {
        "name": DATABASE,
        "version": VERSION,
        "tables": {name: _table(table) for name, table in TABLES.items()},
    }


def parsed() -> Schema:
    """The schema as the client reads it."""
    return Schema.parse(document())


def _table(table: Table) -> dict[str, Any]:
    columns = {name: {"type": type_} for name, (type_, _) in table.columns.items()}
    result: dict[str, Any] = {"columns": columns, "isRoot": table.root}
    if table.indexes:
        result["indexes"] = [list(index) for index in table.indexes]
    if table.max_rows is not None:
        result["maxRows"] = table.max_rows
    return result


def text() -> str:
    """The content of ``vneter.ovsschema``."""
    return json.dumps(document(), indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` say whether it is current."""
    if "--check" not in arguments:
        PATH.write_text(text(), encoding="utf-8")
        return 0
    stale = not PATH.exists() or PATH.read_text(encoding="utf-8") != text()
    if stale:
        sys.stderr.write(f"{PATH.name} is stale: run python -m vneter_sdn.store.schema\n")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
