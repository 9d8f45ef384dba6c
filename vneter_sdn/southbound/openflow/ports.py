# SPDX-License-Identifier: Apache-2.0
"""The ports of one bridge as it tells of them: all at first, then change by change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vneter_sdn.southbound.openflow.multipart import Port

FIRST_RESERVED = 0xFFFF_FF00
"""Port numbers from here on are no ports (OpenFlow 1.5.1 §7.2.1.2); `LOCAL` is among them."""
REMOVED = 1
"""Reason of a port status: the port is gone (§7.4.3)."""
MAX_PORTS = 1 << 16
"""More than Open vSwitch has; a bridge that claims more is not believed."""


class Ports:
    """The ports of one bridge, by number; reserved ones are left out."""

    def __init__(self, ports: Iterable[Port] = ()) -> None:
        self._ports = {p.number: p for p in ports if 0 < p.number < FIRST_RESERVED}
        self._tells_live = any(port.live for port in self._ports.values())

    def change(self, reason: int, port: Port) -> bool:
        """Take in a port status; whether anything is different now."""
        if not 0 < port.number < FIRST_RESERVED:
            return False
        before = self._ports.get(port.number)
        if reason == REMOVED:
            self._ports.pop(port.number, None)
            return before is not None
        if before is None and len(self._ports) >= MAX_PORTS:
            return False
        self._ports[port.number] = port
        self._tells_live = self._tells_live or port.live
        return before != port

    def up(self, number: int) -> bool:
        """Whether a port works.

        The state bit OFPPS_LIVE says so; Open vSwitch clears it when BFD hears nothing. Switches
        that never set it go by their link alone.
        """
        port = self._ports.get(number)
        if port is None or port.down or port.link_down:
            return False
        return port.live or not self._tells_live

    @property
    def by_number(self) -> Mapping[int, Port]:
        """Every port."""
        return self._ports

    def named(self) -> Mapping[str, Port]:
        """Every port by name; of two with one name, which no switch of ours has, the later."""
        return {port.name: port for port in self._ports.values()}

    def __iter__(self) -> Iterator[Port]:
        return iter(self._ports.values())
