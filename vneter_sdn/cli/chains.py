# SPDX-License-Identifier: Apache-2.0
"""``vneterctl audit --verify``: whether both chains are whole, and still what they were."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from vneter_sdn.cli.terminal import REFUSED, Answer
from vneter_sdn.client.client import Client
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.store.chain import seal, sealed_audit

_PAGE = 1000


def verify(client: Client, kept: Collection[str] = ()) -> None:
    """Verify the audit log and the history.

    The digests of the log are recomputed here as well, so that a server that lies has to lie well.
    Whoever can write the whole database can cut off its end, or forge all of it; a head that was
    printed before, and kept elsewhere, tells that.

    Args:
        client: of the server.
        kept: heads that were printed before, which both chains together must still have.

    Raises:
        Answer: a chain is broken, or lacks a head.
    """
    told = client.audit(1, verify=True)["verified"]
    wrong, seen = _recomputed(client)
    missing = {one["head"] for one in told if one["chain"] == "audit" and one["head"]} | set(kept)
    missing -= seen
    if missing:
        missing -= {one.digest for page in _revisions(client) for one in page}
    for one in told:
        if one["broken"] is not None:
            wrong.append(f"{one['chain']}: {one['broken']} is not as it was: {one['reason']}")
        print(f"{one['chain']}: {one['entries']} entries, head {one['head'] or '-'}")
    pruned = " (or was pruned)" if any(one["pruned"] for one in told) else ""
    wrong += [f"{head} is in no chain any more{pruned}" for head in sorted(missing)]
    if wrong:
        raise Answer(REFUSED, "; ".join(wrong), "somebody changed the database behind our back")


def pages(client: Client, limit: int) -> Iterable[Sequence[Mapping[str, Any]]]:
    """The audit log, newest first."""
    before: int | None = None
    while limit > 0:
        page = client.audit(min(limit, _PAGE), before)["items"]
        yield page
        if len(page) < min(limit, _PAGE):
            return
        before, limit = page[-1]["position"], limit - len(page)


def _revisions(client: Client) -> Iterable[Sequence[Any]]:
    before: int | None = None
    while page := client.revisions(_PAGE, before):
        yield page
        before = page[-1].number


def _recomputed(client: Client) -> tuple[list[str], set[str]]:
    """What is wrong with the audit log, and the digests that it has."""
    seen: set[str] = set()
    later: AuditEntry | None = None
    for page in pages(client, sys.maxsize):
        for values in page:
            entry = AuditEntry(**values)
            if later is not None and not _follows(entry, later):
                return [f"audit: {later.position} does not follow from {entry.position}"], seen
            later = entry
            seen.add(entry.digest)
    if later is not None and later.position == 1 and not _sealed("", later):
        return ["audit: 1 is not what was written"], seen
    return [], seen


def _follows(entry: AuditEntry, later: AuditEntry) -> bool:
    return _sealed(entry.digest, later) and later.position == entry.position + 1


def _sealed(previous: str, entry: AuditEntry) -> bool:
    return seal(previous, entry.position, sealed_audit(entry, previous).content) == entry.digest
