# SPDX-License-Identifier: Apache-2.0
"""Numbers for flows: one for all that say the same, on whichever bridge, whoever asked for them."""

from __future__ import annotations

from itertools import count

from vneter_sdn.model.flow import Action, Flow, Match

Said = tuple[int, int, Match, tuple[Action, ...], int | None]
"""What a flow says: all but its cookie."""


def said(flow: Flow, but: str = "") -> Said:
    """What a flow says, but for one field that it matches."""
    match = flow.match if not but else tuple([term for term in flow.match if term.field != but])
    return flow.table, flow.priority, match, flow.actions, flow.goto


class Numbers:
    """Gives numbers. What was forgotten gets another one, and is no more like anything before."""

    def __init__(self) -> None:
        self._numbers: dict[Said, int] = {}
        self._next = count()

    def of(self, what: Said) -> int:
        """The number of what a flow says."""
        found = self._numbers.get(what)
        if found is None:
            found = self._numbers[what] = next(self._next)
        return found

    def forget(self) -> None:
        """All of them."""
        self._numbers.clear()
