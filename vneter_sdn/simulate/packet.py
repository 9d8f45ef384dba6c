# SPDX-License-Identifier: Apache-2.0
"""A packet as Open vSwitch sees it: the fields of its headers, and what it carries beside them.

A packet is a frozen mapping from the names of `model.fields` to plain numbers. A field that is
absent reads as zero, as in Open vSwitch's flow structure, so the two are the same packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, final

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.addresses import IPAddress, solicited_node
from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    KNOWN,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
)

BROADCAST = 0xFFFFFFFFFFFF
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
"""ICMPv6 types (RFC 4861 §4.3, §4.4)."""
VLAN_PRESENT = 0x1000
"""Bit of ``vlan_vid`` that says there is a tag (OpenFlow 1.5.1 §7.2.3.8)."""
_TRACKED = ("ct_state", "ct_zone", "ct_mark", "ct_label")
_CARRIED = frozenset({"in_port", "metadata", *_TRACKED, *(f"reg{n}" for n in range(16))})


@final
class Packet(Mapping[str, int]):
    """Fields by name. Equal when every field is, an absent one being zero."""

    __slots__ = ("_fields",)

    def __init__(self, **fields: int) -> None:
        for name, value in fields.items():
            known = KNOWN.get(name)
            if known is None:
                raise PipelineError(f"no such packet field: {name}")
            if not 0 <= value <= known.full:
                raise PipelineError(f"{name} holds {known.bits} bits, not {value:#x}")
        self._fields = {name: value for name, value in fields.items() if value}

    def __getitem__(self, name: str) -> int:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(frozenset(self._fields.items()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value:#x}" for name, value in sorted(self._fields.items()))
        return f"Packet({inside})"

    def with_(self, **changes: int) -> Packet:
        """The same packet, but for these fields."""
        return Packet(**{**self._fields, **changes})

    def at(self, port: int) -> Packet:
        """The same packet, coming in by an OpenFlow port."""
        return self.with_(in_port=port)

    @property
    def wire(self) -> Packet:
        """Without what a bridge adds inside itself (in_port, metadata, registers, tracking)."""
        return Packet(**{n: v for n, v in self._fields.items() if n not in _CARRIED})

    @property
    def frame(self) -> Packet:
        """What an endpoint sees: ``wire`` without the tunnel's key."""
        return self.wire.with_(tun_id=0)


class Ends(NamedTuple):
    """Who an IP packet is from and for; MACs as numbers, both addresses of one family."""

    eth_src: int
    eth_dst: int
    source: IPAddress
    target: IPAddress

    @property
    def back(self) -> Ends:
        """The other direction."""
        return Ends(self.eth_dst, self.eth_src, self.target, self.source)


def raw(eth_src: int, eth_dst: int, eth_type: int) -> Packet:
    """A frame of any ethertype, with nothing in it that Open vSwitch knows."""
    return Packet(eth_src=eth_src, eth_dst=eth_dst, eth_type=eth_type)


def arp_request(eth_src: int, source: int, target: int, *, sender_mac: int | None = None) -> Packet:
    """A broadcast ARP request (RFC 826); ``sender_mac`` when it differs from ``eth_src``."""
    return Packet(
        eth_src=eth_src,
        eth_dst=BROADCAST,
        eth_type=ETH_ARP,
        arp_op=1,
        arp_spa=source,
        arp_tpa=target,
        arp_sha=eth_src if sender_mac is None else sender_mac,
    )


def neighbour_solicitation(
    eth_src: int, source: IPAddress, target: IPAddress, *, link_address: int | None = None
) -> Packet:
    """A solicitation to the target's solicited-node group (RFC 4861 §4.3, RFC 2464 §7).

    ``link_address`` is the source link-layer address option, ``eth_src`` when None and no
    option when 0, as in duplicate address detection.
    """
    if target.version != 6:
        raise PipelineError(f"neighbour discovery is IPv6's, not {target}'s")
    group = int(solicited_node(target))
    option = eth_src if link_address is None else link_address
    return Packet(
        eth_src=eth_src,
        eth_dst=0x3333_0000_0000 | group & 0xFFFF_FFFF,
        eth_type=ETH_IPV6,
        ipv6_src=int(source),
        ipv6_dst=group,
        ip_proto=PROTO_ICMPV6,
        ip_ttl=255,
        icmpv6_type=NEIGHBOUR_SOLICITATION,
        nd_target=int(target),
        nd_sll=option,
        nd_options_type=1 if option else 0,
    )


def ip_packet(ends: Ends, protocol: int, *, ttl: int = 64) -> Packet:
    """An IP packet of either family, its transport fields zero."""
    if ends.source.version != ends.target.version:
        raise PipelineError(f"{ends.source} and {ends.target} are of two families")
    four = ends.target.version == 4
    prefix = "ip" if four else "ipv6"
    return Packet(
        eth_src=ends.eth_src,
        eth_dst=ends.eth_dst,
        eth_type=ETH_IP if four else ETH_IPV6,
        ip_proto=protocol,
        ip_ttl=ttl,
        **{f"{prefix}_src": int(ends.source), f"{prefix}_dst": int(ends.target)},
    )


def echo(ends: Ends, *, ttl: int = 64, reply: bool = False) -> Packet:
    """An ICMP (RFC 792) or ICMPv6 (RFC 4443 §4) echo request, or its reply."""
    if ends.target.version == 4:
        return ip_packet(ends, PROTO_ICMP, ttl=ttl).with_(icmp_type=0 if reply else 8)
    return ip_packet(ends, PROTO_ICMPV6, ttl=ttl).with_(icmpv6_type=129 if reply else 128)


def tcp(ends: Ends, source: int, target: int, *, ttl: int = 64, flags: int = 0) -> Packet:
    """A TCP segment between two ports."""
    packet = ip_packet(ends, PROTO_TCP, ttl=ttl)
    return packet.with_(tcp_src=source, tcp_dst=target, tcp_flags=flags)


def udp(ends: Ends, source: int, target: int, *, ttl: int = 64) -> Packet:
    """A UDP datagram between two ports."""
    return ip_packet(ends, PROTO_UDP, ttl=ttl).with_(udp_src=source, udp_dst=target)
