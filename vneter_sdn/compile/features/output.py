# SPDX-License-Identifier: Apache-2.0
"""Out of the port that was chosen; Open vSwitch never sends a packet back where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of
from vneter_sdn.compile.query import View
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import OUT_PORT


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """One flow for all ports."""
    if view.ask(bridge_of, host.name) is not None:
        yield on(host.name, write("output", NORMAL, {}, OUT_PORT.output()))


FEATURE = Feature("output", 11, "sends packets out", {"Host": bridge})
