# SPDX-License-Identifier: Apache-2.0
"""The wires: switches as Linux bridges in one namespace, NICs as veth pairs into the hosts'.

Each segment's bridge carries the router's address, and the namespace forwards between them.
"""

from __future__ import annotations

import socket

from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.system import add_namespaces, inside, ip_batch, set_sysctls
from vneter_sdn.fleet.topology import Nic, Segment, Underlay

_INTERFACE_MAX = 15

_HOST_SYSCTLS = {
    # OVS reads packets beside the kernel's own IP stack, not instead of it. These keep that stack
    # from answering on a NIC or workload port what only the bridges may answer.
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 1,
    "ipv4/conf/default/arp_ignore": 8,
    "ipv6/conf/default/disable_ipv6": 1,
}

_UNDERLAY_SYSCTLS = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/all/accept_dad": 0,
    "ipv6/conf/default/accept_dad": 0,
}


def lay_underlay(layout: Layout, underlay: Underlay) -> None:
    """Make the namespaces, switches and NICs that are missing.

    Raises:
        SouthboundError: the machine refused.
    """
    add_namespaces([layout.underlay, *(layout.host_netns(host) for host in underlay.hosts)])
    set_sysctls(_UNDERLAY_SYSCTLS, layout.underlay)
    for host in underlay.hosts:
        set_sysctls(_HOST_SYSCTLS, layout.host_netns(host))
    present = interfaces(layout.underlay)
    ip_batch(_switch_lines(underlay, present), layout.underlay)
    ip_batch(_nic_lines(layout, underlay, present))
    ip_batch(_join_lines(underlay), layout.underlay)


def interfaces(netns: str) -> set[str]:
    """Names of the interfaces in a namespace."""
    return inside(netns, lambda: {name for _, name in socket.if_nameindex()})


def switch_name(switch: str) -> str:
    """Name of an underlay switch's Linux bridge."""
    return _short(f"s-{switch}", "s", switch)


def socket_name(nic: Nic) -> str:
    """Name of the underlay's end of a NIC's veth."""
    return _short(f"{nic.host}-{nic.interface}", "n", nic.host, nic.interface)


def _short(name: str, letter: str, *parts: str) -> str:
    return name if len(name) <= _INTERFACE_MAX else f"{letter}{digest_of(*parts)[:12]}"


def _cable_ends(left: str, right: str) -> tuple[str, str]:
    digest = digest_of(left, right)[:10]
    return f"c{digest}a", f"c{digest}b"


def _switch_lines(underlay: Underlay, present: set[str]) -> list[str]:
    lines = ["link set lo up"]
    for segment in underlay.segments:
        lines += [
            f"link add {switch_name(switch)} type bridge mcast_snooping 0"
            for switch in segment.switches
            if switch_name(switch) not in present
        ]
        for left, right in segment.cables:
            one, two = _cable_ends(left, right)
            if one not in present:
                lines.append(f"link add {one} type veth peer name {two}")
    return lines


def _nic_lines(layout: Layout, underlay: Underlay, present: set[str]) -> list[str]:
    # One netlink message makes both ends where they belong: a kill leaves both or none.
    return [
        f"link add {nic.interface} netns {layout.host_netns(nic.host)}"
        f" type veth peer name {socket_name(nic)} netns {layout.underlay}"
        for nic in underlay.nics
        if socket_name(nic) not in present
    ]


def _join_lines(underlay: Underlay) -> list[str]:
    lines = [
        line
        for nic in underlay.nics
        for line in _plugged(socket_name(nic), nic.switch, underlay.mtu)
    ]
    for segment in underlay.segments:
        for cable in segment.cables:
            for end, switch in zip(_cable_ends(*cable), cable, strict=True):
                lines += _plugged(end, switch, underlay.mtu)
        lines += _segment_lines(segment, underlay.mtu)
    return lines


def _plugged(end: str, switch: str, mtu: int) -> list[str]:
    return [f"link set {end} mtu {mtu} master {switch_name(switch)} up"]


def _segment_lines(segment: Segment, mtu: int) -> list[str]:
    lines = [f"link set {switch_name(switch)} mtu {mtu} up" for switch in segment.switches]
    router = switch_name(segment.switches[0])
    return [*lines, f"address replace {segment.gateway} dev {router}"]
