# SPDX-License-Identifier: Apache-2.0
"""Label selectors: ``a=b,c!=d,e in (x,y),f notin (z),g,!h``, all of which must hold.

The grammar and meaning are those of Kubernetes: ``!=`` and ``notin`` also hold for objects
that lack the label. A set without values is refused: with ``notin`` it would be everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vneter_sdn.errors import IntentError, Problem

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_./:]{0,253}"
_WHOLE = re.compile(_VALUE)
_TERM = re.compile(
    rf"\s*(?:"
    rf"(?P<absent>!)\s*(?P<no>{_KEY})"
    rf"|(?P<one>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|(?P<set>{_KEY})\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<has>{_KEY})"
    rf")\s*(?P<end>,|\Z)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector."""

    key: str
    values: frozenset[str] | None
    """Values it names; None when only presence matters."""
    negated: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it."""
        if self.values is None:
            return (self.key in labels) is not self.negated
        return (labels.get(self.key) in self.values) is not self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together; the empty selector selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether every requirement holds."""
        return all(requirement.holds(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Read a selector.

    Raises:
        IntentError: reason ``InvalidSelector``, with the position at fault.
    """
    requirements: list[Requirement] = []
    position, more = 0, bool(text.strip())
    while more:
        found = _TERM.match(text, position)
        if found is None:
            raise _invalid(text, position)
        if found["set"] and not _are_values(found["values"]):
            raise _invalid(text, found.start("values"))
        requirements.append(_requirement(found))
        position, more = found.end(), found["end"] == ","
    return Selector(tuple(requirements))


def _are_values(text: str) -> bool:
    parts = text.split(",")
    return bool(text.strip()) and all(_WHOLE.fullmatch(part.strip()) for part in parts)


def _requirement(found: re.Match[str]) -> Requirement:
    if found["no"]:
        return Requirement(found["no"], None, negated=True)
    if found["one"]:
        return Requirement(found["one"], frozenset({found["value"]}), found["sign"] == "!=")
    if found["set"]:
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["set"], values, found["word"] == "notin")
    return Requirement(found["has"], None)


def _invalid(text: str, position: int) -> IntentError:
    message = (
        f"not a label selector at character {position + 1} of {text[:200]!r}; "
        "write a=b, a!=b, a in (b,c), a notin (b,c), a or !a, joined by commas"
    )
    return IntentError(Problem("selector", "labelSelector", "InvalidSelector", message))
