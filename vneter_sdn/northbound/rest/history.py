# SPDX-License-Identifier: Apache-2.0
"""Handlers of the journal: who changed what, when and why, and back again."""

from __future__ import annotations

from dataclasses import asdict
from typing import get_args

from flask import Response

from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.northbound import resources
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import applied_answer, json_answer
from vneter_sdn.northbound.routes import Route
from vneter_sdn.northbound.schemas import Rollback
from vneter_sdn.store.port import ChainName, Store

_PAGE = 100
_DIGITS = 15


class History:
    """Handlers, one method per operation of `routes`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def revisions(self, route: Route) -> Response:
        """The journal, newest first."""
        query = requests.query(route)
        found = self._store.revisions(
            query.get("limit", _PAGE),
            query.get("before"),
            author=query.get("author", ""),
            about=_about(query.get("object", "")),
        )
        return json_answer({"items": [asdict(revision) for revision in found]})

    def revision(self, route: Route, number: str) -> Response:
        """One revision with its diff."""
        requests.query(route)
        found = self._store.revision(_number(number))
        return json_answer(
            asdict(found.revision)
            | {
                "position": found.position,
                "previous": found.previous,
                "diff": resources.changes_values(found.diff),
            }
        )

    def rollback(self, route: Route, number: str) -> Response:
        """Back to a revision, in a new one."""
        dry_run = requests.query(route).get("dryRun", False)
        asked = requests.read(requests.body(), Rollback)
        applied = self._store.rollback(
            _number(number),
            author=requests.author(),
            message=asked.message,
            dry_run=asked.dry_run or dry_run,
            idempotency_key=requests.idempotency_key(),
        )
        return applied_answer(applied, applied.notes)

    def chain(self, route: Route, chain: str) -> Response:
        """Whether a chain of digests is whole."""
        requests.query(route)
        names: tuple[ChainName, ...] = get_args(ChainName)
        for name in names:
            if name == chain:
                return json_answer(asdict(self._store.verify(name)))
        raise NotFound(f"there is no chain {chain!r}; the chains are {', '.join(names)}")


def _number(text: str) -> int:
    """The number of a revision in a path.

    Raises:
        NotFound: it is none that any revision has.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        return int(text)
    raise NotFound(f"there is no revision {text!r}")


def _about(text: str) -> str:
    """``Network red/web``, however it is written: ``networks/red/web``, ``net red/web``.

    Raises:
        Malformed: it names no object that could be.
    """
    if not text:
        return ""
    word, _, path = text.replace(" ", "/", 1).partition("/")
    try:
        kind = resources.find_kind(word)
    except IntentError as error:
        (problem,) = error.problems
        raise requests.refused("object", problem.reason, problem.message) from None
    wanted = 2 if kind.tenanted else 1
    if len(path.split("/")) != wanted or not all(path.split("/")):
        form = f"{kind.name} TENANT/NAME" if kind.tenanted else f"{kind.name} NAME"
        message = f"expected {form}, got {text[:80]!r}"
        raise requests.refused("object", "WrongType", message)
    return f"{kind.name} {path}"
