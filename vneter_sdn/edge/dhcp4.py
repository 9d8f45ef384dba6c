# SPDX-License-Identifier: Apache-2.0
"""Answers DHCP for IPv4 (RFC 2131) on behalf of a network's gateway. Pure.

Nothing here is dynamic: an endpoint's address is the one that it was allocated, whatever it asks
for and however often. So there are no leases to remember, and nothing is lost with the controller:
a lease is merely the time after which a client asks again. Whoever asks for another address is told
that it is not its own (NAK), at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from vneter_sdn.edge.ledger import Asker, is_domain
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.network_kinds import DhcpSpec
from vneter_sdn.southbound.openflow import datagram, dhcp4
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.dhcp4 import Code, Kind, Message
from vneter_sdn.southbound.openflow.labels import written_labels
from vneter_sdn.southbound.openflow.wire import U16

EVERYBODY = IPv4Address("255.255.255.255")
_EVERYBODY_MAC = 0xFFFF_FFFF_FFFF
_HEADERS = 28
"""Octets of IP and UDP, which a client may have counted as its message's (RFC 2132 §9.10)."""
_NOBODY = IPv4Address(0)
DEFAULTS = (
    *(Code.MASK, Code.ROUTES, Code.ROUTERS, Code.DNS_SERVERS, Code.DOMAIN),
    *(Code.MTU, Code.BROADCAST, Code.NTP_SERVERS, Code.SEARCH),
)
"""What a client that does not say what it wants is told, in this order."""
WORDS = {
    Kind.OFFER: "offered",
    Kind.ACK: "acknowledged",
    Kind.NAK: "refused",
    Kind.DECLINE: "declined",
    Kind.RELEASE: "released",
}
"""What became of questions. Declined: somebody else uses the address, says the endpoint."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What there is to tell an endpoint."""

    asker: Asker
    options: DhcpSpec
    address: IPv4Address
    gateway: IPv4Address
    prefix: IPv4Network


def lease_of(asker: Asker) -> Lease | None:
    """What there is to tell an endpoint; None when it has no IPv4 or its network no DHCP."""
    address, gateway, prefix = asker.own(4), asker.gateway(4), asker.prefix(4)
    options = asker.spec.dhcp
    if not isinstance(address, IPv4Address) or not isinstance(gateway, IPv4Address):
        return None
    if not isinstance(prefix, IPv4Network) or options is None or not options.enabled:
        return None
    return Lease(asker, options, address, gateway, prefix)


def respond(asker: Asker, frame: bytes) -> tuple[str, bytes | None]:
    """What became of a question, in a word, and the frame to answer with.

    Raises:
        DecodeError: the frame is no question.
    """
    asked = datagram.read(frame)
    said = dhcp4.decode(asked.payload)
    lease = lease_of(asker)
    if lease is None or said.reply or said.mac != asker.mac or said.relay != _NOBODY:
        return "ignored", None
    if said.kind in (Kind.DECLINE, Kind.RELEASE):
        return WORDS[Kind(said.kind)], None
    kind = _verdict(lease, said)
    if kind is None:
        return "ignored", None
    longest = _longest(said, asker.spec.mtu)
    answer = dhcp4.encode(_answer(lease, said, kind), longest)
    return WORDS[kind], datagram.written(_sent(lease, said, kind, answer))


def _verdict(lease: Lease, said: Message) -> Kind | None:
    """The type of the answer; None for no answer."""
    match said.kind:
        case Kind.DISCOVER:
            return Kind.ACK if Code.RAPID in said.options else Kind.OFFER
        case Kind.REQUEST:
            return _requested(lease, said)
        case Kind.INFORM:
            return Kind.ACK if said.client == lease.address else None
        case _:
            return None


def _requested(lease: Lease, said: Message) -> Kind | None:
    """By the state of the client (RFC 2131 §4.3.2).

    It took somebody's offer (selecting), looks whether what it had is still its own (after a
    restart), or wants to keep what it has (renewing, rebinding).
    """
    server, wanted = said.address(Code.SERVER), said.address(Code.REQUESTED)
    if server is not None and server != lease.gateway:
        return None
    if said.client == _NOBODY and wanted is None:
        raise DecodeError("a request of no address")
    held = wanted if said.client == _NOBODY else said.client
    return Kind.ACK if held == lease.address else Kind.NAK


def _longest(said: Message, mtu: int) -> int:
    """Octets of the longest answer."""
    value = said.options.get(Code.LONGEST, b"")
    stated = U16.unpack(value)[0] if len(value) == 2 else 0
    return min(stated, mtu) - _HEADERS


def _answer(lease: Lease, said: Message, kind: Kind) -> Message:
    options = dict(_options(lease, said, kind))
    told = kind is not Kind.NAK
    informed = said.kind == Kind.INFORM
    return Message(
        transaction=said.transaction,
        mac=said.mac,
        reply=True,
        broadcast=said.broadcast or not told,
        client=said.client if told and kind is not Kind.OFFER else _NOBODY,
        yours=lease.address if told and not informed else _NOBODY,
        options=options,
    )


def _options(lease: Lease, said: Message, kind: Kind) -> Iterator[tuple[int, bytes]]:
    yield Code.KIND, bytes((kind,))
    yield Code.SERVER, lease.gateway.packed
    client = said.options.get(Code.CLIENT)
    if client is not None and 2 <= len(client) <= 255:
        yield Code.CLIENT, client  # RFC 6842
    if kind is Kind.NAK:
        yield Code.MESSAGE, f"your address is {lease.address}".encode()
        return
    if kind is Kind.ACK and said.kind == Kind.DISCOVER:
        yield Code.RAPID, b""  # RFC 4039
    if said.kind != Kind.INFORM:
        seconds = lease.options.lease_seconds
        yield Code.LEASE, seconds.to_bytes(4, "big")
        yield Code.RENEWAL, (seconds // 2).to_bytes(4, "big")
        yield Code.REBINDING, (seconds * 7 // 8).to_bytes(4, "big")
    told = configuration(lease)
    for code in _wanted(said):
        if code in told:
            yield code, told[code]


def _wanted(said: Message) -> list[int]:
    """Options that a client asks for, in its order; the mask before routers (RFC 2132 §3.3)."""
    wanted = list(dict.fromkeys(said.options.get(Code.WANTED, b"") or DEFAULTS))
    if Code.MASK in wanted:
        wanted.remove(Code.MASK)
        wanted.insert(0, Code.MASK)
    return wanted


def configuration(lease: Lease) -> dict[int, bytes]:
    """All there is to tell, by option."""
    asker, options = lease.asker, lease.options
    routes = _routes(lease)
    search = search_list(asker, options)
    told = {
        Code.MASK: lease.prefix.netmask.packed,
        Code.ROUTERS: lease.gateway.packed,
        Code.DNS_SERVERS: dhcp4.addresses(_servers(lease)),
        Code.HOST_NAME: asker.key.name.encode("ascii"),
        Code.DOMAIN: (domain_of(asker, options) or "").encode("ascii"),
        Code.MTU: U16.pack(asker.spec.mtu),
        Code.BROADCAST: lease.prefix.broadcast_address.packed,
        Code.NTP_SERVERS: dhcp4.addresses(_four(options.ntp_servers)),
        Code.SEARCH: written_labels(search),
        Code.ROUTES: dhcp4.written_routes(routes) if options.routes else b"",
    }
    told[Code.MICROSOFT_ROUTES] = told[Code.ROUTES]
    return {int(code): value for code, value in told.items() if value}


def domain_of(asker: Asker, options: DhcpSpec) -> str | None:
    """The domain of an endpoint's own name."""
    local = local_domain(asker)
    return options.domain or (local if has_names(asker) and is_domain(local) else None)


def search_list(asker: Asker, options: DhcpSpec) -> tuple[str, ...]:
    """Domains to look for short names in."""
    if options.search or not has_names(asker):
        return options.search
    return tuple(one for one in (local_domain(asker), asker.domain) if is_domain(one))


def has_names(asker: Asker) -> bool:
    """Whether the gateway answers DNS."""
    return asker.spec.dns is not None and asker.spec.dns.enabled


def local_domain(asker: Asker) -> str:
    """What the names of the endpoints of a network end in."""
    return f"{asker.network.name}.{asker.domain}"


def _servers(lease: Lease) -> Iterator[IPv4Address]:
    if lease.options.dns_servers:
        yield from _four(lease.options.dns_servers)
    elif has_names(lease.asker):
        yield lease.gateway


def _four(listed: tuple[str, ...]) -> Iterator[IPv4Address]:
    """Those of a list that are IPv4."""
    return (IPv4Address(text) for text in listed if ":" not in text)


def _routes(lease: Lease) -> Iterator[tuple[IPv4Network, IPv4Address]]:
    """Whoever takes these does not look at routers: so they have the default route, too."""
    for route in lease.options.routes:
        if ":" not in route.prefix:
            via = lease.gateway if route.via is None else IPv4Address(route.via)
            yield IPv4Network(route.prefix), via
    if not any(route.prefix == "0.0.0.0/0" for route in lease.options.routes):
        yield IPv4Network("0.0.0.0/0"), lease.gateway


def _sent(lease: Lease, said: Message, kind: Kind, payload: bytes) -> Datagram:
    """To whom the answer goes (RFC 2131 §4.1)."""
    mac, target = said.mac, lease.address
    if kind is Kind.NAK or (said.broadcast and said.client == _NOBODY):
        mac, target = _EVERYBODY_MAC, EVERYBODY
    return Datagram(
        lease.asker.gateway_mac,
        mac,
        lease.gateway,
        target,
        dhcp4.SERVER_PORT,
        dhcp4.CLIENT_PORT,
        payload,
    )
