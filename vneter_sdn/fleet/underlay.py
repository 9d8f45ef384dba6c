# SPDX-License-Identifier: Apache-2.0
"""The underlay: switches as Linux bridges in one namespace, links as veth pairs.

Each segment's bridge carries the router's address, and the namespace forwards between them.
"""

from __future__ import annotations

import socket

from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.strands import cable_ends, lay, short, socket_name, start_relays, strands
from vneter_sdn.fleet.system import add_namespaces, inside, ip_batch, set_sysctls
from vneter_sdn.fleet.topology import Segment, Underlay

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
    """Make the namespaces, switches, links and relays that are missing.

    Raises:
        SouthboundError: the machine refused.
    """
    add_namespaces([layout.underlay, *(layout.host_netns(host) for host in underlay.hosts)])
    set_sysctls(_UNDERLAY_SYSCTLS, layout.underlay)
    for host in underlay.hosts:
        set_sysctls(_HOST_SYSCTLS, layout.host_netns(host))
    present = interfaces(layout.underlay)
    ip_batch(_switch_lines(underlay, present), layout.underlay)
    links = strands(layout, underlay)
    lay(layout, links, underlay.mtu)
    ip_batch(_join_lines(underlay), layout.underlay)
    start_relays(layout, links)


def interfaces(netns: str) -> set[str]:
    """Names of the interfaces in a namespace."""
    return inside(netns, lambda: {name for _, name in socket.if_nameindex()})


def switch_name(switch: str) -> str:
    """Name of an underlay switch's Linux bridge."""
    return short(f"s-{switch}", "s", switch)


def _switch_lines(underlay: Underlay, present: set[str]) -> list[str]:
    lines = ["link set lo up"]
    for segment in underlay.segments:
        lines += [
            f"link add {switch_name(switch)} type bridge mcast_snooping 0"
            for switch in segment.switches
            if switch_name(switch) not in present
        ]
    return lines


def _join_lines(underlay: Underlay) -> list[str]:
    lines = [
        line
        for nic in underlay.nics
        for line in _plugged(socket_name(nic), nic.switch, underlay.mtu)
    ]
    for segment in underlay.segments:
        for cable in segment.cables:
            for end, switch in zip(cable_ends(*cable), cable, strict=True):
                lines += _plugged(end, switch, underlay.mtu)
        lines += _segment_lines(segment, underlay.mtu)
    return lines


def _plugged(end: str, switch: str, mtu: int) -> list[str]:
    return [f"link set dev {end} mtu {mtu} master {switch_name(switch)}"]


def _segment_lines(segment: Segment, mtu: int) -> list[str]:
    lines = [f"link set {switch_name(switch)} mtu {mtu} up" for switch in segment.switches]
    router = switch_name(segment.switches[0])
    return [*lines, f"address replace {segment.gateway} dev {router}"]
