# SPDX-License-Identifier: Apache-2.0
"""Rules of tables, kept from change to change, and which of their flows say nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from vneter_sdn.model.flow import Flow
from vneter_sdn.verify.findings import Finding
from vneter_sdn.verify.index import BridgeIndex
from vneter_sdn.verify.rewrite import Rewrite
from vneter_sdn.verify.rules import Rules, conflicting, shadowed
from vneter_sdn.verify.written import is_clause


class KeptRules:
    """Rules of all tables of all bridges, each read when it is first asked for.

    Args:
        indexes: bridges, to which more may come.
    """

    def __init__(self, indexes: Mapping[str, BridgeIndex]) -> None:
        self._indexes = indexes
        self._held: dict[tuple[str, int], Rules] = {}

    def of(self, host: str, number: int) -> Rules:
        """The rules of a table."""
        found = self._held.get((host, number))
        if found is None:
            found = self._held[host, number] = Rules(self._indexes[host].flows(number))
        return found

    def take(self, edit: Rewrite, back: Rewrite) -> None:
        """Take in a change that was made, and the one that takes it back."""
        for host, held in edit.changed.items():
            for key, flow in held.items():
                rules = self._held.get((host, key.table))
                before = back.changed[host][key]
                if rules is not None and before is not None:
                    rules.remove(before)
                if rules is not None and flow is not None:
                    rules.add(flow)

    def all(self, host: str) -> Iterator[Finding]:
        """Flows of a bridge that say nothing, or contradict others."""
        index = self._indexes[host]
        tables = [(self.of(host, n), list(index.table(n).flows)) for n in index.tables()]
        yield from shadowed(host, tables)
        yield from conflicting(host, tables)

    def changed(self, edit: Rewrite, is_single: Callable[[str, Flow], bool]) -> Iterator[Finding]:
        """The same, of flows that a change brings.

        Args:
            edit: the change, taken in.
            is_single: whether a flow of a bridge matches what no other of its table does.
        """
        for host, held in edit.changed.items():
            changed: defaultdict[int, list[Flow]] = defaultdict(list)
            for place, flow in held.items():
                if flow is not None and not is_clause(flow) and not is_single(host, flow):
                    changed[place.table].append(flow)
            tables = [(self.of(host, number), flows) for number, flows in changed.items()]
            yield from shadowed(host, tables)
            yield from conflicting(host, tables)
