# SPDX-License-Identifier: Apache-2.0
"""Sets of values of one field, of any size: the letters that sets of packets are written in.

A set is one of two, whichever says it shorter::

    frozenset   these values: exact matches, identities, what a table knows
    `Rest`      all but these, of the whole field (what a table does not know), or of those
                with some bits (prefixes and other masks): a decision diagram over the bits

Small sets are always the first, so equal ones are nearly always equal to Python as well; where it
must be certain, ask whether neither has anything that the other has not. R. E. Bryant,
"Graph-Based Algorithms for Boolean Function Manipulation", 1986, for the diagrams; they stay small
as each is of one field, and single values are left out beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakValueDictionary

SMALL = 64
"""Sets of at most so many values are written as those values."""


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
class Rest:
    """All values of a field, or those that a diagram leads to True, but a few of them."""

    bits: int
    without: frozenset[int] = frozenset()
    """All of them ``within``."""
    within: Branch = True


Values = frozenset[int] | Rest
NOTHING: frozenset[int] = frozenset()


def _leads(branch: Branch, value: int) -> bool:
    while isinstance(branch, Node):
        branch = branch.high if value >> branch.bit & 1 else branch.low
    return branch


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
def above(bits: int, value: int) -> Values:
    """Values of a field of so many bits that are greater than one."""
    branch: Branch = False
    for bit in range(bits):
        branch = _node(bit, False, branch) if value >> bit & 1 else _node(bit, branch, True)
    return _written(bits, branch)


@lru_cache(maxsize=256)
def everything(bits: int) -> Rest:
    """Every value of a field."""
    return Rest(bits)


def _written(bits: int, branch: Branch, without: frozenset[int] = NOTHING) -> Values:
    """Values that lead to True but a few, all of which do."""
    if _count(branch, bits) - len(without) > SMALL:
        return Rest(bits, without, branch)
    # A few of very many excluded is out of reach of memory, so there were not very many.
    return frozenset(value for value in _listed(branch, bits, 0) if value not in without)


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
    if isinstance(values, frozenset):
        return value in values
    return value not in values.without and _leads(values.within, value)


def size(values: Values) -> int:
    """How many values there are."""
    if isinstance(values, frozenset):
        return len(values)
    return _count(values.within, values.bits) - len(values.without)


def some(values: Values) -> int:
    """A value of a set that is not empty: its least one."""
    if isinstance(values, frozenset):
        return min(values)
    return next(v for v in _listed(values.within, values.bits, 0) if v not in values.without)


def meet(one: Values, other: Values) -> Values:
    """What is in both."""
    if isinstance(one, frozenset):
        if isinstance(other, frozenset):
            return one & other
        left = one - other.without
        if other.within is True:
            return left
        return frozenset(value for value in left if _leads(other.within, value))
    if isinstance(other, frozenset):
        return meet(other, one)
    within = _both(one.within, other.within)
    without = _inside(one, within) | _inside(other, within)
    return _written(one.bits, within, without)


def _inside(values: Rest, within: Branch) -> frozenset[int]:
    """What a set is without, of the values that a diagram leads to True."""
    if within is values.within or not values.without:
        return values.without
    return frozenset(value for value in values.without if _leads(within, value))


def less(one: Values, other: Values) -> Values:
    """What is in the first and not in the second."""
    if isinstance(one, frozenset):
        return one - _finite(meet(one, other))
    if isinstance(other, frozenset):
        out = other if one.within is True else (v for v in other if _leads(one.within, v))
        return _written(one.bits, one.within, one.without.union(out))
    back = meet(other.without, one)
    within = _both(one.within, _opposite(other.within))
    left = _written(one.bits, within, _inside(one, within))
    return join(left, back) if back else left


def _finite(values: Values) -> frozenset[int]:
    assert isinstance(values, frozenset)  # what is in a finite set is
    return values


def join(one: Values, other: Values) -> Values:
    """What is in either."""
    if isinstance(one, frozenset):
        if isinstance(other, frozenset):
            return one | other
        one, other = other, one
    assert isinstance(one, Rest)
    if isinstance(other, frozenset):
        within = one.within
        for value in other:
            if not _leads(within, value):
                within = _with(within, one.bits - 1, value)
        return _written(one.bits, within, one.without - other)
    return less(everything(one.bits), less(less(everything(one.bits), one), other))


def _with(branch: Branch, bit: int, value: int) -> Branch:
    """A diagram that leads one value more to True."""
    if bit < 0 or branch is True:
        return True
    low: Branch = branch
    high: Branch = branch
    if isinstance(branch, Node) and branch.bit == bit:
        low, high = branch.low, branch.high
    if value >> bit & 1:
        return _node(bit, low, _with(high, bit - 1, value))
    return _node(bit, _with(low, bit - 1, value), high)


@lru_cache(maxsize=1 << 14)
def _opposite(branch: Branch) -> Branch:
    made: dict[Node, Branch] = {}

    def turned(part: Branch) -> Branch:
        if not isinstance(part, Node):
            return not part
        if part not in made:
            made[part] = _node(part.bit, turned(part.low), turned(part.high))
        return made[part]

    return turned(branch)


def _both(one: Branch, other: Branch) -> Branch:
    if one is other or other is True:
        return one
    return other if one is True else _met(one, other)


@lru_cache(maxsize=1 << 14)
def _met(one: Branch, other: Branch) -> Branch:
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

    return met(one, other)
