# SPDX-License-Identifier: Apache-2.0
"""Workloads: a namespace each, joined to a host's ``br-int`` by a veth pair.

The pair's one end is ``eth0`` in the workload, the other is a port whose name is the same on
every host and whose ``external_ids:iface-id`` binds the endpoint.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import msgspec

from vneter_sdn.errors import IntentError, NotFound, Problem, SouthboundError
from vneter_sdn.fleet.controller import (
    API_VERSION,
    Controller,
    Manifest,
    await_attachment,
    await_ready,
)
from vneter_sdn.fleet.dhcp_client import start_client
from vneter_sdn.fleet.host import BRIDGE, vsctl
from vneter_sdn.fleet.layout import Layout, port_name
from vneter_sdn.fleet.records import (
    HostRecord,
    WorkloadRecord,
    read_host,
    read_hosts,
    read_workloads,
    write_record,
)
from vneter_sdn.fleet.system import (
    add_namespaces,
    delete_namespace,
    end_processes,
    ip_batch,
    processes_in,
    require_root,
    run,
    set_sysctls,
    usable,
)
from vneter_sdn.fleet.underlay import interfaces

_WORKLOAD_SYSCTLS = {
    # A new address must be usable at once, and gateways are set, not solicited.
    f"ipv6/conf/{which}/{name}": 0
    for which in ("all", "default")
    for name in ("accept_dad", "accept_ra", "router_solicitations")
}


@dataclass(frozen=True, slots=True)
class Wish:
    """The workload that is asked for; what is empty is left to the controller."""

    tenant: str
    name: str
    network: str
    host: str
    addresses: tuple[str, ...] = ()
    mac: str = ""
    dhcp: bool = False
    """Whether it is to ask for its IPv4 configuration, as workloads elsewhere do."""


def attach(
    layout: Layout, controller: Controller, wish: Wish, wait: float | None = 30
) -> WorkloadRecord:
    """Declare the endpoint if nobody has, make the workload, and join it to its host.

    One that is on another host already moves.

    Args:
        layout: Where the fleet lives.
        controller: Decides addresses; told of the endpoint.
        wish: The workload.
        wait: Seconds to wait until the endpoint is Ready; None to not wait.

    Raises:
        NotFound: the host is not up, or there is no such network.
        IntentError: the controller refused the endpoint.
        SouthboundError: ``br-int``, addresses or readiness did not come in time.
    """
    require_root()
    host = read_host(layout, wish.host)
    formers = [w for w in read_workloads(layout) if w.identity == f"{wish.tenant}/{wish.name}"]
    # What an earlier attach declared is still ours to take back.
    declared = declare(controller, wish) or any(former.declared for former in formers)
    given = await_attachment(controller, wish.tenant, wish.name, 30)
    record = WorkloadRecord(
        tenant=wish.tenant,
        name=wish.name,
        network=wish.network,
        host=wish.host,
        netns=layout.workload_netns(wish.tenant, wish.name),
        port=port_name(wish.tenant, wish.name),
        interface_id=given.get("interfaceId") or f"{wish.tenant}/{wish.name}",
        mac=given["mac"],
        addresses=tuple(given["addresses"]),
        gateways=tuple(given.get("gateways") or ()),
        mtu=int(given.get("mtu") or 1400),
        declared=declared,
        dhcp=wish.dhcp,
    )
    for former in formers:
        if former.host != host.name:
            return move(layout, former, host.name, controller, wait)
    plug(layout, host, record)
    if wait is not None:
        await_ready(controller, "Endpoint", wish.tenant, wish.name, wait)
    if record.dhcp:
        start_client(layout, record)
    return record


def declare(controller: Controller, wish: Wish) -> bool:
    """Make the Endpoint object unless there is one; says whether it was made.

    Raises:
        IntentError: it is refused, or there is one that asks for something else.
    """
    try:
        _check_same(controller.get("Endpoint", wish.tenant, wish.name).get("spec") or {}, wish)
    except NotFound:
        spec: Manifest = {"network": wish.network, "host": wish.host}
        if wish.addresses:
            spec["addresses"] = list(wish.addresses)
        if wish.mac:
            spec["mac"] = wish.mac
        metadata = {"tenant": wish.tenant, "name": wish.name}
        manifest = {"apiVersion": API_VERSION, "kind": "Endpoint", "metadata": metadata}
        controller.apply([manifest | {"spec": spec}], f"fleet: {wish.tenant}/{wish.name}")
        return True
    return False


def _check_same(spec: Manifest, wish: Wish) -> None:
    """Refuse a wish that the Endpoint there is does not grant."""
    wanted = {"network": wish.network, "mac": wish.mac, "addresses": list(wish.addresses)}
    problems = [
        Problem(
            f"Endpoint {wish.tenant}/{wish.name}",
            f"spec.{field}",
            "Different",
            f"it exists, with {spec.get(field) or 'none asked for'} instead of {value}; "
            "delete it first, or choose another name",
        )
        for field, value in wanted.items()
        if value and spec.get(field) != value
    ]
    if problems:
        raise IntentError(*problems)


def plug(
    layout: Layout,
    host: HostRecord,
    record: WorkloadRecord,
    bridge: str = BRIDGE,
    seconds: int = 30,
) -> None:
    """Make the workload's namespace and its port, whatever of them is missing.

    Raises:
        SouthboundError: the bridge was not there in time, or the machine refused.
    """
    await_bridge(host, bridge, seconds)
    write_record(layout.workload_file(record.tenant, record.name), record)
    if not usable(record.netns):
        add_namespaces([record.netns])
    set_sysctls(_WORKLOAD_SYSCTLS, record.netns)
    if "eth0" not in interfaces(record.netns):
        _unplug(host.netns, record.port)
        pair = f"link add eth0 netns {record.netns} address {record.mac}"
        ip_batch([f"{pair} type veth peer name {record.port} netns {host.netns}"])
    ip_batch([f"link set {record.port} mtu {record.mtu} up"], host.netns)
    run(["ethtool", "-K", "eth0", "tx", "off"], netns=record.netns)
    ip_batch(address_lines(record), record.netns)
    vsctl(host, *port_words(record, bridge))


def await_bridge(host: HostRecord, bridge: str, seconds: int) -> None:
    """Wait until the controller has made a host's bridge.

    Raises:
        SouthboundError: it has not, in time.
    """
    try:
        vsctl(host, "wait-until", "Bridge", bridge, "name=" + bridge, seconds=seconds)
    except SouthboundError as error:
        raise SouthboundError(
            f"host {host.name} has no bridge {bridge} after {seconds} s: the controller makes it "
            f"once the Host is registered (vneterctl describe host {host.name})"
        ) from error


def address_lines(record: WorkloadRecord) -> list[str]:
    """``ip`` commands that configure a workload's interface."""
    lines = ["link set lo up", f"link set eth0 address {record.mac} mtu {record.mtu} up"]
    given = [one for one in record.addresses if ":" in one or not record.dhcp]
    lines += [
        f"address replace {address} dev eth0{' nodad' if ':' in address else ''}"
        for address in given
    ]
    gateways = [one for one in record.gateways if ":" in one or not record.dhcp]
    return lines + [f"route replace default via {gateway} dev eth0" for gateway in gateways]


def port_words(record: WorkloadRecord, bridge: str) -> list[str]:
    """``ovs-vsctl`` words that add a workload's port and bind its endpoint."""
    return [
        *("--may-exist", "add-port", bridge, record.port),
        *("--", "set", "Interface", record.port),
        f'external_ids:iface-id="{record.interface_id}"',
        f'external_ids:attached-mac="{record.mac}"',
    ]


def _unplug(netns: str, interface: str) -> None:
    """Delete one end of a veth pair, and with it the other, if it is there."""
    with suppress(SouthboundError):
        if interface in interfaces(netns):
            ip_batch([f"link delete {interface}"], netns)


def detach(
    layout: Layout, record: WorkloadRecord, controller: Controller | None, keep: bool = False
) -> None:
    """Remove a workload: its port, processes and namespace, and the Endpoint if we made it.

    Args:
        layout: Where the fleet lives.
        record: The workload.
        controller: Told of it, when it answers.
        keep: Leave the Endpoint object even if `attach` made it.
    """
    require_root()
    with suppress(NotFound, SouthboundError):
        vsctl(read_host(layout, record.host), "--if-exists", "del-port", record.port)
    end_processes(lambda: processes_in([record.netns]))
    # The kernel empties a deleted namespace when it has time; the port's name is free at once.
    _unplug(record.netns, "eth0")
    delete_namespace(record.netns)
    if controller and record.declared and not keep:
        with suppress(NotFound):
            controller.delete("Endpoint", record.tenant, record.name)
    layout.workload_file(record.tenant, record.name).unlink(missing_ok=True)


def move(
    layout: Layout,
    record: WorkloadRecord,
    target: str,
    controller: Controller | None,
    wait: float | None = 30,
) -> WorkloadRecord:
    """Let a workload appear on another host, with its namespace, MAC and addresses.

    As a live migration does: the port appears at the target, then the source's goes.

    Raises:
        NotFound: the target is not up.
        SouthboundError: it did not work, or was not Ready in time.
    """
    require_root()
    host = read_host(layout, target)
    moved = msgspec.structs.replace(record, host=target)
    await_bridge(host, BRIDGE, 30)
    # The record names the target before the work is done: a repeated move looks everywhere.
    former = [h for h in read_hosts(layout) if record.host in (h.name, target)]
    if record.port not in interfaces(host.netns):
        _unplug(record.netns, "eth0")
    plug(layout, host, moved)
    for other in former:
        if other.name != target:
            vsctl(other, "--if-exists", "del-port", record.port)
    if controller and wait is not None:
        await_ready(controller, "Endpoint", moved.tenant, moved.name, wait, host=target)
    return moved
