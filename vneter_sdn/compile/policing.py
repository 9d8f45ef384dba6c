# SPDX-License-Identifier: Apache-2.0
"""Which endpoints policies are about, where they are, and which of them are isolated."""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.compile.books import book, policies
from vneter_sdn.compile.classes import CLASSES, Class
from vneter_sdn.compile.membership import class_hosts
from vneter_sdn.compile.query import View, query
from vneter_sdn.compile.strands import applied_to
from vneter_sdn.model.kinds import TenantSpec
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key

WAYS: tuple[Direction, Direction] = ("egress", "ingress")


@query
def isolates(view: View, asked: tuple[str, Key]) -> Mapping[Direction, frozenset[Class]]:
    """Classes of a tenant that a policy isolates."""
    tenant, policy = asked
    found: dict[Direction, frozenset[Class]] = {}
    for one in view.ask(book, policy).isolations:
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
def isolated(view: View, tenant: str) -> Mapping[Direction, frozenset[Class]]:
    """Classes of a tenant that any policy isolates."""
    each = [view.ask(isolates, (tenant, policy)) for policy in view.ask(policies, tenant)]
    nobody: frozenset[Class] = frozenset()
    return {way: nobody.union(*(one.get(way, nobody) for one in each)) for way in WAYS}


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
def policed_classes(view: View, tenant: str) -> frozenset[Class]:
    """Classes of a tenant that policies are asked about: all, where it denies by default."""
    if view.ask(denies, tenant):
        return view.find(CLASSES, (tenant,))
    each = (view.ask(concerned, (tenant, policy)) for policy in view.ask(policies, tenant))
    return frozenset().union(*each)


@query
def policed(view: View, one: Class) -> bool:
    """Whether policies are asked about the endpoints of a class."""
    return one in view.ask(policed_classes, one.tenant)


@query
def policing(view: View, tenant: str) -> frozenset[str]:
    """Hosts where policies are asked about endpoints of a tenant."""
    each = (view.ask(class_hosts, one) for one in view.ask(policed_classes, tenant))
    return frozenset().union(*each)
