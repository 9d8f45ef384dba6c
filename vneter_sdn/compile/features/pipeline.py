# SPDX-License-Identifier: Apache-2.0
"""What every bridge holds whoever is on it: the misses of all tables, and the meters of punts."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Part, Writer
from vneter_sdn.compile.queries import bridge_of
from vneter_sdn.compile.query import View
from vneter_sdn.model.flow import Meter
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import complaints
from vneter_sdn.pipeline.punts import (
    LLDP_BURST,
    LLDP_METER,
    LLDP_RATE,
)
from vneter_sdn.pipeline.tables import TABLES
from vneter_sdn.pipeline.traced import TRACE_METER


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """One miss per table, and the meters."""
    if view.ask(bridge_of, host.name) is not None:
        misses = tuple(table.miss(write.cookie) for table in TABLES)
        meters = (
            *complaints.EVERY_BRIDGE,
            Meter(LLDP_METER, LLDP_RATE, LLDP_BURST),
            TRACE_METER,
        )
        yield Part(frozenset([host.name]), misses, (), meters)


FEATURE = Feature("pipeline", 1, "misses of all tables, and the meters of punts", {"Host": bridge})
