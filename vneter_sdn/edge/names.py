# SPDX-License-Identifier: Apache-2.0
"""Answers DNS for the names of a tenant's endpoints (RFC 1034 §4.3.2), and says what to ask others.

::

    <endpoint>.<network>.<tenant's domain>    A, AAAA
    gateway.<network>.<tenant's domain>       the network's gateway, unless an endpoint is called so
    <address>.in-addr.arpa, ….ip6.arpa        PTR, within the tenant's prefixes

Who asks decides whose names there are: those of its tenant, and of no other. All other names are
somebody else's business, which is asked for them as far as the operator, or the network, names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_network

from vneter_sdn.edge.ledger import Asker, Ledger, is_domain
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.southbound.openflow import dns_message
from vneter_sdn.southbound.openflow.dns_message import (
    ANY_FAMILY,
    IN,
    Kind,
    Message,
    Name,
    Question,
    Record,
    Result,
    lowered,
    name_of,
    written_name,
)
from vneter_sdn.southbound.openflow.wire import U16

MOST = 1232
"""Octets of an answer by UDP: what any network carries in one packet (DNS flag day 2020)."""
GATEWAY = "gateway"
_TRANSFERS = (251, 252)
"""IXFR and AXFR: zones are told to nobody whole, ours or others' (RFC 5936 §2.2.1)."""
_DO = 0x8000
_FIRST = 12
"""Where a message has its question."""
_REVERSE: dict[Name, int] = {(b"in-addr", b"arpa"): 4, (b"ip6", b"arpa"): 6}
_REFRESH, _RETRY, _EXPIRE = 3600, 600, 86_400
"""Seconds, for servers that would copy a zone; nobody may."""
_HEX = {bytes((c,)): v for v, c in enumerate(b"0123456789abcdef")}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A question that somebody else has to answer."""

    question: Message


@dataclass(frozen=True, slots=True)
class Zone:
    """What is said about a name of the tenant's."""

    apex: Name
    answers: tuple[Record, ...] = ()
    exists: bool = True


def read_question(payload: bytes) -> Message | None:
    """A question; None for what is not one, and is not answered at all.

    Raises:
        DecodeError: it is malformed beyond what can be said in an answer.
    """
    said = dns_message.decode(payload)
    return None if said.answer else said


def complaint(payload: bytes) -> bytes | None:
    """What is said to a question that cannot be read; None to what may be an answer."""
    if len(payload) < 12 or payload[2] >> 7:
        return None
    number, operation = U16.unpack_from(payload)[0], payload[2] >> 3 & 0xF
    return dns_message.encode(
        Message(number, answer=True, operation=operation, result=Result.MALFORMED)
    )


def resolve(ledger: Ledger, asker: Asker, said: Message) -> Message | Elsewhere:
    """The answer to a question, or who is to be asked."""
    asked = said.question
    edns = said.edns
    if said.operation:
        return answer(said, Result.NOT_IMPLEMENTED)
    if asked is None:
        return answer(said, Result.MALFORMED)
    if edns is not None and edns.seconds >> 16 & 0xFF:
        return answer(said, Result.BAD_VERSION)
    if asked.family not in (IN, ANY_FAMILY):
        return answer(said, Result.REFUSED)
    if asked.kind in _TRANSFERS:
        return answer(said, Result.REFUSED)
    zone = zone_of(ledger, asker, asked)
    if zone is None:
        return Elsewhere(said) if said.wanted else answer(said, Result.REFUSED)
    result = Result.FINE if zone.exists else Result.NO_SUCH_NAME
    found = answer(said, result, authoritative=True, answers=zone.answers)
    if zone.answers:
        return found
    return replace(found, authorities=(_beginning(ledger, asker, zone.apex),))


def answer(
    said: Message,
    result: Result,
    *,
    authoritative: bool = False,
    answers: tuple[Record, ...] = (),
) -> Message:
    """An answer to a question."""
    edns = said.edns
    others: tuple[Record, ...] = ()
    if edns is not None:
        flags = (result >> 4) << 24 | edns.seconds & _DO
        others = (Record((), Kind.OPT, b"", flags, MOST),)
    return Message(
        said.number,
        answer=True,
        operation=said.operation,
        authoritative=authoritative,
        wanted=said.wanted,
        offered=True,
        unchecked=said.unchecked,
        result=result & 0xF,
        question=said.question,
        answers=answers,
        others=others,
    )


def room(asked: Message, *, by_tcp: bool) -> int:
    """Octets of an answer that who asked takes: by TCP, as many as there may be."""
    return 0xFFFF if by_tcp else min(asked.limit, MOST)


def written(said: Message, asked: Message, *, by_tcp: bool = False) -> bytes:
    """An answer on the wire; what is too long for who asked says so, and nothing else."""
    data = dns_message.encode(said)
    if len(data) <= room(asked, by_tcp=by_tcp):
        return data
    return dns_message.encode(replace(said, truncated=True, answers=(), authorities=()))


def zone_of(ledger: Ledger, asker: Asker, asked: Question) -> Zone | None:
    """What there is to say about a name; None when it is not the tenant's."""
    name = lowered(asked.name)
    apex = name_of(asker.domain)
    if name[-len(apex) :] == apex:
        return _forward(ledger, asker, asked, apex)
    version = _REVERSE.get(name[-2:])
    return _reverse(ledger, asker, asked, version) if version else None


# ---- names to addresses


def _forward(ledger: Ledger, asker: Asker, asked: Question, apex: Name) -> Zone:
    inside = [label.decode("latin-1") for label in lowered(asked.name)[: -len(apex)]]
    if not inside:
        beginning = (_beginning(ledger, asker, apex),)
        return Zone(apex, beginning if asked.kind == Kind.SOA else ())
    addresses = _addresses(ledger, asker, inside)
    if addresses is None:
        return Zone(apex, exists=_is_above(ledger, asker, ".".join(inside)))
    seconds = _seconds(asker)
    return Zone(apex, tuple(_records(asked, addresses, seconds)))


def _addresses(ledger: Ledger, asker: Asker, inside: list[str]) -> tuple[IPAddress, ...] | None:
    """Addresses of who is called so; None when nobody is. Dots may be in either's name."""
    tenant = asker.key.tenant
    for cut in range(1, len(inside)):
        name, network = ".".join(inside[:cut]), ".".join(inside[cut:])
        endpoint = ledger.endpoint(tenant, network, name)
        if endpoint is not None:
            return ledger.addresses(endpoint)
        if name == GATEWAY:
            for key in ledger.networks(tenant):
                if key.name == network:
                    return ledger.addresses(key)
    return None


def _is_above(ledger: Ledger, asker: Asker, inside: str) -> bool:
    """Whether a name is one that others are below of (RFC 8020)."""
    networks = (key.name for key in ledger.networks(asker.key.tenant))
    return any(name == inside or name.endswith(f".{inside}") for name in networks)


def _records(asked: Question, addresses: tuple[IPAddress, ...], seconds: int) -> Iterator[Record]:
    """Those asked for; of any, those of one kind (RFC 8482 §4.1)."""
    wanted = asked.kind
    if wanted == Kind.ANY and addresses:
        wanted = Kind.A if addresses[0].version == 4 else Kind.AAAA
    for address in addresses:
        kind = Kind.A if address.version == 4 else Kind.AAAA
        if kind == wanted:
            yield Record(asked.name, kind, address.packed, seconds)


# ---- addresses to names


def _reverse(ledger: Ledger, asker: Asker, asked: Question, version: int) -> Zone | None:
    address = _address(lowered(asked.name)[:-2], version)
    if address is None:
        return None
    tenant = asker.key.tenant
    prefix = next((p for p in _prefixes(ledger, tenant, version) if address in p), None)
    if prefix is None:
        return None
    apex = _reverse_apex(lowered(asked.name), prefix)
    owner = ledger.owner(tenant, address)
    if owner is None:
        return Zone(apex, exists=False)
    key, network = owner
    own = GATEWAY if key.kind == "Network" else key.name
    target = f"{own}.{network.name}.{asker.domain}"
    if asked.kind not in (Kind.PTR, Kind.ANY) or not is_domain(target):
        return Zone(apex)
    data = written_name(name_of(target))
    return Zone(apex, (Record(asked.name, Kind.PTR, data, _seconds(asker)),))


def _address(labels: Name, version: int) -> IPAddress | None:
    """The address that a name in the reverse tree is about; None for parts of one, and nonsense."""
    if version == 4:
        numbers = [int(label) for label in labels if label.isdigit() and len(label) <= 3]
        if len(labels) != 4 or len(numbers) != 4 or max(numbers) > 255:
            return None
        return IPv4Address(bytes(reversed(numbers)))
    digits = [_HEX[label] for label in labels if label in _HEX]
    if len(labels) != 32 or len(digits) != 32:
        return None
    return IPv6Address(sum(digit << 4 * place for place, digit in enumerate(digits)))


def _prefixes(ledger: Ledger, tenant: str, version: int) -> Iterator[IPNetwork]:
    for text in ledger.prefixes(tenant):
        prefix = ip_network(text)
        if prefix.version == version:
            yield prefix


def _reverse_apex(name: Name, prefix: IPNetwork) -> Name:
    """The name in the reverse tree that a prefix is below of."""
    bits = 8 if prefix.version == 4 else 4
    return name[-(prefix.prefixlen // bits) - 2 :]


# ---- what both say


def _beginning(ledger: Ledger, asker: Asker, apex: Name) -> Record:
    """The record that says how long to believe that there is nothing (RFC 2308 §3)."""
    server = written_name(name_of(asker.domain))
    people = written_name(name_of(f"hostmaster.{asker.domain}"))
    seconds = _seconds(asker)
    numbers = (ledger.revision & 0xFFFFFFFF, _REFRESH, _RETRY, _EXPIRE, seconds)
    data = server + people + b"".join(one.to_bytes(4, "big") for one in numbers)
    return Record(apex, Kind.SOA, data, seconds)


def _seconds(asker: Asker) -> int:
    options = asker.spec.dns
    return 0 if options is None else options.ttl_seconds


# ---- what others say


def forwarded(question: Message, number: int) -> bytes:
    """A question as it is asked of others: by another number, and nothing of who asks.

    Options of EDNS, which might tell (RFC 7871), are left out.
    """
    edns = question.edns
    others = () if edns is None else (replace(edns, data=b"", family=MOST),)
    return dns_message.encode(
        Message(
            number,
            wanted=True,
            unchecked=question.unchecked,
            question=question.question,
            others=others,
        )
    )


def is_answer(data: bytes, question: Message, number: int) -> bool:
    """Whether somebody else's message answers a question as it was asked."""
    if len(data) < 12 or U16.unpack_from(data)[0] != number:
        return False
    flags, questions = U16.unpack_from(data, 2)[0], U16.unpack_from(data, 4)[0]
    if not flags >> 15 or questions != 1:
        return False
    try:
        name, at = dns_message.read_name(data, 12)
    except DecodeError:
        return False
    asked = question.question
    if asked is None or lowered(name) != lowered(asked.name) or len(data) < at + 4:
        return False
    return (U16.unpack_from(data, at)[0], U16.unpack_from(data, at + 2)[0]) == (
        asked.kind,
        asked.family,
    )


def _as_asked(data: bytes, question: Message) -> bytes:
    """What begins with a name, in the case that it was asked in: some look whether it comes back.

    A length is no letter, so names that are alike but for case have the same lengths.
    """
    name = written_name(question.question.name) if question.question else b""
    alike = data[: len(name)].lower() == name.lower()
    return name + data[len(name) :] if alike else data


def passed_on(data: bytes, question: Message, *, by_tcp: bool = False) -> bytes:
    """Somebody else's answer, for who asked; what is too long for it says so, and nothing else."""
    if len(data) <= room(question, by_tcp=by_tcp):
        return U16.pack(question.number) + data[2:_FIRST] + _as_asked(data[_FIRST:], question)
    result = Result(data[3] & 0xF) if data[3] & 0xF in set(Result) else Result.FAILED
    return dns_message.encode(replace(answer(question, result), truncated=True))
