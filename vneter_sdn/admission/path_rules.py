# SPDX-License-Identifier: Apache-2.0
"""Rules on path policies: what contradicts itself, and what can never match anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from vneter_sdn.admission.draft import Draft
from vneter_sdn.errors import Problem
from vneter_sdn.model.path_kinds import Objective, PathConstraints, PathPolicySpec
from vneter_sdn.model.snapshot import Object

_NOT_PLANNED = (
    "max_latency_ms",
    "max_hops",
    "max_price_per_gb",
    "max_loss",
    "min_bandwidth_mbps",
    "waypoints",
)
_NETWORK = re.compile(r"[a-z0-9][-a-z0-9.]{0,62}/[a-z0-9][-a-z0-9.]{0,62}", re.ASCII)


def objective_weighs(stored: Object, _: Draft) -> Iterator[Problem]:
    """An objective made of weights has one that is not zero. O(1)."""
    objective = stored.spec.objective
    if isinstance(objective, Objective) and not any(msgspec.structs.astuple(objective)):
        text = "has only zero weights, so that all paths are alike; give one that is larger"
        yield Problem(str(stored.key), "spec.objective", "NoObjective", text)


def ports_in_range(stored: Object, _: Draft) -> Iterator[Problem]:
    """Ports are 1 to 65535, ranges go upward, and none is given twice. O(ports)."""
    name = str(stored.key)
    for position, text in enumerate(stored.spec.ports):
        field = f"spec.ports[{position}]"
        protocol, _slash, numbers = text.partition("/")
        low, _dash, high = numbers.partition("-")
        bounds = [int(number) for number in (low, high) if number]
        if any(not 1 <= number <= 65535 for number in bounds):
            yield Problem(name, field, "BadPort", f"{text}: ports are 1 to 65535")
        elif bounds and bounds[0] > bounds[-1]:
            turned = f"{protocol}/{bounds[1]}-{bounds[0]}"
            yield Problem(name, field, "BadRange", f"{text} ends before it begins; write {turned}")
    yield from _twice(name, "spec.ports", stored.spec.ports)


def networks_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Networks are named with their tenants, which are among those of the policy. O(networks)."""
    spec: PathPolicySpec = stored.spec
    for position, text in enumerate(spec.networks):
        field = f"spec.networks[{position}]"
        tenant = text.partition("/")[0]
        if not _NETWORK.fullmatch(text):
            advice = f"{text!r} names no network of a tenant; write it like red/web"
            yield Problem(str(stored.key), field, "BadNetwork", advice)
        elif spec.tenants and tenant not in spec.tenants:
            advice = f"only {tenant} reaches {text}, and it is not among tenants; add it there"
            yield Problem(str(stored.key), field, "Contradiction", advice)


def constraints_possible(stored: Object, _: Draft) -> Iterator[Problem]:
    """Constraints leave some path possible, as far as they alone tell. O(constraints)."""
    spec, name = stored.spec.constraints, str(stored.key)
    both = sorted({*spec.require_tags} & {*spec.avoid_tags})
    if both:
        text = f"{', '.join(both)} is also in avoidTags; no link can satisfy both"
        yield Problem(name, "spec.constraints.requireTags", "Contradiction", text)
    for position, region in enumerate(spec.regions):
        if not region.strip():
            field = f"spec.constraints.regions[{position}]"
            text = "is empty, as the region of no host is meant to be; remove it or name one"
            yield Problem(name, field, "EmptyRegion", text)
    yield from _twice(name, "spec.constraints.waypoints", spec.waypoints)
    least = len(spec.waypoints) - 1
    if spec.max_hops is not None and least > spec.max_hops:
        text = f"{least + 1} waypoints are at least {least} links apart; raise it"
        yield Problem(name, "spec.constraints.maxHops", "Contradiction", text)


def engineering_fits(stored: Object, _: Draft) -> Iterator[Problem]:
    """What is engineered asks for nothing that a plan does not look at. O(constraints)."""
    spec, name = stored.spec, str(stored.key)
    if spec.sharing != "engineered":
        return
    text = "is not looked at where sharing is engineered; remove it, or share otherwise"
    if spec.disjoint != "none":
        yield Problem(name, "spec.disjoint", "NotEngineered", text)
    unset = PathConstraints()
    for field in _NOT_PLANNED:
        if getattr(spec.constraints, field) != getattr(unset, field):
            word = msgspec.structs.fields(PathConstraints)[
                spec.constraints.__struct_fields__.index(field)
            ].encode_name
            yield Problem(name, f"spec.constraints.{word}", "NotEngineered", text)


def _twice(name: str, field: str, values: Sequence[str]) -> Iterator[Problem]:
    for position, value in enumerate(values):
        if value in values[:position]:
            text = f"{value} is given twice; remove one"
            yield Problem(name, f"{field}[{position}]", "Duplicate", text)
