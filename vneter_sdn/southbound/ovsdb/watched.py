# SPDX-License-Identifier: Apache-2.0
"""Which columns of a host's Open_vSwitch database we watch, and how to look at its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from vneter_sdn.model.rows import OWNER_KEY
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.values import Row

DATABASE = "Open_vSwitch"
WATCHED: Mapping[str, tuple[str, ...]] = {
    "Open_vSwitch": ("bridges", "ovs_version", "datapath_types", "iface_types"),
    "Bridge": (
        "name",
        "datapath_type",
        "datapath_id",
        "fail_mode",
        "protocols",
        "other_config",
        "external_ids",
        "controller",
        "ports",
        "flow_tables",
    ),
    "Controller": (
        "target",
        "connection_mode",
        "max_backoff",
        "inactivity_probe",
        "external_ids",
        "is_connected",
    ),
    "Flow_Table": ("name", "external_ids"),
    "Port": ("name", "interfaces", "external_ids"),
    "Interface": (
        "name",
        "type",
        "options",
        "bfd",
        "bfd_status",
        "ofport",
        "ofport_request",
        "mac_in_use",
        "link_state",
        "error",
        "external_ids",
    ),
}
"""vswitch.ovsschema(5). Statistics are left out: they change every five seconds."""
OURS = "true"
"""Value of `OWNER_KEY` in rows of ours."""
PEER_KEY = "vneter-peer"
"""``external_ids`` key of our tunnel ports: name of the host at the other end."""

WATCHED_KEY = "vneter-bfd"
"""``external_ids`` key of interfaces of others where BFD runs because we asked for it."""


def is_ours(row: Row) -> bool:
    """Whether a row carries our key."""
    return OWNER_KEY in mapping(row, "external_ids")


def is_tunnel(row: Row) -> bool:
    """Whether a Port or Interface is one of our tunnels."""
    return is_ours(row) and PEER_KEY in mapping(row, "external_ids")


def named(replica: Replica, table: str, name: str) -> tuple[UUID, Row] | None:
    """The row of a table with a unique ``name``."""
    for uuid, row in replica.table(table).items():
        if row["name"] == name:
            return uuid, row
    return None


def mapping(row: Row, column: str) -> Mapping[Any, Any]:
    """A map column; empty when the server does not have it."""
    value = row.get(column)
    return value if isinstance(value, Mapping) else {}


def members(row: Row, column: str) -> frozenset[Any]:
    """A set column, or a scalar one as a set; empty when the server does not have it."""
    value = row.get(column)
    if isinstance(value, frozenset):
        return value
    return frozenset() if value is None else frozenset([value])


def only(row: Row, column: str, default: Any = None) -> Any:
    """The element of an optional column, or ``default``."""
    return next(iter(members(row, column)), default)
