# SPDX-License-Identifier: Apache-2.0
"""Counts what an endpoint tries that it may not, by kind: one flow each, which drops.

That they count, and are read, is all they are for: what comes to the table ends there in any case.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import place, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.flow import FlowKey
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.cookies import MAGIC_COOKIE, MAGIC_MASK
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.refusals import Refusal
from vneter_sdn.pipeline.registers import REFUSED
from vneter_sdn.pipeline.tables import table

ID = 24
TABLE = table("refused").id
COOKIE, COOKIE_MASK = MAGIC_COOKIE | ID << 40, MAGIC_MASK | 0xFF << 40
"""What the cookies of these flows, and of no others, have in common."""


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Of one endpoint, where it is."""
    here, at = view.ask(station, key), view.ask(place, key)
    if here and at and view.ask(segment, here.network):
        port: Matched = {"in_port": at.ofport}
        kinds = ({**port, "reg0": REFUSED.match(kind)} for kind in Refusal)
        yield on(at.host, *(write("refused", NORMAL, matched) for matched in kinds))


def counted(flow: FlowKey) -> tuple[int, Refusal] | None:
    """The port and kind that a flow counts; None for a flow that is not one of these."""
    terms = {term.field: term.value for term in flow.match}
    port, kind = terms.get("in_port"), terms.get("reg0")
    if flow.table != TABLE or port is None or kind is None:
        return None
    number = kind >> REFUSED.first
    return (port, Refusal(number)) if number in _KINDS else None


_KINDS = frozenset(Refusal)
FEATURE = Feature(
    "refused", ID, "counts what endpoints try that they may not", {"Endpoint": endpoint}
)
