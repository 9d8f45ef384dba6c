# SPDX-License-Identifier: Apache-2.0
"""``vneterctl events``: what happened to objects, one line each.

Two sources: the journal says who changed what, and conditions say since when they are as they are.
With ``--follow`` a watch tells what comes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from vneter_sdn.cli.output import Form, streamed
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.targets import key_named, kind_named
from vneter_sdn.cli.terminal import paint, plain
from vneter_sdn.cli.watching import trouble
from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Change, Manifest
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key, Revision
from vneter_sdn.northbound.resources import key_of

_COLOURS = {"True": "green", "False": "red"}
_PAGE = 100
_SHOWN = 8
"""Changes of one revision that are named."""


class Asked(NamedTuple):
    """Which events."""

    kind: str
    name: str
    tenant: str
    since: float
    """Seconds ago."""
    follow: bool


class Event(NamedTuple):
    """Something that happened."""

    time: str
    """RFC 3339, UTC."""
    about: str
    """``network/red/web``, or ``revision 7``."""
    reason: str
    """One word."""
    message: str = ""
    good: str = ""
    """``True`` or ``False`` of a condition; nothing else has it."""

    def text(self) -> str:
        """A line for people."""
        at = _local(self.time)
        reason = plain(self.reason)
        reason = paint(reason, _COLOURS[self.good]) if self.good in _COLOURS else reason
        told = f"  {plain(self.message)}" if self.message else ""
        return f"{at}  {plain(self.about)}  {reason}{told}"

    def values(self) -> dict[str, str]:
        """For programs."""
        found = {**self._asdict()}
        found.pop("good")
        return found


class _Scope(NamedTuple):
    """Which objects events are about."""

    kinds: tuple[str, ...]
    tenant: str
    key: Key | None

    def holds(self, key: Key) -> bool:
        if self.key is not None:
            return key == self.key
        return key.kind in self.kinds and (not self.tenant or key.tenant == self.tenant)


def events(client: Client, asked: Asked, how: Form) -> None:
    """Print events, oldest first; with ``follow`` until interrupted.

    Raises:
        Usage: the command line makes no sense.
    """
    scope = _scope(asked)
    begin = (datetime.now(UTC) - timedelta(seconds=asked.since)).isoformat()
    with patience("reading what happened"):
        pages = [page for kind in scope.kinds for page in client.pages(kind, scope.tenant or None)]
        items = [item for page in pages for item in page.items if scope.holds(key_of(item))]
        found = [*_of_conditions(items, begin), *_of_journal(client, scope, begin)]
    for event in sorted(found, key=lambda event: _instant(event.time)):
        _show(event, how)
    if not asked.follow:
        return
    sys.stdout.flush()
    known = {key_of(item): _conditions(item) for item in items}
    told = max((page.revision for page in pages), default=0)
    changes = client.watch(
        scope.kinds, scope.tenant or None, since=pages[0].position, trouble=trouble
    )
    for change in changes:
        if change.revision > told:
            for event in _of_news(client, scope, told):
                _show(event, how)
            told = change.revision
        if scope.holds(change.key):
            for event in _of_change(change, known):
                _show(event, how)
            sys.stdout.flush()


def _scope(asked: Asked) -> _Scope:
    if not asked.kind:
        return _Scope(tuple(KINDS), asked.tenant, None)
    kind = kind_named(asked.kind)
    key = key_named(kind, asked.name, asked.tenant) if asked.name else None
    return _Scope((kind.name,), key.tenant if key else asked.tenant, key)


def _of_conditions(items: Sequence[Manifest], begin: str) -> Iterator[Event]:
    since = _instant(begin)
    for item in items:
        for event in _conditions(item).values():
            if event.time and _instant(event.time) >= since:
                yield event


def _conditions(item: Mapping[str, Any]) -> dict[str, Event]:
    """Of one object, by type: when each became what it is."""
    name = _name(key_of(item))
    found = {}
    for one in item.get("status", {}).get("conditions", ()):
        reason = f"{one['type']}={one['status']} {one['reason']}".rstrip()
        told = str(one.get("message", ""))
        found[one["type"]] = Event(one.get("changed", ""), name, reason, told, one["status"])
    return found


def _of_journal(client: Client, scope: _Scope, begin: str) -> Iterator[Event]:
    """Revisions since some time, newest first."""
    since, before = _instant(begin), None
    while True:
        page = client.revisions(_PAGE, before)
        for revision in page:
            if _instant(revision.time) < since:
                return
            if event := _of_revision(revision, scope):
                yield event
        if len(page) < _PAGE:
            return
        before = page[-1].number


def _of_news(client: Client, scope: _Scope, told: int) -> Iterator[Event]:
    """Revisions above one, oldest first; the last of them, when there were very many."""
    for revision in reversed(client.revisions(_PAGE)):
        if revision.number > told and (event := _of_revision(revision, scope)):
            yield event


def _of_revision(revision: Revision, scope: _Scope) -> Event | None:
    whole = scope.key is None and len(scope.kinds) == len(KINDS) and not scope.tenant
    changes = [line for line in revision.changes if whole or _concerns(line, scope)]
    if not changes and not whole:
        return None
    told = ", ".join(changes[:_SHOWN])
    told += f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    why = f"{revision.message}: " if revision.message else ""
    return Event(revision.time, f"revision {revision.number}", f"by {revision.author}", why + told)


def _concerns(line: str, scope: _Scope) -> bool:
    """Whether ``created Network red/web`` is about an object of the scope."""
    _, _, rest = line.partition(" ")
    kind, _, path = rest.partition(" ")
    tenant, _, name = path.rpartition("/")
    return scope.holds(Key(kind, tenant, name))


def _of_change(change: Change, known: dict[Key, dict[str, Event]]) -> Iterator[Event]:
    """What a change of an object means."""
    key, now = change.key, datetime.now(UTC).isoformat()
    if change.sort == "deleted":
        known.pop(key, None)
        yield Event(now, _name(key), "deleted")
        return
    before, found = known.get(key), _conditions(change.manifest)
    if before is None:
        yield Event(now, _name(key), "created" if change.revision else "found")
    for kind, event in found.items():
        old = (before or {}).get(kind)
        if old is None or (old.reason, old.message) != (event.reason, event.message):
            yield event._replace(time=event.time or now)
    known[key] = found


def _show(event: Event, how: Form) -> None:
    print(event.text() if how.for_people else streamed(event.values(), how))


def _name(key: Key) -> str:
    return f"{key.kind.lower()}/{key.path}"


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _local(text: str) -> str:
    """As clocks on the wall have it."""
    return _instant(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
