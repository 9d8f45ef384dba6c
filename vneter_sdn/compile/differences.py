# SPDX-License-Identifier: Apache-2.0
"""What a unit takes away and adds when its parts change.

Units of thousands of flows change in a few: whatever is the very same object as before is passed
over first, in time that hardly shows; comparing flows takes longer than putting them where they
were.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from vneter_sdn.compile.features.unit import Part

Moved = tuple[list[Part], list[Part]]
"""Parts that go, and parts that come."""


def differences(before: tuple[Part, ...], after: tuple[Part, ...]) -> Moved:
    """What to take away and what to add: of a part that only spread or shrank, just those hosts.

    A unit claims a place on a bridge in one part only; a second, equal claim would be taken away
    with the first.
    """
    if not before or not after:
        return list(before), list(after)
    both = set(map(id, before)).intersection(map(id, after))
    gone = [part for part in before if id(part) not in both]
    come = [part for part in after if id(part) not in both]
    if not gone or not come:
        return gone, come
    gone, come, spread = _spread(*_trimmed(gone, come))
    moved = [*spread, *_alike(gone, come)]
    return [one for one, _ in moved if one.hosts], [one for _, one in moved if one.hosts]


def _trimmed(gone: list[Part], come: list[Part]) -> Moved:
    """Without the flows that go and come on the same hosts; most, where a few of many change."""
    old, new = _by_hosts(gone), _by_hosts(come)
    for hosts in old.keys() & new.keys():
        both = _flows(old[hosts]) & _flows(new[hosts])
        for parts in (old[hosts], new[hosts]):
            parts[:] = [_without(part, both) for part in parts]
    left = ([p for ps in by.values() for p in ps if p.hosts] for by in (old, new))
    return next(left), next(left)


def _by_hosts(parts: Iterable[Part]) -> dict[frozenset[str], list[Part]]:
    found: dict[frozenset[str], list[Part]] = {}
    for part in parts:
        found.setdefault(part.hosts, []).append(part)
    return found


def _flows(parts: Iterable[Part]) -> set[int]:
    return set().union(*(map(id, part.flows) for part in parts))


def _spread(
    gone: Iterable[Part], come: Iterable[Part]
) -> tuple[list[Part], list[Part], list[tuple[Part, Part]]]:
    """Parts with other contents, and those that are on other hosts alone."""
    held: dict[Hashable, list[Part]] = {}
    for part in gone:
        held.setdefault(_sketch(part), []).append(part)
    fresh: list[Part] = []
    spread: list[tuple[Part, Part]] = []
    for part in come:
        alike = held.get(_sketch(part), [])
        old = next((one for one in alike if _content(one) == _content(part)), None)
        if old is None:
            fresh.append(part)
            continue
        alike.remove(old)
        spread.append(_elsewhere(old, part))
    return [part for rest in held.values() for part in rest], fresh, spread


def _elsewhere(old: Part, new: Part) -> tuple[Part, Part]:
    """What goes and what comes of a part that is to be on other hosts."""
    return replace(old, hosts=old.hosts - new.hosts), replace(new, hosts=new.hosts - old.hosts)


def _alike(gone: list[Part], come: list[Part]) -> Iterator[tuple[Part, Part]]:
    """The same of parts that differ in some flows: those in both are moved, if at all."""
    home = _homes(gone)
    there = _homes(come)
    common: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for flow, where in there.items():
        if flow in home:
            common[home[flow], where].append(flow)
    moved = {flow for flows in common.values() for flow in flows}
    for (old, new), flows in common.items():
        if gone[old].hosts != come[new].hosts:
            among = set(flows)
            same = tuple(flow for flow in come[new].flows if id(flow) in among)
            yield _elsewhere(Part(gone[old].hosts, same), Part(come[new].hosts, same))
    nothing = Part(frozenset())
    for part in gone:
        yield _without(part, moved), nothing
    for part in come:
        yield nothing, _without(part, moved)


def _homes(parts: list[Part]) -> dict[int, int]:
    """By identity of the flow, which part it is in; of those that are in one alone."""
    times = Counter(id(flow) for part in parts for flow in part.flows)
    return {
        id(flow): number
        for number, part in enumerate(parts)
        for flow in part.flows
        if times[id(flow)] == 1
    }


def _without(part: Part, flows: set[int]) -> Part:
    if flows.isdisjoint(map(id, part.flows)):
        return part
    kept = tuple(flow for flow in part.flows if id(flow) not in flows)
    hosts = part.hosts if kept or part.groups or part.meters else frozenset()
    return Part(hosts, kept, part.groups, part.meters)


def _content(part: Part) -> tuple[object, ...]:
    return part.flows, part.groups, part.meters


def _sketch(part: Part) -> Hashable:
    """Equal for equal contents, and cheap: hashing whole flows costs more than comparing a few.

    Of parts that differ in their groups alone, as those of a tree do, there may be hundreds.
    """
    first = part.groups[0] if part.groups else None
    return len(part.flows), part.flows[0].match if part.flows else None, first
