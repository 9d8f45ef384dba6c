# SPDX-License-Identifier: Apache-2.0
"""Up, status, down. Each looks at what is there and does what is missing, so each can be repeated.

A fleet is found again from the system itself: namespaces by prefix, files by run directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.fleet.host import bring_up_host, daemon_pids, write_template
from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.records import (
    FleetRecord,
    HostRecord,
    fleet_file,
    read_fleet,
    read_hosts,
    read_workloads,
    write_record,
)
from vneter_sdn.fleet.strands import Strand, strands
from vneter_sdn.fleet.system import (
    delete_namespace,
    end_processes,
    locked,
    namespaces,
    processes_of,
    remove_tree,
    require_root,
)
from vneter_sdn.fleet.topology import Topology, work_out
from vneter_sdn.fleet.underlay import lay_underlay

Progress = Callable[[str], None]
_WORKERS = 8
_DATAPATHS = ("netdev", "dummy")


class HostStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one host is."""

    name: str
    netns: str
    ovsdb_pid: int | None
    vswitchd_pid: int | None
    addresses: tuple[str, ...]
    workloads: tuple[str, ...]
    ready: bool
    """Whether it came up and both daemons run."""
    wires: tuple[str, ...] = ()
    """Interfaces on its bridge that are wires to other hosts."""


def bring_up(
    layout: Layout,
    topology: Topology,
    datapath: str = "netdev",
    progress: Progress = lambda _line: None,
) -> list[HostRecord]:
    """Make the fleet, or finish it.

    Args:
        layout: Where it lives.
        topology: Hosts and wires. Must extend those of a fleet that is up: hosts may be added
            at the end.
        datapath: ``netdev`` or ``dummy``.
        progress: Told one line per step.

    Raises:
        IntentError: the topology is impossible, or differs from that of the fleet that is up.
        SouthboundError: the machine refused; repeat or tear down.
    """
    require_root()
    underlay = work_out(topology)
    if datapath not in _DATAPATHS:
        raise _refused("datapath", f"{datapath!r} is none of {', '.join(_DATAPATHS)}")
    for host in underlay.hosts:
        layout.host_dir(host)
    with locked(layout.run_dir):
        _check_same(read_fleet(layout), topology, datapath)
        record = FleetRecord(prefix=layout.prefix, topology=topology, datapath=datapath)
        write_record(fleet_file(layout), record)
        write_template(layout)
        counts = f"segments {len(underlay.segments)}, NICs {len(underlay.nics)}"
        progress(f"underlay: {counts}, wires {len(underlay.wires)}")
        lay_underlay(layout, underlay)

        def one(host: str) -> HostRecord:
            made = bring_up_host(layout, underlay, host, datapath)
            progress(f"host {host}: {', '.join(made.addresses + made.wires)}")
            return made

        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(one, underlay.hosts))


def _check_same(old: FleetRecord | None, topology: Topology, datapath: str) -> None:
    if old is None:
        return
    known, planned = set(_fixed(old.topology)), set(_fixed(topology))
    if old.datapath != datapath or old.topology.mtu != topology.mtu:
        raise _refused("", "a fleet with another datapath or MTU is up; `fleet down` first")
    if not planned.issuperset(known):
        raise _refused("", "a fleet with other hosts or wires is up; `fleet down` first")


def _fixed(topology: Topology) -> Iterator[tuple[object, ...]]:
    """What a fleet that is up cannot change: everything but the numbers of its relays."""
    underlay = work_out(topology)
    for nic in underlay.nics:
        yield replace(nic, impairment=None), nic.impairment is None
    for wire in underlay.wires:
        yield replace(wire, impairment=None), wire.impairment is None
    for pair, _ in underlay.impaired:
        yield (pair,)


def status(layout: Layout) -> list[HostStatus]:
    """How each host of the topology is, also of a fleet that was killed while coming up."""
    fleet = read_fleet(layout)
    if fleet is None:
        return []
    recorded = {record.name: record for record in read_hosts(layout)}
    workloads = read_workloads(layout)
    found = []
    for name in fleet.topology.hosts:
        ovsdb, vswitchd = daemon_pids(layout, name)
        record = recorded.get(name)
        found.append(
            HostStatus(
                name=name,
                netns=layout.host_netns(name),
                ovsdb_pid=ovsdb,
                vswitchd_pid=vswitchd,
                addresses=record.addresses if record else (),
                workloads=tuple(w.identity for w in workloads if w.host == name),
                ready=bool(record and ovsdb and vswitchd),
                wires=record.wires if record else (),
            )
        )
    return found


def links(layout: Layout) -> tuple[Strand, ...]:
    """Every link of the fleet that is up, none when none is."""
    fleet = read_fleet(layout)
    return strands(layout, work_out(fleet.topology)) if fleet else ()


def tear_down(layout: Layout, progress: Progress = lambda _line: None) -> None:
    """Remove everything of the fleet: processes, namespaces, files. Nothing to do is success.

    Raises:
        SouthboundError: we are not root.
    """
    require_root()
    if not layout.run_dir.exists() and not namespaces(layout):
        return
    with locked(layout.run_dir):
        doomed = processes_of(layout)
        if doomed:
            progress(f"ending {len(doomed)} processes")
            end_processes(lambda: processes_of(layout))
        names = namespaces(layout)
        if names:
            progress(f"deleting {len(names)} namespaces")
            with ThreadPoolExecutor(_WORKERS) as pool:
                list(pool.map(delete_namespace, names))
        remove_tree(layout.fleet_dir)
        with suppress(OSError):
            # Only when nothing of anybody else is in it.
            layout.run_dir.rmdir()


def _refused(field: str, message: str) -> IntentError:
    return IntentError(Problem("fleet", field, "InvalidValue", message))
