# SPDX-License-Identifier: Apache-2.0
"""What is measured of connected bridges, for whoever subscribed to it."""

from __future__ import annotations

from dataclasses import dataclass

from vneter_sdn.southbound.openflow.multipart import FlowCounters, PortCounters


@dataclass(frozen=True, slots=True)
class Echoed:
    """A bridge answered an echo request; times in seconds, monotonic."""

    dpid: int
    sent: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PortsCounted:
    """What every port of a bridge has carried, as was asked."""

    dpid: int
    at: float
    """Seconds, monotonic."""
    counters: tuple[PortCounters, ...]


@dataclass(frozen=True, slots=True)
class FlowsCounted:
    """What those flows of a bridge matched that were asked for."""

    dpid: int
    at: float
    """Seconds, monotonic."""
    counters: tuple[FlowCounters, ...]


Measurement = Echoed | PortsCounted | FlowsCounted
