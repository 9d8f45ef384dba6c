# SPDX-License-Identifier: Apache-2.0
"""What policies make of all packets of an endpoint, whoever is at the other end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import PEER, RULE
from vneter_sdn.verify.classes import Classes
from vneter_sdn.verify.facts import PEERS, VERDICT
from vneter_sdn.verify.forwarding import Ends
from vneter_sdn.verify.packets import Cube, Packets, merged
from vneter_sdn.verify.parts import (
    ANY_IP,
    End,
    Kept,
    Label,
    Parts,
    Said,
    Stages,
    asked,
    begun,
    joined,
    local,
    met,
    passed,
)
from vneter_sdn.verify.sieve import Sieve
from vneter_sdn.verify.values import meet

_MOST = 10_000
"""Answers about others, and addresses that it tells apart, that a gate remembers."""


@dataclass(frozen=True, eq=False)
class Gate:
    """What becomes of packets of an endpoint. One gate is the same object wherever it is."""

    way: Direction
    before: Parts
    """To where it is asked who is at the other end."""
    stages: Stages
    """By identity here, what each table of rules does."""
    after: Mapping[Said, Parts]
    """By rule and by what the tracker said, what becomes of packets then; more than are asked."""
    sieve: Sieve

    @cached_property
    def rules(self) -> Mapping[int, Parts]:
        """By identity here, what all tables of rules together decide."""
        return {who: joined(self.way, stages) for who, stages in self.stages.items()}

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """What is remembered of IP packets that begin connections and go on."""
        return tuple(dict.fromkeys(one.label for one in self.kept))

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """The same, with the rule that let them, and which they are."""
        found: dict[tuple[int | None, Label], list[Cube]] = {}
        for rule, label, cube in self._passing:
            if meet(cube.get("eth_type", ANY_IP), ANY_IP):
                found.setdefault((rule, label), []).append(cube)
        return tuple(Kept(*what, tuple(cubes)) for what, cubes in found.items())

    @cached_property
    def _passing(self) -> list[tuple[int | None, Label, Cube]]:
        found = []
        for what, cubes in begun(self.way, self.before, self.rules):
            rule = None if what is None else dict(what)[RULE.field]
            goes_on = passed(self.way, ((what, cubes),), self.after)
            found += [(rule, label, cube) for label, cube in goes_on]
        return found

    def beginning(self) -> tuple[Cube, ...]:
        """Packets that begin connections and go on."""
        return self._beginning

    @cached_property
    def _beginning(self) -> tuple[Cube, ...]:
        return tuple(merged(cube for _, _, cube in self._passing))

    def between(self, who: int, ends: Ends, label: Label | None = None) -> Packets:
        """Packets that begin connections and go on, between two addresses.

        Args:
            who: the identity that the one at the other end has.
            ends: the addresses.
            label: those alone of whom that is remembered; None: all.
        """
        version, source, target = ends
        whom, sources, targets = self._told[version]
        marks = [classes.of(who) for classes in whom]
        marks += [classes.of(source) for classes in sources]
        marks += [classes.of(target) for classes in targets]
        place = (version, label, *marks)
        found = self._between.get(place)
        if found is None:
            if len(self._between) > _MOST:
                self._between.clear()
            narrow = self.sieve.between(who, ends)
            found = self._between[place] = narrow.passing(
                self.way, self.before, self.stages, self.after, label
            )
        return found

    @cached_property
    def _told(self) -> Mapping[str, tuple[tuple[Classes, ...], ...]]:
        """How the gate tells identities, sources and targets apart, by IP version."""
        every = [self.before, *self.after.values()]
        every += (parts for stages in self.stages.values() for parts in stages)
        told = [found for parts in every if (found := self.sieve.told(parts))]

        def classes(name: str) -> tuple[Classes, ...]:
            return tuple(dict.fromkeys(one[name] for one in told if name in one))

        return {
            ip: (classes(PEER.field), classes(f"{ip}_src"), classes(f"{ip}_dst"))
            for ip in ("ip", "ipv6")
        }

    @cached_property
    def _between(self) -> dict[tuple[object, ...], Packets]:
        return {}

    def ends(self, excused: Callable[[End], bool]) -> Iterator[tuple[End, list[Cube]]]:
        """Packets that do not go on, though no rule says so: of all, not only of first ones."""
        for first in self.before:
            if first.end is not None and not excused(first.end):
                yield first.end, list(first.cubes)
            for rule in self.rules[local(first)] if first.at == PEERS[self.way] else ():
                if rule.end is not None and not excused(rule.end):
                    yield rule.end, met(first.cubes, rule.cubes)
                for last in self.after[asked(first, rule)] if rule.at == VERDICT[self.way] else ():
                    if last.end is not None and not excused(last.end):
                        yield last.end, met(met(first.cubes, rule.cubes), last.cubes)
