# SPDX-License-Identifier: Apache-2.0
"""Match fields as bytes: OXM and NXM entries, and whole matches (OpenFlow 1.5.1 §7.2.3)."""

from __future__ import annotations

from vneter_sdn.errors import DecodeError, PipelineError
from vneter_sdn.model.fields import FIELDS, PACKET_REGS, Field
from vneter_sdn.model.flow import Match, Term
from vneter_sdn.southbound.openflow.wire import U16, need, pad8

_CACHED = 1 << 17
_PACKET_TYPE = (0x8000, 44)
_ONF_TCP_FLAGS, _ONF = (0xFFFF, 42), b"ONF\0"
"""What TCP flags were called before OpenFlow 1.5 (ovs-fields(7)), and are in 1.4's replies."""


def _header(number: tuple[int, int], octets: int, masked: bool = False) -> bytes:
    oxm_class, field = number
    length = octets * (2 if masked else 1)
    return U16.pack(oxm_class) + bytes((field << 1 | masked, length))


_BY_NUMBER: dict[tuple[int, int], Field] = {
    number: field
    for field in FIELDS.values()
    for number in ((field.oxm_class, field.oxm_field), field.alias)
    if number
}


def _rank(name: str) -> int:
    """A field comes after those it needs (§7.2.3.6): ethertype, protocol, then ICMP, then ND."""
    return 1 + name.startswith("nd_") if name.startswith(("arp_", "icmp", "nd_")) else 0


_EXACT = {
    name: (_header((f.oxm_class, f.oxm_field), f.octets), f.octets, f.full, _rank(name))
    for name, f in FIELDS.items()
}
_MASKED = {
    name: _header((f.oxm_class, f.oxm_field), f.octets, masked=True) for name, f in FIELDS.items()
}


def known(name: str) -> Field:
    """The field of a name.

    Raises:
        PipelineError: there is none.
    """
    try:
        return FIELDS[name]
    except KeyError:
        raise PipelineError(f"no such field: {name}") from None


def header(name: str, nxm: bool = False) -> bytes:
    """The four bytes that name a field, without mask; ``nxm`` prefers Nicira's older number."""
    field = known(name)
    number = field.alias if nxm and field.alias else (field.oxm_class, field.oxm_field)
    return _header(number, field.octets)


def encode_term(name: str, value: int, mask: int) -> bytes:
    """One OXM entry: header, value, and the mask unless it is full.

    Raises:
        PipelineError: unknown field, or a number that does not fit it.
    """
    try:
        head, octets, full, _ = _EXACT[name]
        if mask == full:
            return head + value.to_bytes(octets, "big")
        return _MASKED[name] + value.to_bytes(octets, "big") + mask.to_bytes(octets, "big")
    except (KeyError, OverflowError) as wrong:
        raise PipelineError(f"cannot encode {name}={value}/{mask}: {wrong}") from None


def encode_fields(match: Match) -> bytes:
    """The OXM entries of a match in wire order, without header or padding.

    Raises:
        PipelineError: unknown field, or a number that does not fit it.
    """
    late = 0
    parts = []
    try:
        for name, value, mask in match:
            head, octets, full, rank = _EXACT[name]
            late |= rank
            if mask == full:
                parts.append(head + value.to_bytes(octets))
            else:
                parts.append(_MASKED[name] + (value << octets * 8 | mask).to_bytes(octets * 2))
    except (KeyError, OverflowError) as wrong:
        raise PipelineError(f"cannot encode {match}: {wrong}") from None
    if late:
        order = sorted(match, key=lambda term: _EXACT[term.field][3])
        parts = [encode_term(*term) for term in order]
    return b"".join(parts)


def encode_match(match: Match) -> bytes:
    """``ofp_match``: type OXM, length, entries, padded to eight bytes."""
    fields = encode_fields(match)
    return pad8(b"\0\1" + U16.pack(4 + len(fields)) + fields)


def entry_end(data: bytes, offset: int, end: int) -> int:
    """Where the OXM entry at ``offset`` ends.

    Raises:
        DecodeError: it does not fit before ``end``, is empty, or has half a mask.
    """
    need(end - offset >= 4, "truncated OXM header", offset)
    length = data[offset + 3]
    least = 4 if data[offset] == 0xFF and data[offset + 1] == 0xFF else 1
    need(length >= least, "OXM length", offset)
    need(offset + 4 + length <= end, "OXM beyond its container", offset)
    return offset + 4 + length


def field_of(data: bytes, offset: int) -> Field | None:
    """The field that a 4-byte header names, if it is one of ours."""
    number = (data[offset] << 8 | data[offset + 1], data[offset + 2] >> 1)
    return _BY_NUMBER.get(number)


class Unknown(Exception):
    """Well-formed bytes with a meaning this package has no word for."""


def decode_entry(entry: bytes) -> Term | tuple[Term, ...]:
    """One complete OXM entry; several terms for a packet register, none for the packet type.

    Raises:
        DecodeError: the length is not that of the field.
        Unknown: a field that is not in `FIELDS`.
    """
    masked = entry[2] & 1
    number = (entry[0] << 8 | entry[1], entry[2] >> 1)
    field = _BY_NUMBER.get(number)
    body = entry[4:]
    if field is None:
        return _decode_special(number, body, masked)
    octets = field.octets
    if len(body) != octets << masked:
        raise DecodeError(f"OXM length of {field.name}")
    value = int.from_bytes(body[:octets], "big")
    mask = field.full & int.from_bytes(body[octets:], "big") if masked else field.full
    return Term(field.name, value & mask, mask) if mask else ()


def _decode_special(number: tuple[int, int], body: bytes, masked: int) -> tuple[Term, ...]:
    if number == _PACKET_TYPE and body == bytes(4):
        return ()  # Ethernet: what every packet here is
    if number == _ONF_TCP_FLAGS and body[:4] == _ONF and len(body) == 4 + (2 << masked):
        octets, flags = body[4:], FIELDS["tcp_flags"]
        mask = int.from_bytes(octets[2:]) & flags.full if masked else flags.full
        return (Term(flags.name, int.from_bytes(octets[:2]) & mask, mask),) if mask else ()
    if number[0] == PACKET_REGS and number[1] < 8 and len(body) == 8 << masked:
        return _packet_register(number[1], body)
    raise Unknown(f"OXM class {number[0]:#x} field {number[1]}")


def _packet_register(index: int, body: bytes) -> tuple[Term, ...]:
    """A 64-bit register is two of Open vSwitch's, the even one in the high half."""
    mask = body[8:] or b"\xff" * 8
    halves = ((2 * index, slice(0, 4)), (2 * index + 1, slice(4, 8)))
    terms = []
    for register, half in halves:
        bits = int.from_bytes(mask[half], "big")
        if bits:
            value = int.from_bytes(body[half], "big") & bits
            terms.append(Term(f"reg{register}", value, bits))
    return tuple(terms)


class _Entries(dict[bytes, "tuple[Term, ...]"]):
    """Decoded entries, by their bytes."""

    def __missing__(self, entry: bytes) -> tuple[Term, ...]:
        decoded = decode_entry(entry)
        terms = (decoded,) if isinstance(decoded, Term) else decoded
        if len(self) >= _CACHED:
            self.clear()
        self[entry] = terms
        return terms


_ENTRIES = _Entries()


_PLAIN = {
    _header(number, field.octets): (field.name, 4 + field.octets, field.full)
    for number, field in _BY_NUMBER.items()
}
"""By header: name, length of the entry, and mask of every field matched whole."""
_new = tuple.__new__


def decode_fields(data: bytes) -> Match:
    """OXM entries as a match, in canonical order.

    Raises:
        DecodeError: a length lies, or a field appears twice.
        Unknown: a field that is not in `FIELDS`.
    """
    terms: list[Term] = []
    cursor, end = 0, len(data)
    while cursor < end:
        plain = _PLAIN.get(data[cursor : cursor + 4])
        if plain is None:
            after = entry_end(data, cursor, end)
            terms += _ENTRIES[data[cursor:after]]
        else:
            name, size, full = plain
            after = cursor + size
            need(after <= end, "OXM beyond its container", cursor)
            value = int.from_bytes(data[cursor + 4 : after])
            terms.append(_new(Term, (name, value & full, full)))
        cursor = after
    if len({term[0] for term in terms}) != len(terms):
        raise DecodeError("a field matched twice")
    terms.sort()
    return tuple(terms)


def match_bounds(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """Of an ``ofp_match`` at ``offset``: where its entries end, and where what follows starts.

    Raises:
        DecodeError: not an OXM match, or its length lies.
    """
    need(end - offset >= 8, "truncated match", offset)
    need(data[offset : offset + 2] == b"\0\1", "match type", offset)
    length = U16.unpack_from(data, offset + 2)[0]
    after = offset + (length + 7 & ~7)
    need(length >= 4 and after <= end, "match length", offset)
    return offset + length, after
