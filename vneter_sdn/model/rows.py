# SPDX-License-Identifier: Apache-2.0
"""Desired OVSDB rows of one host, as values (the subset of vswitch.ovsschema we own)."""

from __future__ import annotations

from dataclasses import dataclass, field

OWNER_KEY = "vneter-owner"
"""``external_ids`` key of every row that is ours; rows without it are never changed or removed."""


@dataclass(frozen=True, slots=True)
class TunnelPort:
    """A Port with one Interface that tunnels to another host."""

    name: str
    """At most 15 bytes, unique on the host."""
    encapsulation: str
    """OVS interface type: ``geneve``, ``vxlan`` or ``gre``."""
    local_ip: str
    remote_ip: str
    ofport: int
    """Requested OpenFlow port number."""
    peer: str
    """Name of the host at the other end."""
    bfd: bool = True


@dataclass(frozen=True, slots=True)
class HostRows:
    """What a host's OVSDB should hold."""

    bridge: str
    datapath_type: str
    dpid: int
    controller: str
    """OpenFlow target; empty leaves the bridge without a Controller row."""
    tunnels: tuple[TunnelPort, ...] = ()
    table_names: tuple[str, ...] = field(default=())
    """``Flow_Table`` names, by table number."""
    watched: tuple[str, ...] = ()
    """Interfaces that wires begin at, where BFD (RFC 5880) is to run: both ends can be told so."""
