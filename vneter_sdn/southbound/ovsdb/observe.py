# SPDX-License-Identifier: Apache-2.0
"""What a host's database says of the host. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vneter_sdn.model.rows import OWNER_KEY
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.ovsdb.values import Row
from vneter_sdn.southbound.ovsdb.watched import PEER_KEY, is_tunnel, mapping, members, named, only


@dataclass(frozen=True, slots=True, order=True)
class ObservedPort:
    """An interface on the bridge that claims to be an endpoint's."""

    interface_id: str
    """``external_ids:iface-id``."""
    interface: str
    """Name of the OVS interface."""
    ofport: int
    """OpenFlow port number, above 0."""
    mac: str = ""
    """``external_ids:attached-mac``, as written; empty when there is none."""


@dataclass(frozen=True, slots=True, order=True)
class ObservedTunnel:
    """One of our tunnel ports."""

    name: str
    peer: str
    """Name of the host at the other end."""
    ofport: int
    """OpenFlow port number; 0 while it has none, -1 when it could not be opened."""
    bfd: str
    """``up``, ``down``, ``init``, ``admin_down``; ``unknown`` while BFD has not started."""
    link: str
    """``up``, ``down`` or ``unknown``."""
    fault: str
    """Why it does not work (Interface ``error``, else the BFD diagnostic), or empty."""
    flaps: int = 0
    """How often BFD changed its mind; 0 while it has never been up."""


@dataclass(frozen=True, slots=True)
class ObservedInterfaces:
    """What the interfaces of a bridge are for, by name, ours for tunnels apart."""

    endpoints: frozenset[str] = frozenset()
    """They carry an ``iface-id``."""
    plain: frozenset[str] = frozenset()
    """A wire may begin there: ports of the machine, veth or patch ports, without an iface-id."""


_MENDED = {(2, 17): 8, (3, 0): 5, (3, 1): 3}
"""Of these versions, the first patch since which overlapping megaflows are told apart."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host as a whole."""

    ovs_version: str
    datapath_types: frozenset[str]
    interface_types: frozenset[str]
    dpid: int | None
    """Datapath id in use on the bridge; None while vswitchd has not set one."""
    datapath_type: str = ""
    """Of the bridge: ``netdev`` for userspace, empty or ``system`` for the kernel's."""

    @property
    def mixes_up_megaflows(self) -> bool:
        """Whether its datapath may change the wrong one of two overlapping megaflows.

        "dpif-netdev: Fix dpif_netdev_flow_put" is in 2.17.8, 3.0.5, 3.1.3 and all since 3.2.0. A
        version that says nothing is taken to be one without it.
        """
        if self.datapath_type != "netdev":
            return False
        digits = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self.ovs_version)
        if digits is None:
            return True
        major, minor, patch = (int(part or 0) for part in digits.groups())
        mended = _MENDED.get((major, minor))
        return (major, minor) < (3, 2) if mended is None else patch < mended


def endpoint_ports(replica: Replica, bridge: str) -> tuple[ObservedPort, ...]:
    """Ports with an ``iface-id`` and an OpenFlow number, sorted.

    Two interfaces may claim the same id; the caller decides.
    """
    found = []
    for row in _interfaces(replica, bridge):
        ids = mapping(row, "external_ids")
        ofport = only(row, "ofport", 0)
        if ids.get("iface-id") and ofport > 0 and OWNER_KEY not in ids:
            name, mac = str(row["name"]), ids.get("attached-mac", "")
            found.append(ObservedPort(ids["iface-id"], name, ofport, mac))
    return tuple(sorted(found))


def tunnels(replica: Replica, bridge: str) -> tuple[ObservedTunnel, ...]:
    """Our tunnel ports, sorted by name."""
    return tuple(sorted(_tunnel(row) for row in _interfaces(replica, bridge) if is_tunnel(row)))


_PLAIN = frozenset({"", "system", "netdev", "dpdk", "afxdp", "dummy", "patch", "tap"})
"""Interface types of ports that a cable may be in (vswitchd.conf.db(5))."""


def interfaces(replica: Replica, bridge: str) -> ObservedInterfaces:
    """What the interfaces of a bridge are for, as far as the database says."""
    endpoints, plain = set(), set()
    for row in _interfaces(replica, bridge):
        name = str(row["name"])
        if mapping(row, "external_ids").get("iface-id"):
            endpoints.add(name)
        elif row.get("type") in _PLAIN and name != bridge and not is_tunnel(row):
            plain.add(name)
    return ObservedInterfaces(frozenset(endpoints), frozenset(plain))


def facts(replica: Replica, bridge: str) -> HostFacts:
    """Version, what the host can do, and the bridge's datapath id."""
    root: Row = next(iter(replica.table("Open_vSwitch").values()), {})
    found = named(replica, "Bridge", bridge)
    identity = only(found[1], "datapath_id", "") if found else ""
    return HostFacts(
        only(root, "ovs_version", ""),
        members(root, "datapath_types"),
        members(root, "iface_types"),
        _hexadecimal(identity),
        only(found[1], "datapath_type", "") if found else "",
    )


def _interfaces(replica: Replica, bridge: str) -> Iterator[Row]:
    found = named(replica, "Bridge", bridge)
    if found is None:
        return
    ports, interfaces = replica.table("Port"), replica.table("Interface")
    for port in members(found[1], "ports"):
        for interface in members(ports.get(port, {}), "interfaces"):
            if interface in interfaces:
                yield interfaces[interface]


def _tunnel(row: Row) -> ObservedTunnel:
    status = mapping(row, "bfd_status")
    state = status.get("state", "unknown")
    fault = only(row, "error", "") or ("" if state == "up" else status.get("diagnostic", ""))
    return ObservedTunnel(
        str(row["name"]),
        mapping(row, "external_ids").get(PEER_KEY, ""),
        only(row, "ofport", 0),
        state,
        only(row, "link_state", "unknown"),
        "" if fault == "No Diagnostic" else fault,
        _count(status.get("flap_count", "")),
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
