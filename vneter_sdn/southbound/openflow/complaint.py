# SPDX-License-Identifier: Apache-2.0
"""What senders are told of packets that the distributed router cannot forward.

An answer is an ICMP error of the gateway's, or, where the gateway itself was spoken to, what a host
says on whose ports nobody listens: a reset of TCP (RFC 9293 §3.5.2), an unreachable port or
protocol (RFC 1122 §3.2.2.1), and an echo reply, which only other networks' gateways are asked for
here. Quotes, and what may be answered at all, are `punt`'s.
"""

from __future__ import annotations

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, PROTO_TCP, PROTO_UDP
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.southbound.openflow import ip_header, punt
from vneter_sdn.southbound.openflow.punt import Unreachable
from vneter_sdn.southbound.openflow.refusal import refusal
from vneter_sdn.southbound.openflow.wire import U16

_ECHO_REQUEST, _ECHO_REPLY, _HOPS = {4: 8, 6: 128}, {4: 0, 6: 129}, 64


def answer(frame: bytes, said: Complaint) -> bytes | None:
    """The frame that tells the sender; None where none may be sent.

    Args:
        frame: an Ethernet frame, perhaps cut short.
        said: what is wrong with it.
    """
    who = said.gateway, said.gateway_mac
    match said.fault:
        case Fault.EXPIRED:
            return punt.time_exceeded(frame, *who)
        case Fault.TOO_LONG:
            return punt.packet_too_big(frame, *who, said.mtu)
        case Fault.NO_ROUTE:
            return punt.unreachable(frame, *who, Unreachable.NETWORK)
    try:
        seen = punt.decode(frame)
    except DecodeError:
        return None
    packet = seen.network
    if not isinstance(packet, punt.Ip) or packet.source.version != said.gateway.version:
        return None
    if packet.target not in (said.gateway, link_local(said.gateway_mac)):
        return punt.unreachable(frame, *who, Unreachable.HOST)
    return _as_host(frame, seen, packet)


def _as_host(frame: bytes, seen: punt.Frame, packet: punt.Ip) -> bytes | None:
    """What a gateway says that was spoken to."""
    mac, icmp = seen.ethernet.destination, packet.protocol in (PROTO_ICMP, PROTO_ICMPV6)
    if packet.protocol == PROTO_TCP:
        return refusal(frame)
    if icmp:
        return _echo_reply(frame, seen, packet)
    heard = packet.protocol in (PROTO_UDP, PROTO_SCTP)
    why = Unreachable.PORT if heard else Unreachable.PROTOCOL
    return punt.unreachable(frame, packet.target, mac, why)


def _echo_reply(frame: bytes, seen: punt.Frame, packet: punt.Ip) -> bytes | None:
    """The reply to an echo request that came whole (RFC 792, RFC 4443 §4.2)."""
    version, at = packet.source.version, packet.payload
    asked = seen.transport
    whole = packet.end - packet.header == _length(frame, packet)
    if not isinstance(asked, punt.Icmp) or not whole or not punt.answerable(frame):
        return None
    if (asked.type, asked.code) != (_ECHO_REQUEST[version], 0) or packet.end - at < 8:
        return None
    if at - packet.header != (20 if version == 4 else 40) or seen.ethernet.vlan is not None:
        return None
    body = bytes((_ECHO_REPLY[version], 0, 0, 0)) + frame[at + 4 : packet.end]
    ends = packet.target.packed + packet.source.packed
    over_ends = ip_header.transport_checksum(ends, PROTO_ICMPV6, body)
    summed = ip_header.checksum(body) if version == 4 else over_ends
    body = body[:2] + U16.pack(summed) + body[4:]
    macs = seen.ethernet.source.to_bytes(6, "big") + seen.ethernet.destination.to_bytes(6, "big")
    return macs + frame[12:14] + _header(frame[packet.header : at], ends) + body


def _header(asked: bytes, ends: bytes) -> bytes:
    """The header of a request, the other way."""
    if len(asked) == 40:
        return asked[:7] + bytes((_HOPS,)) + ends
    blank = asked[:8] + bytes((_HOPS, PROTO_ICMP, 0, 0)) + ends
    return blank[:10] + U16.pack(ip_header.checksum(blank)) + blank[12:]


def _length(frame: bytes, packet: punt.Ip) -> int:
    """Octets of a packet as its header has it, whatever is left of the frame."""
    at = packet.header
    if packet.source.version == 4:
        return int.from_bytes(frame[at + 2 : at + 4], "big")
    return 40 + int.from_bytes(frame[at + 4 : at + 6], "big")
