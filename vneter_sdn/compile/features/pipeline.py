# SPDX-License-Identifier: Apache-2.0
"""What every bridge holds whoever is on it: the misses of all tables, and the meter of punts."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Part, Writer
from vneter_sdn.compile.queries import bridge_of
from vneter_sdn.compile.query import View
from vneter_sdn.model.flow import Meter
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.punts import PUNT_BURST, PUNT_METER, PUNT_RATE
from vneter_sdn.pipeline.tables import TABLES


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """One miss per table, and the meter."""
    if view.ask(bridge_of, host.name) is not None:
        misses = tuple(table.miss(write.cookie) for table in TABLES)
        meter = Meter(PUNT_METER, PUNT_RATE, PUNT_BURST)
        yield Part(frozenset([host.name]), misses, (), (meter,))


FEATURE = Feature("pipeline", 1, "misses of all tables, and the meter of punts", {"Host": bridge})
