# SPDX-License-Identifier: Apache-2.0
"""What a fleet writes down about itself: small JSON files in its run directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vneter_sdn.errors import NotFound
from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.topology import Topology

_T = TypeVar("_T", bound=msgspec.Struct)


class FleetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet as a whole, written before anything is made."""

    prefix: str
    topology: Topology
    datapath: str = "netdev"


class HostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One host, written when it is up."""

    name: str
    netns: str
    run_dir: str
    addresses: tuple[str, ...]
    """Tunnel addresses, one per NIC, without prefix length."""
    mtu: int
    datapath: str
    wires: tuple[str, ...] = ()
    """Interfaces on its bridge that are wires to other hosts."""

    @property
    def ovsdb(self) -> str:
        """Where its ovsdb-server listens."""
        return f"unix:{self.run_dir}/db.sock"


class WorkloadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One workload, written before it is made."""

    tenant: str
    name: str
    network: str
    host: str
    netns: str
    port: str
    """Name of the interface on its host's bridge."""
    interface_id: str
    mac: str
    addresses: tuple[str, ...]
    """With prefix length."""
    gateways: tuple[str, ...] = ()
    mtu: int = 1400
    declared: bool = False
    """Whether `fleet attach` made the Endpoint object, so that detach deletes it."""
    dhcp: bool = False
    """Whether it asks for its IPv4 configuration; else it is given it."""

    @property
    def identity(self) -> str:
        """``red/web1``."""
        return f"{self.tenant}/{self.name}"


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write a record so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    draft.replace(path)


_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (FleetRecord, HostRecord, WorkloadRecord)
}
"""Made now: msgspec crashes when several threads are the first to decode a type."""


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        found: _T = _DECODERS[kind].decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return found


def fleet_file(layout: Layout) -> Path:
    """Where the fleet's own record is."""
    return layout.fleet_dir / ".fleet.json"


def host_file(layout: Layout, host: str) -> Path:
    """Where a host's record is."""
    return layout.host_dir(host) / "host.json"


def read_fleet(layout: Layout) -> FleetRecord | None:
    """The fleet's record, or None when there is no fleet."""
    return _read(fleet_file(layout), FleetRecord)


def read_hosts(layout: Layout) -> list[HostRecord]:
    """Hosts that came up, in the order of the topology."""
    fleet = read_fleet(layout)
    names = fleet.topology.hosts if fleet else ()
    found = (_read(host_file(layout, name), HostRecord) for name in names)
    return [record for record in found if record]


def read_host(layout: Layout, name: str) -> HostRecord:
    """One host.

    Raises:
        NotFound: it is not up.
    """
    for record in read_hosts(layout):
        if record.name == name:
            return record
    known = ", ".join(record.name for record in read_hosts(layout)) or "none"
    raise NotFound(f"host {name} is not up; hosts that are: {known}")


def read_workloads(layout: Layout) -> list[WorkloadRecord]:
    """Workloads, by tenant and name."""
    paths = sorted(layout.workload_dir.glob("[!.]*.json"))
    found = (_read(path, WorkloadRecord) for path in paths)
    return sorted((record for record in found if record), key=lambda w: (w.tenant, w.name))


def read_workload(layout: Layout, name: str, tenant: str = "") -> WorkloadRecord:
    """One workload, by ``name`` or ``tenant/name``.

    Raises:
        NotFound: there is none, or the bare name fits several tenants.
    """
    if "/" in name:
        tenant, name = name.split("/", 1)
    fitting = [
        record
        for record in read_workloads(layout)
        if record.name == name and tenant in ("", record.tenant)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise NotFound(f"several workloads: {', '.join(w.identity for w in fitting)}; say which")
    raise NotFound(f"there is no workload {tenant}/{name}" if tenant else f"no workload {name}")
