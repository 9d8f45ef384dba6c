# SPDX-License-Identifier: Apache-2.0
"""Classes of endpoints that no policy can tell apart: tenant, namespace, labels and named ports.

Flows of policies match the number of a class, its *identity*, and not addresses. So a rule costs as
many flows as there are classes it is about, and one endpoint whose labels change costs one flow on
a bridge. An identity is a hash of the class, so that it is the same after a restart and does not
depend on what else there is; those few that collide within a tenant get others.

| relation | key | value |
|---|---|---|
| ``ClassOf`` | `Key` of the endpoint | its `Class` |
| ``Class`` | `Class` | True while any endpoint is in it |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from vneter_sdn.compile.query import Fact, Index, View, query
from vneter_sdn.model.kinds import EndpointSpec
from vneter_sdn.model.snapshot import Key, Object

CLASS, CLASS_OF = "Class", "ClassOf"
Labels = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs."""


class Class(NamedTuple):
    """What policies see of an endpoint."""

    tenant: str
    namespace: str
    """Empty for endpoints that are in none."""
    labels: Labels
    ports: tuple[tuple[str, str, int], ...]
    """Sorted (name, protocol, number) of its named ports."""


def class_of(stored: Object) -> Class:
    """The class of an endpoint."""
    spec: EndpointSpec = stored.spec
    ports = sorted((port.name, port.protocol, port.port) for port in spec.ports)
    labels = tuple(sorted(stored.labels.items()))
    return Class(stored.key.tenant, spec.namespace or "", labels, tuple(ports))


class Ledger:
    """Which classes have endpoints, as a function of the facts so far."""

    def __init__(self) -> None:
        self._of: dict[Hashable, Class] = {}
        self._sizes: Counter[Class] = Counter()

    def taken_in(self, changes: Mapping[Any, Any]) -> dict[Fact, Any]:
        """The facts about classes that follow from others. O(changes)."""
        touched: set[Class] = set()
        for fact, value in changes.items():
            if not isinstance(fact, Fact) or fact.relation != CLASS_OF:
                continue
            before = self._of.pop(fact.key, None)
            if before is not None:
                self._sizes[before] -= 1
                touched.add(before)
            if value is not None:
                self._of[fact.key] = value
                self._sizes[value] += 1
                touched.add(value)
        found: dict[Fact, Any] = {}
        for one in touched:
            found[Fact(CLASS, one)] = True if self._sizes[one] else None
            if not self._sizes[one]:
                del self._sizes[one]
        return found


def _found_by(one: Class, _: bool) -> Iterable[Hashable]:
    """What classes are looked up by: tenant; namespace in it; label in either."""
    for where in ((one.tenant,), (one.tenant, one.namespace)):
        yield where
        for label in one.labels:
            yield (*where, label)


def _class(_: Key, one: Class) -> Iterable[Class]:
    yield one


CLASSES = Index("classes by tenant, namespace and label", CLASS, _found_by)
MEMBERS = Index("endpoints of class", CLASS_OF, _class)
INDEXES = (CLASSES, MEMBERS)


@lru_cache(maxsize=1 << 18)
def hashed(one: Class, salt: int = 0) -> int:
    """32 bits, none of them zero by chance: zero stands for who is no endpoint."""
    text = repr((salt, tuple(one))).encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest(), "big") or 1


@query
def collisions(view: View, tenant: str) -> Mapping[Class, int]:
    """Identities of the classes of a tenant that would share theirs with another. O(classes)."""
    classes = view.find(CLASSES, (tenant,))
    found: dict[Class, int] = {}
    if len(set(map(hashed, classes))) == len(classes):
        return found
    owners: dict[int, Class] = {}
    for one in [one for one in sorted(classes) if owners.setdefault(hashed(one), one) != one]:
        salt = 1
        while owners.setdefault(hashed(one, salt), one) != one:
            salt += 1
        found[one] = hashed(one, salt)
    return found


def number_of(salted: Mapping[Class, int], one: Class) -> int:
    """The identity of a class, given `collisions`."""
    return salted.get(one) or hashed(one)


def identity(view: View, one: Class) -> int:
    """The number of a class: 1..2^32-1, of its own within its tenant."""
    return view.entry(collisions, one.tenant, one) or hashed(one)
