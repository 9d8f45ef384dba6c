# SPDX-License-Identifier: Apache-2.0
"""Datapath ids of the bridges we program: ``0x76 (8) · zero (40) · bridge id (16)``."""

from __future__ import annotations

from vneter_sdn.model.kinds import HostSpec

DATAPATH_MAGIC = 0x76


def datapath_id(bridge_id: int) -> int:
    """The 64-bit OpenFlow datapath id of the bridge with this id."""
    return DATAPATH_MAGIC << 56 | bridge_id


def bridge_id(dpid: int) -> int | None:
    """The bridge id in a datapath id; None when the datapath is not one of ours."""
    number = dpid & ~(0xFF << 56)
    return number if dpid >> 56 == DATAPATH_MAGIC and 0 < number <= 0x6FFF else None


def datapath_of(spec: HostSpec, bridge_id: int) -> int:
    """The datapath id of a host's bridge: the one that its spec names, else the one chosen."""
    return datapath_id(bridge_id) if spec.datapath_id is None else int(spec.datapath_id, 16)
