# SPDX-License-Identifier: Apache-2.0
"""Texts that name objects, as somebody may read them who may not know of all of those. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access.authorise import sees
from vneter_sdn.northbound.access.identity import Identity
from vneter_sdn.store.port import Applied

_KEY = re.compile(rf"\b({'|'.join(KINDS)}) ([\w.-]+)(?:/([\w.-]+))?")
_HIDDEN = "an object of another tenant"
_PROVEN = ("change: ", "Assertion ")
"""How what a proof found of the whole fleet begins: with examples of whomever they are about."""
_UNTOLD = "it breaks what holds for the whole fleet, or that is not known; "
_UNTOLD += "who runs the controller can tell"


def key_in(text: str) -> Key | None:
    """The object that a line is about: ``created Network red/web``."""
    found = _KEY.search(text)
    return None if found is None else _key(found)


def _key(found: re.Match[str]) -> Key:
    kind, first, second = found.groups()
    return Key(kind, first, second) if second else Key(kind, "", first)


def told(identity: Identity, applied: Applied) -> Applied:
    """What was applied, as far as somebody may know of it."""
    if identity.everywhere:
        return applied
    notes = tuple(
        f"change: {_UNTOLD}" if note.startswith(_PROVEN) else _hide(identity, note)
        for note in applied.notes
    )
    diff = tuple(one for one in applied.diff if sees(identity, one.key))
    return replace(applied, notes=notes, diff=diff)


def discreet(identity: Identity, error: IntentError) -> IntentError:
    """A refusal that does not name objects of others: that an address is taken, not by whom."""
    if identity.everywhere:
        return error
    return IntentError(*(_discreetly(identity, one) for one in error.problems))


def _discreetly(identity: Identity, one: Problem) -> Problem:
    if str(one).startswith(_PROVEN):
        return Problem("change", "", one.reason, _UNTOLD)
    return Problem(_hide(identity, one.object), one.field, one.reason, _hide(identity, one.message))


def _hide(identity: Identity, text: str) -> str:
    def hidden(found: re.Match[str]) -> str:
        key = _key(found)
        kind = KINDS[key.kind]
        others = (kind.tenanted and key.tenant) or key.kind == "Tenant"
        return _HIDDEN if others and not sees(identity, key) else found[0]

    return _KEY.sub(hidden, text)
