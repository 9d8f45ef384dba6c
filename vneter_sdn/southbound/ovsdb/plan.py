# SPDX-License-Identifier: Apache-2.0
"""The OVSDB transaction that turns what a host has into what is desired. Pure.

Only rows that carry `OWNER_KEY` are changed or removed. A bridge without it is only added to:
its sets and maps gain elements, its empty columns a value, and nothing it says is replaced.
Every change of a row waits on the columns it was decided from, so that another writer's change
fails the transaction and the plan is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from vneter_sdn.errors import SouthboundError
from vneter_sdn.model.rows import OWNER_KEY, HostRows, TunnelPort
from vneter_sdn.ovsdb import operations as op
from vneter_sdn.ovsdb.operations import Mutation, Operation
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.values import NamedUuid, Row
from vneter_sdn.southbound.ovsdb.watched import (
    OURS,
    PEER_KEY,
    WATCHED_KEY,
    is_ours,
    is_tunnel,
    mapping,
    members,
    named,
)

PROTOCOLS = frozenset({"OpenFlow14", "OpenFlow15"})
BFD_INTERVAL = 100
"""Milliseconds between BFD packets, each way; three missed take a link down."""
BFD_TYPES = frozenset({"", "system", "netdev", "dpdk", "afxdp", "tap"})
"""Interface types that BFD says something of; a patch port is down when its peer is gone."""
_OWNED = {OWNER_KEY: OURS}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; falsy when there is nothing."""

    operations: tuple[Operation, ...] = ()
    withheld: tuple[str, ...] = ()
    """What is desired and cannot be, because it would replace somebody else's row."""

    def __bool__(self) -> bool:
        return bool(self.operations)


@dataclass(slots=True)
class _Draft:
    """Operations of one transaction, and the changes of the bridge row they add up to."""

    keep_tunnels: bool = False
    bfd_interval: int = BFD_INTERVAL
    guards: list[Operation] = field(default_factory=list)
    changes: list[Operation] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    add: dict[str, Any] = field(default_factory=dict)
    """References that the bridge gains: column to set, or to map."""

    def insert(self, table: str, row: Mapping[str, Any], name: str) -> NamedUuid:
        self.changes.append(op.insert(table, row, name))
        return NamedUuid(name)

    def correct(self, table: str, uuid: UUID, row: Row, wanted: Mapping[str, Any]) -> None:
        """Set the columns of a row of ours that differ; columns the server lacks are left out."""
        known = {column: value for column, value in wanted.items() if column in row}
        wrong = {column: value for column, value in known.items() if row[column] != value}
        if wrong:
            self.guard(table, uuid, row, *wrong)
            self.changes.append(op.update(table, op.by_uuid(uuid), wrong))

    def guard(self, table: str, uuid: UUID, row: Row, *columns: str) -> None:
        """Fail when a row is not what it was when this was decided."""
        seen = {column: row[column] for column in columns}
        self.guards.append(op.wait(table, op.by_uuid(uuid), seen))

    def mutate_bridge(self, bridge: UUID, *mutations: Mutation) -> None:
        self.changes.append(op.mutate("Bridge", op.by_uuid(bridge), mutations))

    def reference(self, column: str, *items: NamedUuid) -> None:
        self.add.setdefault(column, []).extend(items)


def plan(
    desired: HostRows,
    observed: Replica,
    keep_tunnels: bool = False,
    bfd_interval: int = BFD_INTERVAL,
) -> Plan:
    """Operations that give the host the desired rows; none when it has them.

    Args:
        desired: of the whole host.
        observed: the host's database, with the columns of `watched.WATCHED`.
        keep_tunnels: those of ours that are not desired stay; the intent may lack them by mistake.
        bfd_interval: milliseconds between BFD packets on links, each way.

    Raises:
        SouthboundError: the database was never initialised (``ovs-vsctl init``).
    """
    draft = _Draft(keep_tunnels, bfd_interval)
    for uuid, row in observed.table("Bridge").items():
        if row["name"] != desired.bridge:
            _strip(draft, observed, uuid, row)
    found = named(observed, "Bridge", desired.bridge)
    if found is None:
        _create(draft, desired, observed)
    else:
        _amend(draft, desired, observed, *found)
    return Plan((*draft.guards, *draft.changes), tuple(draft.withheld))


def _create(draft: _Draft, desired: HostRows, observed: Replica) -> None:
    """Make the bridge, with its local port and everything on it."""
    roots = list(observed.table("Open_vSwitch"))
    if len(roots) != 1:
        raise SouthboundError("the Open_vSwitch table has no row: run ovs-vsctl init")
    for table in ("Bridge", "Port", "Interface"):
        draft.guards.append(op.wait(table, [("name", "==", desired.bridge)]))
    local = {"name": desired.bridge, "type": "internal", "external_ids": _OWNED}
    interface = draft.insert("Interface", local, "local_interface")
    port = {"name": desired.bridge, "interfaces": interface, "external_ids": _OWNED}
    draft.reference("ports", draft.insert("Port", port, "local_port"))
    _controller(draft, desired, observed, {})
    _tunnels(draft, desired, observed, {})
    _flow_tables(draft, desired, observed, {})
    row = {
        "name": desired.bridge,
        "datapath_type": desired.datapath_type,
        "fail_mode": "secure",
        "protocols": PROTOCOLS,
        "other_config": _bridge_config(desired),
        "external_ids": _OWNED,
        **draft.add,
    }
    bridge = draft.insert("Bridge", row, "bridge")
    root = op.by_uuid(roots[0])
    draft.changes.append(op.mutate("Open_vSwitch", root, [("bridges", "insert", bridge)]))


def _amend(draft: _Draft, desired: HostRows, observed: Replica, uuid: UUID, row: Row) -> None:
    """Bring a bridge that is there to what is desired."""
    wanted = _bridge_columns(desired, row)
    draft.correct("Bridge", uuid, row, wanted)
    drop: list[Mutation] = []
    for column, items in (
        ("controller", _controller(draft, desired, observed, row)),
        ("ports", _tunnels(draft, desired, observed, row)),
        ("flow_tables", _flow_tables(draft, desired, observed, row)),
    ):
        if items:
            drop.append((column, "delete", items))
    gain: list[Mutation] = [(column, "insert", items) for column, items in draft.add.items()]
    if drop or gain:
        draft.mutate_bridge(uuid, *drop, *gain)
    _watch_wires(draft, desired, observed, row)


def _bridge_config(desired: HostRows) -> dict[str, str]:
    return {"datapath-id": f"{desired.dpid:016x}", "disable-in-band": "true"}


def _bridge_columns(desired: HostRows, row: Row) -> dict[str, Any]:
    """Columns of the bridge row as they should be; a foreign one keeps whatever it says."""
    config, ours = _bridge_config(desired), is_ours(row)
    there = mapping(row, "other_config")
    mode = members(row, "fail_mode")
    wanted: dict[str, Any] = {
        "protocols": members(row, "protocols") | PROTOCOLS,
        "other_config": {**there, **config} if ours else {**config, **there},
        "fail_mode": frozenset({"secure"}) if ours or not mode else mode,
    }
    if ours:
        wanted["datapath_type"] = desired.datapath_type
    return wanted


def _controller(
    draft: _Draft, desired: HostRows, observed: Replica, bridge: Row
) -> frozenset[UUID]:
    """Our Controller row; returns those of ours to drop."""
    rows = _rows(observed, "Controller", members(bridge, "controller"))
    wanted = {
        "target": desired.controller,
        "max_backoff": frozenset({1000}),
        "inactivity_probe": frozenset({5000}),
        "connection_mode": frozenset({"out-of-band"}),
    }
    ours = {uuid: row for uuid, row in rows if is_ours(row)}
    keep = next((u for u, row in ours.items() if row["target"] == desired.controller), None)
    if keep is not None:
        draft.correct("Controller", keep, ours[keep], wanted)
    elif desired.controller:
        if any(row["target"] == desired.controller for _, row in rows):
            draft.withheld.append(f"Controller {desired.controller}: another's row is there")
        else:
            row = {**wanted, "external_ids": _OWNED}
            draft.reference("controller", draft.insert("Controller", row, "controller"))
    return _drop(draft, "Controller", {u: row for u, row in ours.items() if u != keep})


def _tunnels(draft: _Draft, desired: HostRows, observed: Replica, bridge: Row) -> frozenset[UUID]:
    """Our tunnel ports; returns those of ours to drop."""
    here = _rows(observed, "Port", members(bridge, "ports"))
    ours = {str(row["name"]): (uuid, row) for uuid, row in here if is_tunnel(row)}
    taken = _foreign_names(observed)
    for index, tunnel in enumerate(desired.tunnels):
        if tunnel.name in ours:
            _amend_tunnel(draft, tunnel, observed, *ours.pop(tunnel.name))
        elif tunnel.name in taken:
            draft.withheld.append(f"Port {tunnel.name}: another's row has the name")
        else:
            _create_tunnel(draft, tunnel, index)
    if draft.keep_tunnels:
        return frozenset()
    return _drop(draft, "Port", dict(ours.values()))


def _foreign_names(observed: Replica) -> set[Any]:
    return {
        row["name"]
        for table in ("Port", "Interface")
        for row in observed.table(table).values()
        if not is_tunnel(row)
    }


def _create_tunnel(draft: _Draft, tunnel: TunnelPort, index: int) -> None:
    ids = {**_OWNED, PEER_KEY: tunnel.peer}
    row = {
        "name": tunnel.name,
        "external_ids": ids,
        **_interface_columns(tunnel, draft.bfd_interval),
    }
    interface = draft.insert("Interface", row, f"interface{index}")
    port = {"name": tunnel.name, "interfaces": interface, "external_ids": ids}
    draft.reference("ports", draft.insert("Port", port, f"port{index}"))


def _amend_tunnel(
    draft: _Draft, tunnel: TunnelPort, observed: Replica, uuid: UUID, port: Row
) -> None:
    ids = {PEER_KEY: tunnel.peer}
    draft.correct("Port", uuid, port, {"external_ids": {**mapping(port, "external_ids"), **ids}})
    interfaces = _rows(observed, "Interface", members(port, "interfaces"))
    if len(interfaces) != 1 or not is_tunnel(interfaces[0][1]):
        draft.withheld.append(f"Port {tunnel.name}: its interface is another's row")
        return
    ((interface, row),) = interfaces
    there = mapping(row, "external_ids")
    columns = _interface_columns(tunnel, draft.bfd_interval)
    wanted = {**columns, "external_ids": {**there, **ids}}
    draft.correct("Interface", interface, row, wanted)


def _interface_columns(tunnel: TunnelPort, bfd_interval: int) -> dict[str, Any]:
    """Interface columns of a tunnel; the VNI is set by flows (vswitchd.conf.db(5), ``key``)."""
    options = {"remote_ip": tunnel.remote_ip, "local_ip": tunnel.local_ip, "key": "flow"}
    return {
        "type": tunnel.encapsulation,
        "options": {name: value for name, value in options.items() if value},
        "ofport_request": frozenset({tunnel.ofport}),
        "bfd": _bfd(bfd_interval) if tunnel.bfd else {"enable": "false"},
    }


def _bfd(interval: int) -> dict[str, str]:
    return {"enable": "true", "min_rx": str(interval), "min_tx": str(interval)}


def _watch_wires(draft: _Draft, desired: HostRows, observed: Replica, bridge: Row) -> None:
    """Have BFD run where wires begin; these rows are not ours, so what others set there stays."""
    for _, port in _rows(observed, "Port", members(bridge, "ports")):
        for uuid, row in _rows(observed, "Interface", members(port, "interfaces")):
            ids, there = mapping(row, "external_ids"), mapping(row, "bfd")
            asked = WATCHED_KEY in ids
            if row["name"] in desired.watched and row.get("type") in BFD_TYPES:
                if asked or not there:
                    bfd, marked = _bfd(draft.bfd_interval), {**ids, WATCHED_KEY: OURS}
                    draft.correct("Interface", uuid, row, {"bfd": bfd, "external_ids": marked})
            elif asked and not draft.keep_tunnels:
                left = {key: value for key, value in ids.items() if key != WATCHED_KEY}
                draft.correct("Interface", uuid, row, {"bfd": {}, "external_ids": left})


def _flow_tables(draft: _Draft, desired: HostRows, observed: Replica, bridge: Row) -> Any:
    """Names of the tables; returns the pairs of ours to drop."""
    there = mapping(bridge, "flow_tables")
    rows = observed.table("Flow_Table")
    add: dict[int, NamedUuid] = {}
    for number, name in enumerate(desired.table_names):
        if not name:
            continue
        row = rows.get(there[number]) if number in there else None
        if row is None:
            wanted = {"name": name, "external_ids": _OWNED}
            add[number] = draft.insert("Flow_Table", wanted, f"table{number}")
        elif is_ours(row):
            draft.correct("Flow_Table", there[number], row, {"name": frozenset({name})})
        elif members(row, "name") != {name}:
            draft.withheld.append(f"Flow_Table {number}: another's row is there")
    if add:
        draft.add["flow_tables"] = add
    named_here = {number for number, name in enumerate(desired.table_names) if name}
    stale = {
        number: uuid
        for number, uuid in there.items()
        if number not in named_here and uuid in rows and is_ours(rows[uuid])
    }
    _drop(draft, "Flow_Table", {uuid: rows[uuid] for uuid in stale.values()})
    return stale


def _strip(draft: _Draft, observed: Replica, uuid: UUID, bridge: Row) -> None:
    """Take what is ours off a bridge that is not the desired one; the bridge itself stays."""
    nothing = HostRows(str(bridge["name"]), "", 0, "")
    drop: list[Mutation] = [
        (column, "delete", items)
        for column, items in (
            ("controller", _controller(draft, nothing, observed, bridge)),
            ("ports", _tunnels(draft, nothing, observed, bridge)),
            ("flow_tables", _flow_tables(draft, nothing, observed, bridge)),
        )
        if items
    ]
    if drop:
        draft.mutate_bridge(uuid, *drop)
    _watch_wires(draft, nothing, observed, bridge)


def _drop(draft: _Draft, table: str, rows: Mapping[UUID, Row]) -> frozenset[UUID]:
    """Rows to drop, provided they are still ours when it happens."""
    for uuid, row in rows.items():
        draft.guard(table, uuid, row, "external_ids")
    return frozenset(rows)


def _rows(observed: Replica, table: str, uuids: frozenset[Any]) -> list[tuple[UUID, Row]]:
    """The rows of a set of references, in a stable order."""
    rows = observed.table(table)
    return [(uuid, rows[uuid]) for uuid in sorted(uuids) if uuid in rows]
