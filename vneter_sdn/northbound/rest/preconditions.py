# SPDX-License-Identifier: Apache-2.0
"""Entity tags, If-Match and If-None-Match (RFC 9110 §8.8.3, §13.1).

A tag is ``"12-9f3c…"``: the revision that last changed the object, and a digest of its status.
Reads compare all of it, so 304 is said only when nothing changed. Writes compare the revision
alone: what is written is the intent, and a status that moved on meanwhile is no lost update.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgspec
from flask import request

from vneter_sdn.errors import Conflict, NotFound, Problem, Stale
from vneter_sdn.northbound.rest.requests import HEADER, Malformed
from vneter_sdn.store.port import Edit

ANY = "*"
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|\Z)')
_OURS = re.compile(r"(\d{1,18})(?:-[0-9a-f]+)?", re.ASCII)
_MOST = 32


def tag_of(manifest: Mapping[str, Any]) -> str:
    """The entity tag of one object as it is answered, without quotes."""
    revision = manifest["metadata"].get("revision", 0)
    status = blake2b(msgspec.json.encode(manifest.get("status", {})), digest_size=8)
    return f"{revision}-{status.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request says the object must be, and must not be."""

    match: tuple[str, ...] = ()
    """Tags of If-Match, one of which it must have; or ``*``: it must exist."""
    none_match: tuple[str, ...] = ()
    """Tags of If-None-Match, none of which it may have; or ``*``: it may not exist."""

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return bool(self.match or self.none_match)

    def unchanged(self, tag: str) -> bool:
        """Whether a read needs no answer, for the client has it.

        Raises:
            Stale: If-Match does not hold.
        """
        if self.match and ANY not in self.match and tag not in self.match:
            raise Stale("the object has another entity tag by now; read it again")
        return ANY in self.none_match or tag in self.none_match

    def on(self, edit: Edit, revision: int | None) -> Edit:
        """The edit of which the store makes sure that all holds.

        Args:
            edit: as asked.
            revision: of the object as it is known here; None when there is none.

        Raises:
            Stale: something does not hold.
        """
        if self.none_match:
            if ANY not in self.none_match:
                raise _refused("If-None-Match", "writes take * only: it may not exist yet")
            if edit.verb not in {"apply", "create"}:
                raise Stale(f"{edit.key} exists, if anything; If-None-Match says that it may not")
            edit = replace(edit, verb="create")
        if ANY in self.match:
            return replace(edit, verb="replace") if edit.verb == "apply" else edit
        if not self.match:
            return edit
        wanted = [int(found[1]) for tag in self.match if (found := _OURS.fullmatch(tag))]
        if not wanted:
            raise Stale("If-Match names no entity tag that this server gave")
        return replace(edit, revision=revision if revision in wanted else wanted[0])

    @contextmanager
    def kept(self, verb: str) -> Iterator[None]:
        """What a store refuses for their sake is told as such."""
        try:
            yield
        except NotFound as error:
            if self.match and verb != "delete":
                raise Stale(str(error)) from None
            raise
        except Conflict as error:
            if self.given:
                raise Stale(str(error)) from None
            raise


def preconditions() -> Preconditions:
    """Those of the request.

    Raises:
        Malformed: a header holds no list of entity tags.
    """
    weak, match = _tags("If-Match")
    if match and len(weak) == len(match):
        raise Stale("If-Match compares strongly (RFC 9110 §13.1.1): a weak tag never matches")
    strong = tuple(tag for tag in match if tag not in weak)
    return Preconditions(strong, _tags("If-None-Match")[1])


def _tags(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The weak ones among the tags of a header, and all of them."""
    text = request.headers.get(name)
    if text is None:
        return frozenset(), ()
    if text.strip() == ANY:
        return frozenset(), (ANY,)
    tags: list[str] = []
    weak: set[str] = set()
    position, more = 0, True
    while more:
        found = _TAG.match(text, position)
        if found is None or len(tags) >= _MOST:
            raise _refused(name, f'expected *, or at most {_MOST} entity tags: "12-ab", "13-cd"')
        tags.append(found[2])
        weak |= {found[2]} if found[1] else set()
        position, more = found.end(), found[3] == ","
    return frozenset(weak), tuple(tags)


def _refused(name: str, message: str) -> Malformed:
    return Malformed(Problem(HEADER, name, "InvalidHeader", message))
