# SPDX-License-Identifier: Apache-2.0
"""What a bridge was seen to hold, and the ordered list of changes that makes it right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group, Meter


class Verb(StrEnum):
    """What a step does with its thing."""

    ADD = "add"
    """Adds; a flow of the same key is replaced, counters and all."""
    MODIFY = "modify"
    """Changes in place; a flow keeps its counters and its cookie, which the step carries."""
    DELETE = "delete"


Thing = Flow | Group | Meter
UNREADABLE = -1
"""``goto`` of an observed flow of ours whose instructions or timeouts this release never writes."""


class Step(NamedTuple):
    """One change. A deletion carries the thing as it was seen."""

    verb: Verb
    thing: Thing

    def __str__(self) -> str:
        """``add group 0x76000001 select, 2 buckets``."""
        return f"{self.verb} {_noun(self.thing)}"


def _noun(thing: Thing) -> str:
    match thing:
        case Flow(table=table, priority=priority, cookie=cookie):
            terms = ",".join(f"{t.field}={t.value:#x}/{t.mask:#x}" for t in thing.match)
            return f"flow table={table} priority={priority} {terms or 'any'} cookie={cookie:#x}"
        case Group(group=number, kind=kind, buckets=buckets):
            return f"group {number:#x} {kind}, {len(buckets)} buckets"
        case Meter(meter=number, rate=rate, burst=burst, unit=unit):
            return f"meter {number:#x} rate={rate} burst={burst} {unit}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What one bridge holds, split by whose it is.

    ``groups`` and ``meters`` are those of our ranges (`pipeline.reserved`); others are not kept.
    """

    flows: Mapping[FlowKey, Flow] = field(default_factory=dict)
    """Flows with our cookie."""
    foreign: frozenset[FlowKey] = frozenset()
    """Keys of flows without it: never replaced, changed or deleted."""
    groups: Mapping[int, Group] = field(default_factory=dict)
    meters: Mapping[int, Meter] = field(default_factory=dict)

    @property
    def ours(self) -> BridgeState:
        """Our share, in the shape of a desired state."""
        return BridgeState(self.flows, self.groups, self.meters)


@dataclass(frozen=True, slots=True)
class Changed:
    """Keys to look at; everything else is known to be as it should."""

    flows: frozenset[FlowKey] = frozenset()
    groups: frozenset[int] = frozenset()
    meters: frozenset[int] = frozenset()

    def __or__(self, other: Changed) -> Changed:
        """The keys of both."""
        return Changed(
            self.flows | other.flows, self.groups | other.groups, self.meters | other.meters
        )


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """The way from observed to desired, in the order in which it has to go.

    Meters ride outside the bundle (Open vSwitch refuses them inside): those a flow may need
    come first, those no flow needs any more are deleted last.
    """

    meters: tuple[Step, ...] = ()
    """Meters added and modified, before the bundle."""
    bundle: tuple[Step, ...] = ()
    """Groups added and modified; flows added, modified, deleted; groups deleted. Atomic."""
    meter_deletes: tuple[Step, ...] = ()
    """After the bundle."""
    blocked: tuple[Flow, ...] = ()
    """Desired flows whose place a foreign flow holds; left out, to be reported."""

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.meters or self.bundle or self.meter_deletes)

    def __iter__(self) -> Iterator[Step]:
        """Every step, in order."""
        yield from self.meters
        yield from self.bundle
        yield from self.meter_deletes

    def __str__(self) -> str:
        """One line for each step and each blocked flow."""
        lines = [str(step) for step in self]
        lines += [f"blocked {_noun(flow)}" for flow in self.blocked]
        return "\n".join(lines) or "nothing to do"

    @property
    def flow_deletes(self) -> int:
        """How many flows it deletes."""
        return sum(
            step.verb is Verb.DELETE and isinstance(step.thing, Flow) for step in self.bundle
        )

    def tally(self) -> Counter[str]:
        """Steps counted by verb and thing: ``{"add flow": 12, "delete group": 1}``."""
        return Counter(f"{step.verb} {type(step.thing).__name__.lower()}" for step in self)
