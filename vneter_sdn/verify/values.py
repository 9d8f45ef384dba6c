# SPDX-License-Identifier: Apache-2.0
"""Sets of values of one field, of any size: the letters that sets of packets are written in.

A set is one of three, whichever says it shortest::

    frozenset      these values: exact matches, identities, what a table knows
    `Rest`         all but these: what a table does not know; `Rest` of nothing is every value
    `Diagram`      prefixes and other masks, as a binary decision diagram over the bits

Small sets are always the first, so equal ones are nearly always equal to Python as well; where it
must be certain, ask whether neither has anything that the other has not. R. E. Bryant,
"Graph-Based Algorithms for Boolean Function Manipulation", 1986, for the diagrams; they stay small
as each is of one field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakValueDictionary

SMALL = 64
"""Diagrams of at most so many values are written as those values."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All values of a field but a few."""

    bits: int
    without: frozenset[int] = frozenset()


class Node:
    """A bit that is looked at, the most significant first; equal nodes are one object."""

    __slots__ = ("__weakref__", "bit", "count", "high", "low")

    def __init__(self, bit: int, low: Branch, high: Branch, count: int) -> None:
        self.bit = bit
        """Counted from the least significant, 0."""
        self.low = low
        self.high = high
        self.count = count
        """How many values there are of this bit and those below it."""


Branch = Node | bool
_NODES: WeakValueDictionary[tuple[int, int, int], Node] = WeakValueDictionary()


def _count(branch: Branch, below: int) -> int:
    """Values of the bits below a number that lead to True."""
    if isinstance(branch, Node):
        return branch.count << (below - branch.bit - 1)
    return 1 << below if branch else 0


def _node(bit: int, low: Branch, high: Branch) -> Branch:
    if low is high:
        return low
    key = (bit, id(low), id(high))
    found = _NODES.get(key)
    if found is None:
        found = Node(bit, low, high, _count(low, bit) + _count(high, bit))
        _NODES[key] = found
    return found


@dataclass(frozen=True, slots=True)
class Diagram:
    """Values by their bits. Nodes are shared, so equality is identity of the first."""

    bits: int
    root: Node

    def __contains__(self, value: int) -> bool:
        at: Branch = self.root
        while isinstance(at, Node):
            at = at.high if value >> at.bit & 1 else at.low
        return at


Values = frozenset[int] | Rest | Diagram
NOTHING: frozenset[int] = frozenset()


@lru_cache(maxsize=1 << 16)
def masked(bits: int, value: int, mask: int) -> Values:
    """Values ``v`` of a field of so many bits with ``v & mask == value``."""
    if mask == (1 << bits) - 1:
        return frozenset((value,))
    branch: Branch = True
    for bit in range(bits):
        if mask >> bit & 1:
            branch = _node(bit, False, branch) if value >> bit & 1 else _node(bit, branch, False)
    return _written(bits, branch)


@lru_cache(maxsize=256)
def everything(bits: int) -> Rest:
    """Every value of a field."""
    return Rest(bits)


def _written(bits: int, branch: Branch) -> Values:
    if not isinstance(branch, Node):
        return everything(bits) if branch else NOTHING
    if _count(branch, bits) <= SMALL:
        return frozenset(_listed(branch, bits, 0))
    return Diagram(bits, branch)


def _listed(branch: Branch, below: int, prefix: int) -> Iterator[int]:
    if branch is False:
        return
    if not below:
        yield prefix
        return
    bit = below - 1
    here = isinstance(branch, Node) and branch.bit == bit
    for chosen in (0, 1):
        onward: Branch = branch
        if here and isinstance(branch, Node):
            onward = branch.high if chosen else branch.low
        yield from _listed(onward, bit, prefix | chosen << bit)


def holds(values: Values, value: int) -> bool:
    """Whether a value is in a set."""
    if isinstance(values, Rest):
        return value not in values.without
    return value in values


def size(values: Values) -> int:
    """How many values there are."""
    if isinstance(values, Rest):
        return (1 << values.bits) - len(values.without)
    if isinstance(values, Diagram):
        return _count(values.root, values.bits)
    return len(values)


def some(values: Values) -> int:
    """A value of a set that is not empty: its least one."""
    if isinstance(values, frozenset):
        return min(values)
    if isinstance(values, Rest):
        return next(n for n in range(1 << values.bits) if n not in values.without)
    at: Branch = values.root
    value = 0
    while isinstance(at, Node):
        if at.low is False:
            value |= 1 << at.bit
            at = at.high
        else:
            at = at.low
    return value


def meet(one: Values, other: Values) -> Values:
    """What is in both."""
    if isinstance(one, frozenset):
        if isinstance(other, frozenset):
            return one & other
        if isinstance(other, Rest):
            return one - other.without
        return frozenset(value for value in one if value in other)
    if isinstance(other, frozenset):
        return meet(other, one)
    if isinstance(one, Rest):
        if isinstance(other, Rest):
            return _rest(one.bits, one.without | other.without)
        return _without(other, one.without)
    if isinstance(other, Rest):
        return _without(one, other.without)
    return _both(one, other)


def less(one: Values, other: Values) -> Values:
    """What is in the first and not in the second."""
    if isinstance(one, frozenset):
        if isinstance(other, frozenset):
            return one - other
        if isinstance(other, Rest):
            return one & other.without
        return frozenset(value for value in one if value not in other)
    if isinstance(other, Rest):
        return meet(other.without, one)
    if isinstance(other, frozenset):
        if isinstance(one, Rest):
            return _rest(one.bits, one.without | other)
        return _without(one, other)
    return meet(one, _opposite(other))


def join(one: Values, other: Values) -> Values:
    """What is in either."""
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return one | other
    bits = other.bits if isinstance(one, frozenset) and not isinstance(other, frozenset) else 0
    bits = bits or (one.bits if not isinstance(one, frozenset) else 0)
    return less(everything(bits), less(less(everything(bits), one), other))


def _rest(bits: int, without: frozenset[int]) -> Values:
    left = (1 << bits) - len(without)
    if left > SMALL:
        return Rest(bits, without)
    # A few of very many excluded is out of reach of memory, so the field is a narrow one.
    return frozenset(value for value in range(1 << bits) if value not in without)


def _without(diagram: Diagram, values: Iterable[int]) -> Values:
    branch: Branch = diagram.root
    for value in values:
        if value in diagram:
            branch = _removed(branch, diagram.bits - 1, value)
    return _written(diagram.bits, branch)


def _removed(branch: Branch, bit: int, value: int) -> Branch:
    if bit < 0:
        return False
    low: Branch = branch
    high: Branch = branch
    if isinstance(branch, Node) and branch.bit == bit:
        low, high = branch.low, branch.high
    elif branch is False:
        return False
    if value >> bit & 1:
        return _node(bit, low, _removed(high, bit - 1, value))
    return _node(bit, _removed(low, bit - 1, value), high)


@lru_cache(maxsize=1 << 14)
def _opposite(diagram: Diagram) -> Diagram:
    made: dict[Node, Branch] = {}

    def turned(branch: Branch) -> Branch:
        if not isinstance(branch, Node):
            return not branch
        if branch not in made:
            made[branch] = _node(branch.bit, turned(branch.low), turned(branch.high))
        return made[branch]

    root = turned(diagram.root)
    assert isinstance(root, Node)  # the opposite of a set that is neither nothing nor everything
    return Diagram(diagram.bits, root)


@lru_cache(maxsize=1 << 14)
def _both(one: Diagram, other: Diagram) -> Values:
    made: dict[tuple[Branch, Branch], Branch] = {}

    def met(a: Branch, b: Branch) -> Branch:
        if a is False or b is False:
            return False
        if not isinstance(a, Node):
            return b
        if not isinstance(b, Node) or a is b:
            return a
        if (a, b) not in made:
            bit = max(a.bit, b.bit)
            lows = a.low if a.bit == bit else a, b.low if b.bit == bit else b
            highs = a.high if a.bit == bit else a, b.high if b.bit == bit else b
            made[a, b] = _node(bit, met(*lows), met(*highs))
        return made[a, b]

    return _written(one.bits, met(one.root, other.root))
