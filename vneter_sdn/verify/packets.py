# SPDX-License-Identifier: Apache-2.0
"""Sets of packets, of any size: unions of cubes that do not meet.

A cube says of each field which values it may have (`values`), whatever the others are; a field that
it does not name may have any. So ten thousand exact matches on one field are one cube, and all but
them another one. Why not diagrams over all bits: design/0012.

Names of fields are those of `model.fields`; what the connection tracker says is a field of its own
each time it is asked: ``ct_state@1``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from vneter_sdn.model.fields import (
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    KNOWN,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.flow import Match
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.verify.values import Rest, Values, everything, holds, join, less, masked, meet, some

Cube = Mapping[str, Values]
_IP = frozenset((ETH_IP, ETH_IPV6))
_NEED_IP = ("ip_ttl", "ip_proto", "ip_dscp")
_FIRST = ("eth_type", "ip_proto", "icmpv6_type", "icmpv6_code")
_PREFERRED: dict[str, tuple[int, ...]] = {
    "eth_type": (ETH_IP, ETH_IPV6, ETH_ARP),
    "ip_proto": (PROTO_TCP, PROTO_UDP, PROTO_ICMP),
    "ip_ttl": (64, 255),
    "tcp_flags": (2, 16),
    "arp_op": (1,),
    "icmp_type": (8,),
    "icmpv6_type": (128,),
}
"""What people would rather read in an example; SYN among TCP's flags."""


@lru_cache(maxsize=1024)
def width(name: str) -> int:
    """Bits of a field; ``ct_state@1`` is as wide as ``ct_state``."""
    return KNOWN[name.partition("@")[0]].bits


def cube_of(match: Match) -> dict[str, Values]:
    """The packets that a match takes."""
    return {t.field: masked(width(t.field), t.value, t.mask) for t in match}


def is_everything(values: Values) -> bool:
    """Whether a set is of all values."""
    return isinstance(values, Rest) and values.within is True and not values.without


def overlap(one: Cube, other: Cube) -> Cube | None:
    """What is in both cubes; None for nothing."""
    if len(one) < len(other):
        one, other = other, one
    found = None
    for name, values in other.items():
        held = one.get(name)
        if held is None:
            both = values
        elif held is values:
            continue
        else:
            both = meet(held, values)
            if not both:
                return None
        if found is None:
            found = dict(one)
        found[name] = both
    return one if found is None else found


def difference(one: Cube, other: Cube) -> list[Cube]:
    """What is in the first and not in the second, as cubes that do not meet."""
    split: list[tuple[str, Values, Values]] = []
    for name, values in other.items():
        held = one.get(name)
        inside = values if held is None else meet(held, values)
        if not inside:
            return [one]
        outside = less(everything(width(name)) if held is None else held, values)
        if outside:
            split.append((name, inside, outside))
    pieces: list[Cube] = []
    base = dict(one)
    for name, inside, outside in split:
        pieces.append({**base, name: outside})
        base[name] = inside
    return pieces


def without(cubes: Iterable[Cube], other: Cube) -> list[Cube]:
    """`difference` of several cubes."""
    return [piece for cube in cubes for piece in difference(cube, other)]


def merged(cubes: Iterable[Cube]) -> list[Cube]:
    """The same packets in fewer cubes where two differ in one field. O(cubes times fields)."""
    found = list(cubes)
    for name in sorted({name for cube in found for name in cube}):
        groups: dict[frozenset[tuple[str, Values]], list[Cube]] = {}
        for cube in found:
            rest = frozenset((other, values) for other, values in cube.items() if other != name)
            groups.setdefault(rest, []).append(cube)
        if len(groups) < len(found):
            found = [_united(name, alike) for alike in groups.values()]
    return found


def _united(name: str, alike: list[Cube]) -> Cube:
    if len(alike) == 1:
        return alike[0]
    full = everything(width(name))
    values: Values = alike[0].get(name, full)
    for cube in alike[1:]:
        values = join(values, cube.get(name, full))
    others = {other: held for other, held in alike[0].items() if other != name}
    return others if is_everything(values) else {**others, name: values}


def real(cube: Cube) -> Cube | None:
    """The packets of a cube that exist: a field that is not zero has its prerequisites.

    None when there are none, as of IPv6 addresses in ARP (OpenFlow 1.5.1 §7.2.3.6).
    """
    found: Cube | None = cube
    for name, values in cube.items():
        if found is not None and "@" not in name and not holds(values, 0):
            found = overlap(found, _prerequisites(name))
    return found


@lru_cache(maxsize=256)
def _prerequisites(name: str) -> Cube:
    needs: dict[str, Values] = {need: frozenset((n,)) for need, n in KNOWN[name].needs}
    if name in _NEED_IP or "ip_proto" in needs:
        needs.setdefault("eth_type", _IP)
    return needs


def example(cube: Cube) -> dict[str, int] | None:
    """Values of all fields that matter, of one packet of a cube that exists; None if none does."""
    held = real(cube)
    if held is None:
        return None
    chosen: dict[str, int] = {}
    for name in (*_FIRST, *(n for n in (*held, "ip_ttl") if n not in _FIRST)):
        if name not in chosen:
            chosen[name] = _chosen(name, held.get(name), chosen)
    return {name: value for name, value in chosen.items() if value}


def _chosen(name: str, values: Values | None, so_far: Mapping[str, int]) -> int:
    if "@" not in name:
        needs = _prerequisites(name)
        if any(not holds(wanted, so_far.get(need, 0)) for need, wanted in needs.items()):
            return 0
    liked = _PREFERRED.get(name, ())
    fitting = (value for value in liked if values is None or holds(values, value))
    return next(fitting, 0 if values is None else some(values))


@dataclass(frozen=True, slots=True)
class Packets:
    """A set of packets. `same` says whether two are equal; ``==`` only whether they look it."""

    cubes: tuple[Cube, ...]
    """That do not meet."""

    @classmethod
    def matching(cls, match: Match) -> Packets:
        """Those that a match takes; ``()`` takes all."""
        return cls((cube_of(match),))

    def __bool__(self) -> bool:
        return any(real(cube) is not None for cube in self.cubes)

    def meet(self, other: Packets) -> Packets:
        """Packets of both."""
        pairs = (overlap(a, b) for a in self.cubes for b in other.cubes)
        return Packets(tuple(cube for cube in pairs if cube is not None))

    def less(self, other: Packets) -> Packets:
        """Packets of this set that are not in the other."""
        left = list(self.cubes)
        for cube in other.cubes:
            left = without(left, cube)
        return Packets(tuple(left))

    def join(self, other: Packets) -> Packets:
        """Packets of either."""
        return Packets(tuple(merged((*self.cubes, *other.less(self).cubes))))

    def same(self, other: Packets) -> bool:
        """Whether both are of the same packets."""
        return not self.less(other) and not other.less(self)

    def only(self, names: Iterable[str]) -> Packets:
        """The same packets, told apart by some fields alone: the others may be anything."""
        kept = frozenset(names)
        shadows = ({n: v for n, v in cube.items() if n in kept} for cube in self.existing())
        found = Packets(())
        for shadow in shadows:
            found = found.join(Packets((shadow,)))
        return found

    def existing(self) -> Iterator[Cube]:
        """Cubes of packets that exist."""
        return (held for cube in self.cubes if (held := real(cube)) is not None)

    def __contains__(self, packet: Packet) -> bool:
        return any(
            all(holds(values, packet.get(name, 0)) for name, values in cube.items())
            for cube in self.cubes
        )

    def witness(self) -> Packet | None:
        """One of them, as people would write it; None when there are none."""
        found = next((e for e in map(example, self.cubes) if e is not None), None)
        if found is None:
            return None
        return Packet(**{name: value for name, value in found.items() if "@" not in name})


ALL = Packets(({},))
NONE = Packets(())
