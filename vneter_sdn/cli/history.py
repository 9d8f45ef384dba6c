# SPDX-License-Identifier: Apache-2.0
"""The journal for people: revisions as a table, one as a diff, and back again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import unified_diff
from typing import Any, NamedTuple

from vneter_sdn.cli import objects
from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.rendering import age
from vneter_sdn.cli.targets import key_named, kind_named
from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer, Usage, columns, paint, plain
from vneter_sdn.client.client import Client
from vneter_sdn.errors import NotFound
from vneter_sdn.model.journal import Change, Recorded, Version
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key, Revision
from vneter_sdn.northbound.manifests import write
from vneter_sdn.northbound.resources import changes_values, spec_values

_PAGE = 1000
_DIGITS = 15
_COLOURS = {"+": "green", "-": "red", "@": "bold"}


class Asked(NamedTuple):
    """What ``vneterctl history`` is to tell."""

    revision: int | None = None
    about: Key | None = None
    author: str = ""
    limit: int = 20
    verify: bool = False


def asked(
    what: str,
    name: str,
    tenant: str,
    revision: int | None,
    *,
    author: str = "",
    limit: int = 20,
    verify: bool = False,
) -> Asked:
    """What a command line asks for.

    Raises:
        Usage: two things at once, or a kind without a name.
    """
    about = None
    if what.isascii() and what.isdecimal() and not name:
        if revision is not None or len(what) > _DIGITS:
            raise Usage(f"which revision, {what} or {revision}?", "write `history REVISION`")
        revision = int(what)
    elif what:
        if not name:
            hint = "write `history KIND NAME`, or `history REVISION`"
            raise Usage(f"the history of which {kind_named(what).name.lower()}?", hint)
        about = key_named(kind_named(what), name, tenant)
    if sum((revision is not None, bool(about or author), verify)) > 1:
        raise Usage("one revision, some of them, or --verify: which?", "ask for one of them")
    return Asked(revision, about, author, limit, verify)


def tell(client: Client, what: Asked, how: Form) -> None:
    """Print it."""
    if what.verify:
        _verify(client, how)
    elif what.revision is not None:
        with _listed():
            found = client.revision(what.revision)
        if how.name == "name":
            print(found.revision.number)
        else:
            print("\n".join(shown(found)) if how.for_people else structured(_values(found), how))
    else:
        found = list(_newest(client, what))
        _list(found, how)


def _list(found: Sequence[Revision], how: Form) -> None:
    if how.name == "name":
        lines = [str(one.number) for one in found]
    elif how.for_people:
        lines = table(found, how)
    else:
        lines = [structured({"items": [asdict(one) for one in found]}, how)]
    if lines:  # of nothing, programs read no line
        print("\n".join(lines))


def rollback(
    client: Client, number: int, message: str, dry_run: bool, how: Form = objects.PLAINLY
) -> None:
    """Go back to a revision; say what that did, and with a dry run what it would change."""
    with _listed(), patience(f"going back to revision {number}"):
        done = client.rollback(number, message, dry_run=dry_run)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    for change in done.diff if how.for_people else ():
        print("\n".join(painted(change, "now", f"revision {number}")))
    objects.tell(done, dry_run, how)


@contextmanager
def _listed() -> Iterator[None]:
    """Say of a revision that is not there where to look."""
    try:
        yield
    except NotFound as error:
        raise Answer(NOT_FOUND, str(error), "`vneterctl history` lists what there is") from None


def _newest(client: Client, what: Asked) -> Iterator[Revision]:
    """Revisions, a page at a time."""
    about = str(what.about) if what.about else ""
    left, before = what.limit, None
    while left > 0:
        page = client.revisions(min(left, _PAGE), before, author=what.author, about=about)
        yield from page
        if len(page) < min(left, _PAGE):
            return
        left, before = left - len(page), page[-1].number


def table(found: Sequence[Revision], how: Form) -> list[str]:
    """Revisions as lines."""
    if not found:
        return ["there are no such revisions"]
    rows = [["REVISION", "AGE", "AUTHOR", "CHANGES", "MESSAGE"]] if how.headers else []
    rows += [
        [str(one.number), age(one.time), one.author, _counted(one.changes), one.message or "-"]
        for one in found
    ]
    return columns(rows)


def _counted(lines: Sequence[str]) -> str:
    """``created Network red/web``, or ``3 created, 1 deleted``."""
    if len(lines) == 1:
        return lines[0]
    counts: dict[str, int] = {}
    for line in lines:
        verb, _, rest = line.partition(" ")
        if verb == "and":  # the last line of many: "and 5 more"
            return f"{len(lines) - 1 + int(rest.partition(' ')[0])} objects"
        counts[verb] = counts.get(verb, 0) + 1
    return ", ".join(f"{count} {verb}" for verb, count in counts.items()) or "-"


def shown(found: Recorded) -> Iterator[str]:
    """One revision for reading."""
    told = found.revision
    yield paint(f"revision {told.number}", "bold")
    yield f"  author:  {plain(told.author)}"
    yield f"  time:    {told.time} ({age(told.time)} ago)"
    if told.message:
        yield f"  message: {plain(told.message)}"
    if told.digest:
        yield f"  digest:  {told.digest}"
    for change in found.diff:
        yield ""
        yield from painted(change, "before", f"revision {told.number}")
    if not found.diff:  # of a release that kept none
        yield from ("", *(f"  {plain(line)}" for line in told.changes))


def painted(change: Change, before: str, after: str) -> Iterator[str]:
    """What became of one object as a unified diff, coloured on a terminal."""
    name = f"{change.kind.lower()}/{change.key.path}"
    texts = [_text(change, one) for one in (change.before, change.after)]
    old = "/dev/null" if change.before is None else f"{name} ({before})"
    new = "/dev/null" if change.after is None else f"{name} ({after})"
    for line in unified_diff(*texts, old, new, lineterm=""):
        line = plain(line.rstrip("\n"))  # noqa: PLW2901
        yield paint(line, _COLOURS[line[0]]) if line[:1] in _COLOURS else line


def _text(change: Change, version: Version | None) -> list[str]:
    """An object at a revision as people would write it, in lines; none where it was not there."""
    if version is None:
        return []
    metadata: dict[str, Any] = {"name": change.name}
    metadata |= {"tenant": change.tenant} if change.tenant else {}
    metadata |= {"labels": dict(version.labels)} if version.labels else {}
    metadata |= {"annotations": dict(version.annotations)} if version.annotations else {}
    head = {"apiVersion": API_VERSION, "kind": change.kind, "metadata": metadata}
    return write({**head, "spec": spec_values(version.spec)}).splitlines()


def _values(found: Recorded) -> dict[str, Any]:
    beside = {"position": found.position, "previous": found.previous}
    return asdict(found.revision) | beside | {"diff": changes_values(found.diff)}


def _verify(client: Client, how: Form) -> None:
    """Tell whether the chain is whole.

    Raises:
        Answer: it is not.
    """
    with patience("checking every revision"):
        found = client.verify()
    if not how.for_people:
        print(structured(asdict(found), how))
    else:
        pruned = f", and {found.pruned} before them that were pruned" if found.pruned else ""
        print(f"{found.entries} revisions{pruned}; the newest digest is {found.head or 'none'}")
    if found.broken is not None:
        text = f"revision {found.broken} is the first that is not as it was: {found.reason}"
        raise Answer(REFUSED, text, "compare with a backup; `vneterctl history -o json` has it all")
