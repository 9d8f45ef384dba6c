# SPDX-License-Identifier: Apache-2.0
"""Packets in the flow syntax of Open vSwitch, as ``ofproto/trace`` reads and prints it.

Written with OpenFlow's names, read with either those or the older ones that ``ovs-appctl``
prints (``dl_src``, ``nw_ttl``, ``tp_dst``; see ``ovs-fields(7)``).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.addresses import mac_number, mac_text
from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    FIELDS,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
    TRACKED,
)
from vneter_sdn.simulate.packet import VLAN_PRESENT, Packet

_MACS = frozenset({"eth_src", "eth_dst", "arp_sha", "arp_tha", "nd_sll", "nd_tll"})
_IPV4 = frozenset({"ip_src", "ip_dst", "arp_spa", "arp_tpa"})
_IPV6 = frozenset({"ipv6_src", "ipv6_dst", "nd_target"})
_SHORT: dict[str, dict[str, int]] = {
    "ip": {"eth_type": ETH_IP},
    "ipv6": {"eth_type": ETH_IPV6},
    "arp": {"eth_type": ETH_ARP},
    "rarp": {"eth_type": 0x8035},
    "mpls": {"eth_type": 0x8847},
    "mplsm": {"eth_type": 0x8848},
    "icmp": {"eth_type": ETH_IP, "ip_proto": PROTO_ICMP},
    "icmp6": {"eth_type": ETH_IPV6, "ip_proto": PROTO_ICMPV6},
    "tcp": {"eth_type": ETH_IP, "ip_proto": PROTO_TCP},
    "tcp6": {"eth_type": ETH_IPV6, "ip_proto": PROTO_TCP},
    "udp": {"eth_type": ETH_IP, "ip_proto": PROTO_UDP},
    "udp6": {"eth_type": ETH_IPV6, "ip_proto": PROTO_UDP},
}
_OLD = {
    "dl_src": "eth_src",
    "dl_dst": "eth_dst",
    "dl_type": "eth_type",
    "nw_src": "ip_src",
    "nw_dst": "ip_dst",
    "nw_proto": "ip_proto",
    "nw_ttl": "ip_ttl",
}
_TCP_FLAGS = {
    name: 1 << bit
    for bit, name in enumerate(("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"))
}
_FLAGS = {"ct_state": TRACKED, "tcp_flags": _TCP_FLAGS}
_FIRST = ("in_port", "tun_id", "vlan_vid", "eth_type", "ip_proto", "icmpv6_type", "icmpv6_code")
"""Prerequisites go before what needs them."""


def packet_text(packet: Packet) -> str:
    """The packet as ``ofproto/trace`` takes it: ``in_port=1,eth_type=0x800,ip_ttl=64,…``.

    Fields that are zero are left out, which means the same; so is the length, which it has no word
    for.
    """
    order = {name: number for number, name in enumerate((*_FIRST, *FIELDS))}
    known = (name for name in packet if name in order)
    return ",".join(_term(name, packet[name]) for name in sorted(known, key=order.__getitem__))


def _term(name: str, value: int) -> str:
    if name == "vlan_vid":
        return f"vlan_tci={value | VLAN_PRESENT:#06x}"
    if name == "ip_dscp":
        return f"nw_tos={value << 2}"
    if name == "ip_ttl":
        return f"nw_ttl={value}"
    if name == "ct_state":
        return f"ct_state={'|'.join(bit for bit, number in TRACKED.items() if value & number)}"
    return f"{name}={value_of(name, value)}"


def value_of(name: str, value: int) -> str:
    """The value of a field, as Open vSwitch writes it."""
    if name in _MACS:
        return mac_text(value)
    if name in _IPV4:
        return str(IPv4Address(value))
    if name in _IPV6:
        return str(IPv6Address(value))
    wide = FIELDS[name].bits > 16 and name != "in_port"
    return hex(value) if wide or name == "eth_type" else str(value)


def parse_packet(text: str) -> Packet:
    """Read a packet that ``packet_text`` wrote or Open vSwitch printed.

    What this package has no field for (``nw_ecn``, ``tcp_flags``, ``ipv6_label``…) is left out.

    Raises:
        PipelineError: a value is not one of its field.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    given = {name: value for name, _, value in (word.partition("=") for word in words)}
    fields: dict[str, int] = {}
    for name in given:
        fields.update(_SHORT.get(name, {}))
    for name, value in given.items():
        if value:
            _read(name, value, fields)
    return Packet(**_by_protocol(fields))


def _read(name: str, value: str, into: dict[str, int]) -> None:
    name = _OLD.get(name, name)
    try:
        if name == "vlan_tci":
            tag = int(value, 0)
            into["vlan_vid"] = tag & 0x1FFF if tag & VLAN_PRESENT else 0
        elif name == "dl_vlan":
            into["vlan_vid"] = int(value, 0) | VLAN_PRESENT
        elif name == "nw_tos":
            into["ip_dscp"] = int(value, 0) >> 2
        elif name in _FLAGS:
            into[name] = _flags(value, _FLAGS[name])
        elif name in ("tp_src", "tp_dst") or name in FIELDS:
            into[name] = _number(name, value)
    except ValueError as error:
        raise PipelineError(f"{name}: {error}") from None


def _flags(value: str, names: Mapping[str, int]) -> int:
    """``new|trk``, or a number."""
    if value[0].isdigit():
        return int(value, 0)
    words = value.split("|")
    if not names.keys() >= set(words):
        raise PipelineError(f"no such flags: {value}")
    return sum(names[word] for word in words)


def _number(name: str, value: str) -> int:
    if name in _MACS:
        return mac_number(value)
    if name in _IPV4:
        return int(IPv4Address(value))
    if name in _IPV6:
        return int(IPv6Address(value))
    return int(value, 0)


def _by_protocol(fields: dict[str, int]) -> dict[str, int]:
    """Give the fields that two protocols share in the old names to the one that is here."""
    protocol = {PROTO_TCP: "tcp", PROTO_UDP: "udp"}.get(fields.get("ip_proto", 0))
    six = fields.get("eth_type") == ETH_IPV6
    renamed = {}
    for name, value in fields.items():
        if name in ("tp_src", "tp_dst"):
            if protocol:
                renamed[protocol + name[2:]] = value
        elif six and name in ("icmp_type", "icmp_code"):
            renamed[f"icmpv6_{name[5:]}"] = value
        else:
            renamed[name] = value
    return renamed
