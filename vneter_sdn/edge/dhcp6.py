# SPDX-License-Identifier: Apache-2.0
"""Answers DHCPv6 clients (RFC 8415 §18.3): the address that an endpoint has anyway, and options.

Nothing is remembered: which address is whose, the store says, and no message changes that. So any
instance answers any message alike, a lease that is over costs nobody an address, and what is
released or declined is told to be so and stays. The server is the gateway, known by a DUID made of
its MAC.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network

from vneter_sdn.edge.advertising import Face, advertises, name_servers, search_list
from vneter_sdn.edge.ledger import Asker
from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.router_kinds import RaSpec
from vneter_sdn.southbound.openflow import datagram, dhcp6
from vneter_sdn.southbound.openflow.dhcp6 import (
    Association,
    Code,
    Kind,
    Lease,
    Message,
    Status,
    Wish,
)

REFRESH = 86_400
"""Seconds until a client without an address should ask again (RFC 8415 §21.23)."""
FOREMOST = 255
"""The preference of a server that nobody need wait for others after (RFC 8415 §18.2.1)."""
_BOUND = (Kind.RENEW, Kind.REBIND, Kind.RELEASE, Kind.DECLINE)
"""Messages about what a client says that it has."""
_MULTICAST_ONLY = (Kind.SOLICIT, Kind.CONFIRM, Kind.REBIND, Kind.INFORMATION_REQUEST)
_TO_US = (Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE)
_NAMELESS = (Kind.SOLICIT, Kind.CONFIRM, Kind.REBIND)
"""Messages that name no server (RFC 8415 §16)."""


def duid(mac: int) -> bytes:
    """The DUID of a gateway: DUID-LL (RFC 8415 §11.4)."""
    return bytes((0, 3, 0, 1)) + mac.to_bytes(6, "big")


_WORDS = {
    Kind.SOLICIT: "offered",
    Kind.RELEASE: "released",
    Kind.DECLINE: "declined",
    Kind.CONFIRM: "confirmed",
    Kind.INFORMATION_REQUEST: "informed",
}


def respond(asker: Asker, frame: bytes) -> tuple[str, bytes | None]:
    """What became of a client's frame, in a word, and the answer; None where there is none.

    Raises:
        DecodeError: a length lies.
    """
    ra = advertises(Face.of(asker))
    asked = datagram.read(frame)
    if ra is None or not ra.asked or asked.source.version != 6:
        return "ignored", None
    said = dhcp6.decode(asked.payload)
    answer = reply(asker, ra, said, to_all=asked.target.is_multicast)
    if answer is None:
        return "ignored", None
    mac = asker.gateway_mac
    ends = (mac, asker.mac, link_local(mac), asked.source)
    ports = (dhcp6.SERVER_PORT, dhcp6.CLIENT_PORT)
    sent = datagram.written(datagram.Datagram(*ends, *ports, dhcp6.encode(answer)))
    return _word(said, answer), sent


def _word(said: Message, answer: Message) -> str:
    """What became of a question."""
    lacking = (Code.NO_ADDRESSES, Code.NOT_ON_LINK, Code.USE_MULTICAST, Code.NO_BINDING)
    parts = (answer.status, *(one.status for one in answer.associations))
    if any(part is not None and part.code in lacking for part in parts):
        return "refused"
    return _WORDS.get(Kind(said.kind), "leased")


def reply(asker: Asker, ra: RaSpec, said: Message, *, to_all: bool) -> Message | None:
    """What a message is answered; ``to_all``: whether it was sent to all servers."""
    own = duid(asker.gateway_mac)
    if not _valid(said, own):
        return None
    blank = Message(Kind.REPLY, said.transaction, said.client, own)
    whole = replace(blank, wishes=tuple(_ungranted(said, one) for one in said.wishes))
    if not to_all:
        if said.kind in _MULTICAST_ONLY:
            return None
        return replace(blank, status=Status(Code.USE_MULTICAST, "ask all servers"))
    match said.kind:
        case Kind.SOLICIT:
            return _offer(asker, ra, said, whole)
        case Kind.REQUEST | Kind.RENEW | Kind.REBIND:
            return _configured(asker, ra, said, _leased(asker, ra, said, whole))
        case Kind.CONFIRM:
            return _confirmed(asker, ra, said, blank)
        case Kind.RELEASE | Kind.DECLINE:
            return _returned(asker, ra, said, whole)
        case Kind.INFORMATION_REQUEST:
            return replace(_configured(asker, ra, said, blank), refresh=REFRESH)
    return None


def _ungranted(said: Message, one: Wish) -> Wish:
    """No prefixes are delegated, and no addresses given for a while (RFC 8415 §18.3.2, §18.3.9)."""
    code = Code.NO_ADDRESSES if one.kind == dhcp6.TEMPORARY else Code.NO_PREFIXES
    code = Code.NO_BINDING if said.kind in _BOUND else code
    return replace(one, status=Status(code, "nobody is given such"))


def _valid(said: Message, own: bytes) -> bool:
    """RFC 8415 §16."""
    if said.kind in _TO_US:
        return said.client is not None and said.server == own
    if said.kind in _NAMELESS:
        return said.client is not None and said.server is None
    if said.kind == Kind.INFORMATION_REQUEST:
        return said.server in (None, own) and not said.associations and not said.wishes
    return False


def _address(asker: Asker, ra: RaSpec) -> IPv6Address | None:
    """What DHCPv6 gives an endpoint."""
    own = asker.own(6)
    return own if ra.assigned and isinstance(own, IPv6Address) else None


def _offer(asker: Asker, ra: RaSpec, said: Message, blank: Message) -> Message:
    at_once = said.rapid and _address(asker, ra) is not None
    kind = Kind.REPLY if at_once else Kind.ADVERTISE
    offered = _leased(asker, ra, replace(said, associations=_hintless(said)), blank)
    preference = None if at_once else FOREMOST
    offered = replace(offered, kind=kind, rapid=at_once, preference=preference)
    return _configured(asker, ra, said, offered)


def _hintless(said: Message) -> tuple[Association, ...]:
    """What a client would like to have is nothing that it has."""
    return tuple(replace(one, leases=()) for one in said.associations)


def _leased(asker: Asker, ra: RaSpec, said: Message, blank: Message) -> Message:
    own = _address(asker, ra)
    found: list[Association] = []
    for position, one in enumerate(said.associations):
        if own is None or position:
            found.append(_lacking(one, said.kind))
        elif said.kind == Kind.REQUEST and not all(_on_link(asker, lease) for lease in one.leases):
            status = Status(Code.NOT_ON_LINK, "no address of this network")
            found.append(Association(one.number, status=status))
        else:
            found.append(_association(one, own, ra))
    return replace(blank, associations=tuple(found))


def _lacking(one: Association, kind: int) -> Association:
    """No address; and an end to those that a client has (RFC 8415 §18.3.4)."""
    if kind not in _BOUND:
        return Association(one.number, status=Status(Code.NO_ADDRESSES, "there is one address"))
    ended = tuple(Lease(lease.address) for lease in one.leases)
    return Association(
        one.number,
        leases=ended,
        status=None if ended else Status(Code.NO_BINDING, "there is one address"),
    )


def _association(one: Association, own: IPv6Address, ra: RaSpec) -> Association:
    """The address with its times, and an end to all others."""
    others = tuple(Lease(lease.address) for lease in one.leases if lease.address != own)
    endless = ra.preferred_seconds == dhcp6.FOREVER
    renew = dhcp6.FOREVER if endless else ra.preferred_seconds // 2
    rebind = dhcp6.FOREVER if endless else ra.preferred_seconds * 4 // 5
    lease = Lease(own, ra.preferred_seconds, ra.valid_seconds)
    return Association(one.number, renew, rebind, (lease, *others))


def _on_link(asker: Asker, lease: Lease) -> bool:
    prefix = asker.prefix(6)
    return isinstance(prefix, IPv6Network) and lease.address in prefix


def _confirmed(asker: Asker, ra: RaSpec, said: Message, blank: Message) -> Message | None:
    """Whether a client that comes back may use what it had (RFC 8415 §18.3.3)."""
    had = [lease.address for one in said.associations for lease in one.leases]
    if not had:
        return None
    own = _address(asker, ra)
    if all(address == own for address in had):
        return replace(blank, status=Status(Code.SUCCESS, "still yours"))
    return replace(blank, status=Status(Code.NOT_ON_LINK, "not yours in this network"))


def _returned(asker: Asker, ra: RaSpec, said: Message, blank: Message) -> Message:
    """RFC 8415 §18.3.7, §18.3.8."""
    own = _address(asker, ra)
    strange = tuple(
        Association(one.number, status=Status(Code.NO_BINDING, "not yours"))
        for one in said.associations
        if any(lease.address != own for lease in one.leases)
    )
    return replace(blank, associations=strange, status=Status(Code.SUCCESS, "taken note of"))


def _configured(asker: Asker, ra: RaSpec, said: Message, answer: Message) -> Message:
    """With the options that the client asks for; with all, when it asks for none."""

    def wanted(kind: int) -> bool:
        return kind in said.wanted or not said.wanted

    face = Face.of(asker)
    clocks = tuple(IPv6Address(text) for text in ra.ntp_servers)
    return replace(
        answer,
        dns=name_servers(face) if wanted(dhcp6.DNS_SERVERS) else (),
        domains=search_list(face) if wanted(dhcp6.DOMAIN_LIST) else (),
        sntp=clocks if wanted(dhcp6.SNTP) else (),
        ntp=clocks if wanted(dhcp6.NTP) else (),
    )
