# SPDX-License-Identifier: Apache-2.0
"""Who is in a scope: classes of endpoints, found by index and not by looking at all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import msgspec

from vneter_sdn.compile.classes import CLASSES, MEMBERS, Class
from vneter_sdn.compile.facts import NAMESPACES_OF_TENANT, SELECTED_BY
from vneter_sdn.compile.queries import place
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.policy_kinds import Selector
from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy.rule import EVERY, Scope
from vneter_sdn.policy.selectors import NAMESPACE_NAME, labels_of_namespace, selects

Written = bytes
"""A selector as JSON: selectors hold maps, which cannot be keys."""
_EVERY = msgspec.json.encode(EVERY)


def written(selector: Selector) -> Written:
    """A selector as a key of queries."""
    return msgspec.json.encode(selector)


@lru_cache(maxsize=65536)
def _read(selector: Written) -> Selector:
    return msgspec.json.decode(selector, type=Selector)


@query
def namespace_labels(view: View, place: tuple[str, str]) -> Mapping[str, str]:
    """Labels of a namespace: (tenant, name)."""
    tenant, name = place
    held = view.get(SELECTED_BY, Key("Namespace", tenant, name))
    return labels_of_namespace(name, dict(held or ()))


@query
def namespaces(view: View, asked: tuple[str, Written]) -> frozenset[str]:
    """Names of the namespaces of a tenant that a selector selects; empty for none at all."""
    tenant, selector = asked[0], _read(asked[1])
    names = _called(view, tenant, selector)
    if names is None:
        names = {key.name for key in view.find(NAMESPACES_OF_TENANT, tenant)} | {""}
    return frozenset(
        name for name in names if selects(selector, view.ask(namespace_labels, (tenant, name)))
    )


def _called(view: View, tenant: str, selector: Selector) -> set[str] | None:
    """Those there are of the namespaces that a selector calls by name; None when it does not."""
    wanted: Iterable[str] | None = None
    if NAMESPACE_NAME in selector.match_labels:
        wanted = [selector.match_labels[NAMESPACE_NAME]]
    for one in selector.match_expressions:
        if one.key == NAMESPACE_NAME and one.operator == "In":
            wanted = one.values
    if wanted is None:
        return None
    return {n for n in wanted if view.get(SELECTED_BY, Key("Namespace", tenant, n)) is not None}


@query
def within(view: View, asked: tuple[str, Written, Written]) -> frozenset[Class]:
    """Classes of a tenant in a scope: (tenant, selector of namespaces, selector of endpoints).

    O(classes in those namespaces that have one of the labels asked for).
    """
    tenant, where, whom = asked
    selector = _read(whom)
    places: Iterator[tuple[str, ...]] = iter([(tenant,)])
    if where != _EVERY:
        names: frozenset[str] = view.ask(namespaces, (tenant, where))
        places = ((tenant, name) for name in sorted(names))
    return frozenset(
        one
        for at in places
        for one in _candidates(view, at, selector)
        if selects(selector, dict(one.labels))
    )


def _candidates(view: View, at: tuple[str, ...], selector: Selector) -> frozenset[Class]:
    """Classes at a place that may have the labels asked for; by an index on one label."""
    for label in selector.match_labels.items():
        return view.find(CLASSES, (*at, label))
    for one in selector.match_expressions:
        if one.operator == "In":
            found = (view.find(CLASSES, (*at, (one.key, value))) for value in one.values)
            return frozenset().union(*found)
    return view.find(CLASSES, at)


def members(view: View, tenant: str, scope: Scope) -> frozenset[Class]:
    """`within`, for a scope."""
    return view.ask(within, (tenant, written(scope.namespaces), written(scope.endpoints)))


@query
def class_hosts(view: View, one: Class) -> frozenset[str]:
    """Hosts where endpoints of a class are. O(its endpoints)."""
    found = (view.ask(place, endpoint) for endpoint in view.find(MEMBERS, one))
    return frozenset(at.host for at in found if at)


def scopes(given: Iterable[Scope]) -> tuple[tuple[Written, Written], ...]:
    """Scopes as a key of queries: selectors of namespaces and of endpoints."""
    return tuple((written(one.namespaces), written(one.endpoints)) for one in given)


@query
def stationed(
    view: View, asked: tuple[str, tuple[tuple[Written, Written], ...]]
) -> Mapping[Class, frozenset[str]]:
    """Where all classes are that are in some scopes of a tenant. O(classes)."""
    tenant, among = asked
    each = (view.ask(within, (tenant, where, whom)) for where, whom in among)
    return {one: view.ask(class_hosts, one) for one in frozenset().union(*each)}
