# SPDX-License-Identifier: Apache-2.0
"""Every OpenFlow match field this package uses, by the name Open vSwitch gives it.

Widths and OXM numbers are those of OpenFlow 1.5.1 §7.2.3.8 and of ``ovs-fields(7)``.
Values are always plain unsigned integers, whatever the field: an Ethernet address
is a 48-bit number, an IPv6 address a 128-bit one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OPENFLOW_BASIC = 0x8000
"""OXM class of OpenFlow's own fields."""
NXM_0 = 0x0000
NXM_1 = 0x0001
"""OXM classes of Nicira's own fields: the older names of OpenFlow's, and extensions (registers)."""
PACKET_REGS = 0x8001
"""OXM class of OpenFlow 1.5's 64-bit packet registers, each a pair of Open vSwitch's."""
ERICOXM = 0x1000
"""OXM class of the ND extensions that Ericsson gave Open vSwitch."""


@dataclass(frozen=True, slots=True)
class Field:
    """One match field."""

    name: str
    bits: int
    oxm_class: int
    oxm_field: int
    maskable: bool = False
    needs: tuple[tuple[str, int], ...] = ()
    """Prerequisites: (field, value) pairs that must be matched exactly as well."""
    alias: tuple[int, int] | None = None
    """(class, field) of the NXM header that Open vSwitch also knows it by."""

    full: int = field(init=False)
    """The mask that matches every bit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "full", (1 << self.bits) - 1)

    @property
    def octets(self) -> int:
        """Length of the field in an OXM, in bytes."""
        return (self.bits + 7) // 8


ETH_IP, ETH_ARP, ETH_IPV6, ETH_LLDP = 0x0800, 0x0806, 0x86DD, 0x88CC
PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_ICMPV6, PROTO_SCTP = 1, 6, 17, 58, 132
_IP = (("eth_type", ETH_IP),)
_IPV6 = (("eth_type", ETH_IPV6),)
_ARP = (("eth_type", ETH_ARP),)
_ICMP = (*_IP, ("ip_proto", PROTO_ICMP))
_ICMPV6 = (*_IPV6, ("ip_proto", PROTO_ICMPV6))
_ND = (*_ICMPV6, ("icmpv6_code", 0))
_NS, _NA = (*_ND, ("icmpv6_type", 135)), (*_ND, ("icmpv6_type", 136))
TRACKED = {"new": 1, "est": 2, "rel": 4, "rpl": 8, "inv": 16, "trk": 32, "snat": 64, "dnat": 128}
"""Bits of ``ct_state`` by the names of ``ovs-fields(7)``."""
_TCP, _UDP = (("ip_proto", PROTO_TCP),), (("ip_proto", PROTO_UDP),)
_SCTP = (("ip_proto", PROTO_SCTP),)

_ALL = (
    Field("in_port", 32, OPENFLOW_BASIC, 0),
    Field("metadata", 64, OPENFLOW_BASIC, 2, maskable=True),
    Field("eth_dst", 48, OPENFLOW_BASIC, 3, maskable=True, alias=(NXM_0, 1)),
    Field("eth_src", 48, OPENFLOW_BASIC, 4, maskable=True, alias=(NXM_0, 2)),
    Field("eth_type", 16, OPENFLOW_BASIC, 5, alias=(NXM_0, 3)),
    Field("vlan_vid", 13, OPENFLOW_BASIC, 6, maskable=True),
    Field("ip_dscp", 6, OPENFLOW_BASIC, 8),
    Field("ip_proto", 8, OPENFLOW_BASIC, 10, alias=(NXM_0, 6)),
    Field("ip_src", 32, OPENFLOW_BASIC, 11, maskable=True, needs=_IP, alias=(NXM_0, 7)),
    Field("ip_dst", 32, OPENFLOW_BASIC, 12, maskable=True, needs=_IP, alias=(NXM_0, 8)),
    Field("tcp_src", 16, OPENFLOW_BASIC, 13, maskable=True, needs=_TCP, alias=(NXM_0, 9)),
    Field("tcp_dst", 16, OPENFLOW_BASIC, 14, maskable=True, needs=_TCP, alias=(NXM_0, 10)),
    Field("udp_src", 16, OPENFLOW_BASIC, 15, maskable=True, needs=_UDP, alias=(NXM_0, 11)),
    Field("udp_dst", 16, OPENFLOW_BASIC, 16, maskable=True, needs=_UDP, alias=(NXM_0, 12)),
    Field("sctp_src", 16, OPENFLOW_BASIC, 17, maskable=True, needs=_SCTP),
    Field("sctp_dst", 16, OPENFLOW_BASIC, 18, maskable=True, needs=_SCTP),
    Field("icmp_type", 8, OPENFLOW_BASIC, 19, needs=_ICMP, alias=(NXM_0, 13)),
    Field("icmp_code", 8, OPENFLOW_BASIC, 20, needs=_ICMP, alias=(NXM_0, 14)),
    Field("arp_op", 16, OPENFLOW_BASIC, 21, needs=_ARP, alias=(NXM_0, 15)),
    Field("arp_spa", 32, OPENFLOW_BASIC, 22, maskable=True, needs=_ARP, alias=(NXM_0, 16)),
    Field("arp_tpa", 32, OPENFLOW_BASIC, 23, maskable=True, needs=_ARP, alias=(NXM_0, 17)),
    Field("arp_sha", 48, OPENFLOW_BASIC, 24, maskable=True, needs=_ARP, alias=(NXM_1, 17)),
    Field("arp_tha", 48, OPENFLOW_BASIC, 25, maskable=True, needs=_ARP, alias=(NXM_1, 18)),
    Field("ipv6_src", 128, OPENFLOW_BASIC, 26, maskable=True, needs=_IPV6, alias=(NXM_1, 19)),
    Field("ipv6_dst", 128, OPENFLOW_BASIC, 27, maskable=True, needs=_IPV6, alias=(NXM_1, 20)),
    Field("icmpv6_type", 8, OPENFLOW_BASIC, 29, needs=_ICMPV6, alias=(NXM_1, 21)),
    Field("icmpv6_code", 8, OPENFLOW_BASIC, 30, needs=_ICMPV6, alias=(NXM_1, 22)),
    Field("nd_target", 128, OPENFLOW_BASIC, 31, maskable=True, needs=_ND, alias=(NXM_1, 23)),
    Field("nd_sll", 48, OPENFLOW_BASIC, 32, maskable=True, needs=_NS, alias=(NXM_1, 24)),
    Field("nd_tll", 48, OPENFLOW_BASIC, 33, maskable=True, needs=_NA, alias=(NXM_1, 25)),
    Field("tcp_flags", 12, OPENFLOW_BASIC, 42, maskable=True, needs=_TCP, alias=(NXM_1, 34)),
    Field("tun_id", 64, OPENFLOW_BASIC, 38, maskable=True, alias=(NXM_1, 16)),
    Field("ip_ttl", 8, NXM_1, 29),
    Field("nd_reserved", 32, ERICOXM, 1, needs=_ND),
    Field("nd_options_type", 8, ERICOXM, 2, needs=_ND),
    Field("conj_id", 32, NXM_1, 37),
    Field("ct_state", 32, NXM_1, 105, maskable=True),
    Field("ct_zone", 16, NXM_1, 106),
    Field("ct_mark", 32, NXM_1, 107, maskable=True),
    Field("ct_label", 128, NXM_1, 108, maskable=True),
    *(Field(f"reg{n}", 32, NXM_1, n, maskable=True) for n in range(16)),
)

FIELDS: dict[str, Field] = {one.name: one for one in _ALL}
"""By name."""

LENGTH = Field("length", 16, NXM_1, 0)
"""Octets of a frame. No flow can match it; an action asks about it (`model.flow.CheckLength`)."""
KNOWN = {**FIELDS, LENGTH.name: LENGTH}
"""All that is known of a packet, by name."""
