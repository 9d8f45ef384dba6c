# SPDX-License-Identifier: Apache-2.0
"""What a field holds by now, in words of what the packet held when it came in.

Packets are followed by what they were at the beginning, as symbolic execution does (Stoenescu et
al., "SymNet", 2016): a set of packets only ever shrinks, and an example of it is an example of all
that happened to it. A field that was never written is not in a `Held`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vneter_sdn.model.flow import Copy
from vneter_sdn.verify.packets import width

INSIDE = frozenset(
    {"metadata", "conj_id", "ct_state", "ct_zone", "ct_mark", "ct_label"}
    | {f"reg{n}" for n in range(16)}
)
"""Fields that no packet has when it comes in, so they are zero."""


class Piece(NamedTuple):
    """Some bits of what a field held at the beginning, and where they are now."""

    field: str
    offset: int
    bits: int
    at: int

    @property
    def mask(self) -> int:
        """The bits they are now."""
        return ((1 << self.bits) - 1) << self.at


@dataclass(frozen=True, slots=True)
class Mix:
    """Bits of other fields, and constant ones."""

    constant: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Less:
    """What a field held at the beginning, less a number: a TTL."""

    field: str
    by: int


Expression = int | Mix | Less
Held = Mapping[str, Expression]
Wanted = tuple[str, int, int]
"""That a field at the beginning had these bits: name, value, mask."""


def as_mix(name: str, held: Held) -> Mix:
    """A field as pieces; of a constant there are none.

    Raises:
        TypeError: it was decremented.
    """
    found = held.get(name)
    if found is None:
        return Mix(0, () if name in INSIDE else (Piece(name, 0, width(name), 0),))
    if isinstance(found, Less):
        raise TypeError(f"{name} is a difference")
    return Mix(found, ()) if isinstance(found, int) else found


def plain(mix: Mix, name: str, bits: int) -> Expression | None:
    """The shortest way to write it; None when it is what the field held at the beginning."""
    if not mix.pieces:
        return mix.constant
    joined: list[Piece] = []
    for piece in sorted(mix.pieces, key=lambda piece: piece.at):
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.field == piece.field
            and last.at + last.bits == piece.at
            and last.offset + last.bits == piece.offset
        ):
            joined[-1] = last._replace(bits=last.bits + piece.bits)
        else:
            joined.append(piece)
    if joined == [Piece(name, 0, bits, 0)]:
        return None
    return Mix(mix.constant, tuple(joined))


def overwrite(old: Mix, new: Mix, mask: int) -> Mix:
    """The new one where the mask says so, and the old one elsewhere."""
    constant = old.constant & ~mask | new.constant & mask
    kept = [part for piece in old.pieces for part in _cut(piece, ~mask)]
    added = [part for piece in new.pieces for part in _cut(piece, mask)]
    return Mix(constant, (*kept, *added))


def _cut(piece: Piece, mask: int) -> list[Piece]:
    """What of a piece is under a mask: runs of bits."""
    if not piece.mask & ~mask:
        return [piece]
    runs: list[Piece] = []
    start: int | None = None
    for bit in range(piece.bits + 1):
        inside = bit < piece.bits and mask >> (piece.at + bit) & 1
        if inside and start is None:
            start = bit
        elif not inside and start is not None:
            runs.append(Piece(piece.field, piece.offset + start, bit - start, piece.at + start))
            start = None
    return runs


def section(mix: Mix, offset: int, bits: int, at: int) -> Mix:
    """Some bits of it, moved to a place of their own."""
    mask = ((1 << bits) - 1) << offset
    pieces = [part for piece in mix.pieces for part in _cut(piece, mask)]
    moved = tuple(piece._replace(at=piece.at - offset + at) for piece in pieces)
    return Mix((mix.constant & mask) >> offset << at, moved)


def copied(move: Copy, held: Held) -> Expression | None:
    """What the target of a copy holds afterwards; None when it is as at the beginning."""
    source = section(as_mix(move.source, held), move.source_offset, move.bits, move.target_offset)
    mask = ((1 << move.bits) - 1) << move.target_offset
    mix = overwrite(as_mix(move.target, held), source, mask)
    return plain(mix, move.target, width(move.target))


def written(name: str, value: int, mask: int, held: Held) -> Expression | None:
    """What a field holds after some of its bits were set; None when it is as at the beginning."""
    bits = width(name)
    if mask == (1 << bits) - 1:
        return value
    before = held.get(name, 0 if name in INSIDE else None)
    if isinstance(before, int):
        return before & ~mask | value
    return plain(overwrite(as_mix(name, held), Mix(value, ()), mask), name, bits)


def asked(expression: Expression, value: int, mask: int) -> list[Wanted] | None:
    """What it takes of the beginning for an expression to have these bits; None: it cannot."""
    if isinstance(expression, int):
        return [] if expression & mask == value else None
    if isinstance(expression, Less):
        earlier = value + expression.by
        return [(expression.field, earlier, 0xFF)] if earlier <= 0xFF and mask == 0xFF else None
    symbolic = 0
    wanted: list[Wanted] = []
    for piece in expression.pieces:
        symbolic |= piece.mask
        if piece.mask & mask:
            bits, chosen = value & piece.mask, mask & piece.mask
            shift = piece.at - piece.offset
            if shift >= 0:
                wanted.append((piece.field, bits >> shift, chosen >> shift))
            else:
                wanted.append((piece.field, bits << -shift, chosen << -shift))
    fixed = mask & ~symbolic
    return wanted if expression.constant & fixed == value & fixed else None


def substituted(expression: Expression, name: str, held: Held) -> Expression | None:
    """What was said of a later beginning, of which ``held`` says what it held, said of the first.

    None when it is what the field itself held at the beginning.
    """
    if isinstance(expression, int):
        return expression
    if isinstance(expression, Less):
        before = held.get(expression.field)
        if before is None:
            return expression
        if isinstance(before, int):
            return before - expression.by
        assert isinstance(before, Less)  # summaries are not used where a TTL is pieces
        return Less(before.field, before.by + expression.by)
    mix = Mix(expression.constant, ())
    for piece in expression.pieces:
        part = section(as_mix(piece.field, held), piece.offset, piece.bits, piece.at)
        mix = overwrite(mix, part, piece.mask)
    return plain(mix, name, width(name) if name else 0)
