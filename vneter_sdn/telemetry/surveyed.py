# SPDX-License-Identifier: Apache-2.0
"""A bridge of a survey: its ports, and what somebody says that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vneter_sdn.southbound.openflow.discovery import Purpose
from vneter_sdn.southbound.openflow.ports import Ports
from vneter_sdn.telemetry.links import PortSeen


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """A tunnel port of ours."""

    edge: str
    """Name of the edge that it is the beginning of."""
    peer: str
    """Host at the other end."""
    up: bool | None
    """What BFD says; None while it says nothing."""


@dataclass(slots=True)
class SurveyedBridge:
    """A bridge as a survey knows it."""

    host: str
    database: bool
    """Whether a database says what its ports are for; else any may be a wire's."""
    told: bool = False
    """Whether it has said so."""
    ports: Ports = field(default_factory=Ports)
    purposes: Mapping[str, Purpose] = field(default_factory=dict)
    """By interface."""
    names: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Of its ports, as discovery knows them."""
    tunnels: Mapping[str, TunnelEnd] = field(default_factory=dict)
    shown: Mapping[str, PortSeen] | None = None

    def purposed(self) -> dict[int, Purpose]:
        """What is known of the ports that are up; none before somebody says what is what.

        A tunnel port is probed whatever BFD says of it: who does not speak BFD may work all the
        same.
        """
        if not self.told:
            return {}
        otherwise = Purpose.OTHER if self.database else Purpose.WIRE
        found = {}
        for port in self.ports:
            purpose = self.purposes.get(port.name, otherwise)
            if port.name in self.tunnels:
                purpose = Purpose.TUNNEL
            up = self.ports.up(port.number)
            if up or (purpose is Purpose.TUNNEL and not port.down and not port.link_down):
                found[port.number] = purpose
        return found
