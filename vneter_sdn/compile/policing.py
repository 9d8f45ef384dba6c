# SPDX-License-Identifier: Apache-2.0
"""Which endpoints policies are about, where they are, and which of them are isolated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from zlib import crc32

from vneter_sdn.compile.books import book, isolations, policies
from vneter_sdn.compile.classes import CLASSES, Class
from vneter_sdn.compile.membership import class_hosts
from vneter_sdn.compile.query import View, query
from vneter_sdn.compile.strands import applied_to
from vneter_sdn.model.kinds import TenantSpec
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy.rule import Domain, Rule, Stage

WAYS: tuple[Direction, Direction] = ("egress", "ingress")
_SHEAVES = 32
_NOBODY: frozenset[Class] = frozenset()


@query
def isolates(view: View, asked: tuple[str, Key]) -> Mapping[Direction, frozenset[Class]]:
    """Classes of a tenant that a policy isolates."""
    tenant, policy = asked
    found: dict[Direction, frozenset[Class]] = {}
    for one in view.ask(isolations, policy):
        if one.concerns(tenant):
            before = found.get(one.direction, frozenset())
            found[one.direction] = before | applied_to(view, tenant, one.applied)
    return found


@query
def concerned(view: View, asked: tuple[str, Key]) -> frozenset[Class]:
    """Classes of a tenant that a policy says anything about."""
    tenant, policy = asked
    scopes = {
        id(rule.applied): rule.applied
        for rule in view.ask(book, policy).rules
        if rule.concerns(tenant)
    }
    by_rules = (applied_to(view, tenant, applied) for applied in scopes.values())
    return frozenset().union(*by_rules, *view.ask(isolates, asked).values())


@query
def _names_wanted_by(view: View, asked: tuple[str, Key]) -> frozenset[Class]:
    tenant, policy = asked
    about = (
        applied_to(view, tenant, rule.applied)
        for rule in view.ask(book, policy).rules
        if rule.concerns(tenant) and any(isinstance(peer, Domain) for peer in rule.peers or ())
    )
    return frozenset().union(*about)


@query
def names_wanted(view: View, tenant: str) -> frozenset[Class]:
    """Classes of a tenant that rules with DNS names are about."""
    each = (view.ask(_names_wanted_by, (tenant, policy)) for policy in view.ask(policies, tenant))
    return frozenset().union(*each)


@query
def naming(view: View, _: None) -> frozenset[str]:
    """Hosts with endpoints that rules with DNS names are about."""
    found = (
        view.ask(class_hosts, one)
        for tenant in sorted(view.keys("Tenant"))
        for one in view.ask(names_wanted, tenant.name)
    )
    return frozenset().union(*found)


@query
def _sheaves(view: View, tenant: str) -> Mapping[int, tuple[Key, ...]]:
    """`policies`, some dozens at a time: a change of one has the others of its sheaf asked."""
    found: defaultdict[int, list[Key]] = defaultdict(list)
    for policy in view.ask(policies, tenant):
        found[crc32(str(policy).encode()) % _SHEAVES].append(policy)
    return {number: tuple(some) for number, some in found.items()}


@query
def _isolated_by(view: View, asked: tuple[str, int]) -> Mapping[Direction, frozenset[Class]]:
    """Classes of a tenant that any policy of a sheaf isolates."""
    tenant, number = asked
    some = view.entry(_sheaves, tenant, number) or ()
    return _either([view.ask(isolates, (tenant, policy)) for policy in some])


def _either(
    each: Sequence[Mapping[Direction, frozenset[Class]]],
) -> Mapping[Direction, frozenset[Class]]:
    return {way: _NOBODY.union(*(one.get(way, _NOBODY) for one in each)) for way in WAYS}


@query
def isolated(view: View, tenant: str) -> Mapping[Direction, frozenset[Class]]:
    """Classes of a tenant that any policy isolates."""
    sheaves = view.ask(_sheaves, tenant)
    return _either([view.ask(_isolated_by, (tenant, number)) for number in sheaves])


@query
def isolated_in(view: View, tenant: str) -> Mapping[tuple[Direction, str], frozenset[Class]]:
    """The same, by namespace besides. O(namespaces, and classes that come or go)."""
    before: Mapping[tuple[Direction, str], frozenset[Class]] = view.before or {}
    found = dict(before)
    for way, classes in view.ask(isolated, tenant).items():
        held = {place: some for (one, place), some in before.items() if one == way}
        for place, some in _by_namespace(held, classes).items():
            if some:
                found[way, place] = some
            else:
                del found[way, place]
    return found


def _by_namespace(
    before: Mapping[str, frozenset[Class]], classes: frozenset[Class]
) -> Mapping[str, frozenset[Class]]:
    """Of namespaces whose classes are others than before, which those are now, if any."""
    found: dict[str, set[Class]] = {}
    for one in classes ^ _NOBODY.union(*before.values()):
        place = one.namespace
        if place not in found:
            found[place] = set(before.get(place, ()))
        found[place] ^= {one}
    return {place: frozenset(some) for place, some in found.items()}


def decided_on(view: View, tenant: str, rule: Rule, classes: frozenset[Class]) -> frozenset[Class]:
    """Those of the classes that a rule is about whom it decides on.

    Rules of the stage of isolation mean nothing to whom nobody isolates. Most are in a policy that
    isolates just those it is about: no other has to be looked at then.
    """
    if rule.stage is not Stage.ISOLATION:
        return classes
    for own in view.ask(isolations, rule.policy):
        alike = own.direction == rule.direction and own.applied == rule.applied
        if alike and own.concerns(tenant):
            return classes
    return classes & view.ask(isolated, tenant)[rule.direction]


@query
def denies(view: View, tenant: str) -> frozenset[Direction]:
    """Ways in which a tenant drops what no policy decides."""
    spec: TenantSpec | None = view.get("Tenant", Key("Tenant", "", tenant))
    if spec is None:
        return frozenset()
    defaults: dict[Direction, str] = {
        "egress": spec.default_egress,
        "ingress": spec.default_ingress,
    }
    return frozenset(way for way, default in defaults.items() if default == "drop")


@query
def _concerned_by(view: View, asked: tuple[str, int]) -> frozenset[Class]:
    """Classes of a tenant that any policy of a sheaf says anything about."""
    tenant, number = asked
    some = view.entry(_sheaves, tenant, number) or ()
    return _NOBODY.union(*(view.ask(concerned, (tenant, policy)) for policy in some))


@query
def policed_classes(view: View, tenant: str) -> frozenset[Class]:
    """Classes of a tenant that policies are asked about: all, where it denies by default."""
    if view.ask(denies, tenant):
        return view.find(CLASSES, (tenant,))
    sheaves = view.ask(_sheaves, tenant)
    return _NOBODY.union(*(view.ask(_concerned_by, (tenant, number)) for number in sheaves))


def policed(view: View, one: Class) -> bool:
    """Whether policies are asked about the endpoints of a class."""
    return view.holds(policed_classes, one.tenant, one)


@query
def _policed_in(view: View, tenant: str) -> Mapping[str, frozenset[Class]]:
    """`policed_classes`, by namespace. O(namespaces, and classes that come or go)."""
    before: Mapping[str, frozenset[Class]] = view.before or {}
    changed = _by_namespace(before, view.ask(policed_classes, tenant))
    return {place: some for place, some in {**before, **changed}.items() if some}


@query
def _policing_in(view: View, asked: tuple[str, str]) -> frozenset[str]:
    """Hosts where policies are asked about endpoints of a tenant in a namespace."""
    classes: frozenset[Class] = view.entry(_policed_in, *asked) or _NOBODY
    return frozenset().union(*(view.ask(class_hosts, one) for one in classes))


@query
def policing(view: View, tenant: str) -> frozenset[str]:
    """Hosts where policies are asked about endpoints of a tenant."""
    places = view.ask(_policed_in, tenant)
    return frozenset().union(*(view.ask(_policing_in, (tenant, place)) for place in places))
