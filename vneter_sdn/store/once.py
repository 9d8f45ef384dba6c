# SPDX-License-Identifier: Apache-2.0
"""Requests that must not be done twice: their keys, fingerprints and kept answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Applied, Edit, Request
from vneter_sdn.store.reports import journal_text

LONGEST = 128
"""Characters of a key."""


class _Answer(msgspec.Struct, frozen=True):
    revision: int
    created: tuple[Key, ...] = ()
    updated: tuple[Key, ...] = ()
    deleted: tuple[Key, ...] = ()
    unchanged: tuple[Key, ...] = ()


_ANSWER = msgspec.json.Decoder(_Answer)


def apply_asked(author: str, key: str, edits: Sequence[Edit], message: str) -> Request | None:
    """The request that a key stands for; None without a key.

    Raises:
        IntentError: reason ``InvalidKey``.
    """
    asked = [[edit.verb, *edit.key, _body(edit)] for edit in edits] if key else []
    return _request(author, key, "apply", asked, message)


def _body(edit: Edit) -> Any:
    return edit.manifest if edit.asked is None else edit.asked


def rollback_asked(author: str, key: str, number: int, message: str) -> Request | None:
    """The same of a request to go back."""
    return _request(author, key, "rollback", number, message)


def _request(author: str, key: str, *asked: Any) -> Request | None:
    if not key:
        return None
    if len(key) > LONGEST or not key.isprintable():
        text = f"must be 1 to {LONGEST} printable characters"
        raise IntentError(Problem("request", "idempotencyKey", "InvalidKey", text))
    return Request(
        journal_text(author), key, sha256(repr([_text(one) for one in asked]).encode()).hexdigest()
    )


def _text(asked: Any) -> str:
    """Text that differs where what is asked does; whatever a caller may have put in it."""
    try:
        return json.dumps(asked, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(asked).encode("ascii", "backslashreplace").decode()


def answer_text(applied: Applied) -> str:
    """An answer to keep."""
    groups = (applied.created, applied.updated, applied.deleted, applied.unchanged)
    return msgspec.json.encode(_Answer(applied.revision, *groups)).decode()


def answer_of(text: str) -> Applied:
    """The answer that was kept."""
    told = _ANSWER.decode(text)
    groups = (told.created, told.updated, told.deleted, told.unchanged)
    return Applied(told.revision, *groups, replayed=True)


def replayed(asked: Request, fingerprint: str, answer: Applied) -> Applied:
    """What a known key is answered.

    Raises:
        IntentError: reason ``KeyReused``: it came with another request before.
    """
    if fingerprint != asked.fingerprint:
        text = f"{asked.key!r} came with another request before, answered with revision "
        text += f"{answer.revision}; use a new key for each request"
        raise IntentError(Problem("request", "idempotencyKey", "KeyReused", text))
    return replace(answer, replayed=True)
