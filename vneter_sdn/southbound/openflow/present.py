# SPDX-License-Identifier: Apache-2.0
"""Which bridges are connected, with the ports they have now. No sockets or clocks.

A bridge may connect before anybody has declared its host: whoever comes later is told of it by
this as if it had just connected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    PortChanged,
)
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.southbound.openflow.ports import REMOVED

MAX_PORTS = 1 << 16


class Present:
    """Bridges that are connected."""

    def __init__(self) -> None:
        self._bridges: dict[int, BridgeConnected] = {}
        self._ports: dict[int, dict[int, Port]] = {}

    def heard(self, event: BridgeEvent) -> None:
        """Take in what is said of a bridge."""
        match event:
            case BridgeConnected(dpid=dpid, ports=ports):
                self._bridges[dpid] = event
                self._ports[dpid] = {port.number: port for port in ports}
            case BridgeDisconnected(dpid=dpid):
                self._bridges.pop(dpid, None)
                self._ports.pop(dpid, None)
            case PortChanged(dpid=dpid, reason=reason, port=port) if dpid in self._ports:
                ports_now = self._ports[dpid]
                if reason == REMOVED:
                    ports_now.pop(port.number, None)
                elif port.number in ports_now or len(ports_now) < MAX_PORTS:
                    ports_now[port.number] = port
            case _:
                pass

    def bridge(self, dpid: int) -> BridgeConnected | None:
        """As if it had connected now; None when it is not."""
        found = self._bridges.get(dpid)
        return found and replace(found, ports=tuple(self._ports[dpid].values()))

    def __contains__(self, dpid: int) -> bool:
        return dpid in self._bridges

    def __iter__(self) -> Iterator[int]:
        return iter(self._bridges)
