# SPDX-License-Identifier: Apache-2.0
"""The connections one bridge remembers, as Open vSwitch 3.1's userspace datapath tracks them.

What it does, seen on a real one (``tests/simulate/test_agreement_conntrack.py``):

* A packet of no known connection is ``+new``; of a known one in its first direction ``+new`` *until
  a reply was seen* (TCP: or until it carries an ACK), ``+est`` from then on; a reply ``+est+rpl``.
  So a connection's mark, not ``+est``, says whether it was committed.
* ``+inv``: TCP that cannot start a connection (SYN+ACK, no flags that make sense), ICMP that is
  neither echo request nor the reply to a known one.
* Committing again writes mark and label again, whichever direction the packet has.
* A SYN after a RST, or after a FIN of each side, starts anew.

Nothing is ever forgotten but by that; sequence numbers, fragments, ICMP errors (``+rel``) and
address translation are not modelled, nor are ICMP identifiers, which `Packet` has no field for.
Segments without any TCP flags are taken as such that may start a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
    TRACKED,
)

_NEW, _EST, _RPL, _INV, _TRK = (TRACKED[name] for name in ("new", "est", "rpl", "inv", "trk"))
_FIN, _SYN, _RST, _PSH, _ACK, _URG = (1 << bit for bit in range(6))
_ECHO = {(PROTO_ICMP, 8): 0, (PROTO_ICMP, 0): 8, (PROTO_ICMPV6, 128): 129, (PROTO_ICMPV6, 129): 128}
"""The ICMP type of the other direction, by protocol and type; others belong to no connection."""
_ASKS = {PROTO_ICMP: 8, PROTO_ICMPV6: 128}


class Way(NamedTuple):
    """One direction of a connection in one zone; addresses are of ``eth_type``'s family.

    The ports of ICMP are the types of the two directions.
    """

    zone: int
    eth_type: int
    protocol: int
    source: int
    target: int
    source_port: int = 0
    target_port: int = 0

    @property
    def back(self) -> Way:
        """The other direction."""
        return self._replace(
            source=self.target,
            target=self.source,
            source_port=self.target_port,
            target_port=self.source_port,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """What is remembered of a connection besides its direction."""

    mark: int = 0
    label: int = 0
    replied: bool = False
    closed: int = 0
    """Which sides of a TCP connection sent a FIN: 1 the first one, 2 the other; 3 after a RST."""


class Written(NamedTuple):
    """What a commit writes to a connection: values under masks."""

    mark: int = 0
    mark_mask: int = 0
    label: int = 0
    label_mask: int = 0

    def to(self, connection: Connection) -> Connection:
        """The connection afterwards."""
        return replace(
            connection,
            mark=connection.mark & ~self.mark_mask | self.mark & self.mark_mask,
            label=connection.label & ~self.label_mask | self.label & self.label_mask,
        )


class Verdict(NamedTuple):
    """What the tracker says of a packet, and what is remembered afterwards."""

    fields: Mapping[str, int]
    """``ct_state``, ``ct_zone``, ``ct_mark`` and ``ct_label`` of the tracked packet."""
    connections: Connections


@dataclass(frozen=True, slots=True)
class Connections:
    """All connections of one bridge, by the direction of their first packet. A value."""

    held: Mapping[Way, Connection] = field(default_factory=dict)

    def track(self, packet: Mapping[str, int], zone: int, commit: Written | None = None) -> Verdict:
        """Pass one packet through the tracker.

        Args:
            packet: its fields.
            zone: number of the zone.
            commit: remember the connection, and write this to it; None only looks.
        """
        way = way_of(packet, zone)
        flags = packet.get("tcp_flags", 0) if packet.get("ip_proto") == PROTO_TCP else _ACK
        if way is None:
            return _verdict(self, zone, _INV | _TRK, None)
        original = way if way in self.held else way.back
        known = self.held.get(original)
        if known is not None and known.closed == 3 and flags & _SYN and not flags & _ACK:
            known, original = None, way
        if known is None:
            return self._start(way, flags, _starts(packet, flags), commit)
        seen = _moved(known, way != original, flags)
        state = _state(packet, seen, way != original)
        if commit is not None:
            seen = commit.to(seen)
        after = self if seen == known else Connections({**self.held, original: seen})
        return _verdict(after, zone, state | _TRK, seen)

    def _start(self, way: Way, flags: int, starts: bool, commit: Written | None) -> Verdict:
        """A packet of no known connection; one that was closed is known no more."""
        rest = {key: held for key, held in self.held.items() if key not in (way, way.back)}
        bare = self if len(rest) == len(self.held) else Connections(rest)
        if not starts:
            return _verdict(self, way.zone, _INV | _TRK, None)
        if commit is None:
            return _verdict(bare, way.zone, _NEW | _TRK, None)
        made = commit.to(_moved(Connection(), False, flags))
        return _verdict(Connections({**rest, way: made}), way.zone, _NEW | _TRK, made)


NO_CONNECTIONS = Connections()


def _verdict(
    connections: Connections, zone: int, state: int, connection: Connection | None
) -> Verdict:
    mark, label = (connection.mark, connection.label) if connection else (0, 0)
    fields = {"ct_state": state, "ct_zone": zone, "ct_mark": mark, "ct_label": label}
    return Verdict(fields, connections)


def way_of(packet: Mapping[str, int], zone: int) -> Way | None:
    """The direction a packet belongs to; None when it can belong to no connection."""
    eth_type, protocol = packet.get("eth_type", 0), packet.get("ip_proto", 0)
    if eth_type not in (ETH_IP, ETH_IPV6):
        return None
    prefix = "ip" if eth_type == ETH_IP else "ipv6"
    source, target = packet.get(f"{prefix}_src", 0), packet.get(f"{prefix}_dst", 0)
    way = Way(zone, eth_type, protocol, source, target)
    if protocol in (PROTO_TCP, PROTO_UDP):
        name = "tcp" if protocol == PROTO_TCP else "udp"
        ports = packet.get(f"{name}_src", 0), packet.get(f"{name}_dst", 0)
        return way._replace(source_port=ports[0], target_port=ports[1])
    if protocol in _ASKS:
        kind = _icmp_type(packet)
        answer = _ECHO.get((protocol, kind))
        return None if answer is None else way._replace(source_port=kind, target_port=answer)
    return way


def _icmp_type(packet: Mapping[str, int]) -> int:
    four = packet.get("ip_proto") == PROTO_ICMP
    return packet.get("icmp_type" if four else "icmpv6_type", 0)


def _starts(packet: Mapping[str, int], flags: int) -> bool:
    """Whether a packet of no known connection may start one."""
    protocol = packet.get("ip_proto", 0)
    if protocol in _ASKS:
        return _icmp_type(packet) == _ASKS[protocol]
    if protocol != PROTO_TCP or not flags:
        return True
    if flags & _SYN:
        return not flags & (_ACK | _RST | _FIN)
    # Data of a connection from before our time is taken up; FIN, PSH and URG need an ACK.
    return bool(flags & _ACK) or bool(flags & _RST and not flags & (_FIN | _PSH | _URG))


def _moved(connection: Connection, reply: bool, flags: int) -> Connection:
    """The connection after a packet of one side; ``flags`` are TCP's."""
    closed = connection.closed | (3 if flags & _RST else 0)
    closed |= (2 if reply else 1) if flags & _FIN else 0
    return replace(connection, replied=connection.replied or reply, closed=closed)


def _state(packet: Mapping[str, int], connection: Connection, reply: bool) -> int:
    if reply:
        return _EST | _RPL
    acknowledges = packet.get("ip_proto") == PROTO_TCP and packet.get("tcp_flags", 0) & _ACK
    return _EST if connection.replied or acknowledges else _NEW
