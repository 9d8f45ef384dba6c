# SPDX-License-Identifier: Apache-2.0
"""Whether what a bridge answers on the spot says what it should: ARP, neighbours, echoes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vneter_sdn.verify.expressions import Held, Mix, Piece
from vneter_sdn.verify.packets import Cube, Packets, overlap, width
from vneter_sdn.verify.state import State

Fields = Mapping[str, frozenset[int]]
"""Values that a field may have, by its name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer to some questions holds."""

    of: Cube
    """Which questions."""
    asked: str
    """The field of a question that says about which address it is."""
    owners: Mapping[int, int]
    """MACs, by address."""
    macs: tuple[str, ...]
    """Fields of the answer that hold the MAC."""
    addresses: tuple[str, ...]
    """Fields that hold the address."""
    others: Fields
    """And all others that count."""


def answered(packets: Packets, held: Held, answers: Iterable[Answer]) -> Packets:
    """Those of some questions whose answer is right.

    Args:
        packets: questions, as they came in.
        held: what the answer to them holds.
        answers: what it is to hold; they are of different questions.
    """
    found: list[Cube] = []
    for answer in answers:
        for cube in packets.cubes:
            both = overlap(cube, answer.of)
            if both is not None:
                found += _right(both, held, answer)
    return Packets(tuple(found))


def _right(cube: Cube, held: Held, answer: Answer) -> Iterator[Cube]:
    values = cube.get(answer.asked)
    for address in values if isinstance(values, frozenset) else ():
        mac = answer.owners.get(address)
        if mac is not None:
            wanted = dict.fromkeys(answer.macs, frozenset((mac,)))
            wanted |= dict.fromkeys(answer.addresses, frozenset((address,)))
            asked = {**cube, answer.asked: frozenset((address,))}
            yield from _holding(asked, held, {**wanted, **answer.others})


def _holding(cube: Cube, held: Held, wanted: Fields) -> Iterable[Cube]:
    """Those of a cube that hold what is wanted."""
    left: State | None = None
    for name, values in wanted.items():
        found = held.get(name)
        if isinstance(found, int):
            if found not in values:
                return ()
        elif left is not None or not _is_within(cube, name, held, values):
            left, _ = (left or State([cube], held)).divide(name, values)
            if left is None:
                return ()
    return (cube,) if left is None else left.cubes


def _is_within(cube: Cube, name: str, held: Held, values: frozenset[int]) -> bool:
    """Whether a field holds one of these values in all packets, for it is another one's copy."""
    found = held.get(name)
    source = name
    if isinstance(found, Mix):
        piece = found.pieces[0]
        if found.constant or found.pieces != (Piece(piece.field, 0, width(name), 0),):
            return False
        source = piece.field
    elif found is not None:
        return False
    there = cube.get(source)
    return isinstance(there, frozenset) and there <= values
