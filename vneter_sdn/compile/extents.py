# SPDX-License-Identifier: Apache-2.0
"""How far policies reach: what their reports say besides what was counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vneter_sdn.compile.books import book
from vneter_sdn.compile.classes import MEMBERS, Class
from vneter_sdn.compile.features import policy as feature
from vneter_sdn.compile.features.unit import Parts
from vneter_sdn.compile.membership import class_hosts
from vneter_sdn.compile.policing import concerned, isolates
from vneter_sdn.compile.query import Database
from vneter_sdn.model.snapshot import Key

KINDS = frozenset(feature.FEATURE.generators)
"""Of policies."""


class Extent(NamedTuple):
    """How far a policy reaches."""

    endpoints: int = 0
    """It says something about."""
    rules: int = 0
    flows: int = 0
    """On all bridges together; of isolation, which policies share, none."""
    hosts: frozenset[str] = frozenset()
    """Whose bridges hold it."""
    in_force: bool = True


def extent(database: Database, policy: Key, parts: Parts, tenants: Iterable[str]) -> Extent:
    """How far a policy reaches, among tenants. O(its parts, and classes it is about).

    Args:
        database: where it is compiled.
        policy: which one.
        parts: its flows.
        tenants: names of those that it may be about.
    """
    written = database.value(book, policy)
    classes: set[Class] = set()
    hosts = {host for part in parts for host in part.hosts}
    for tenant in tenants:
        about: frozenset[Class] | None = database.value(concerned, (tenant, policy))
        classes |= about or set()
        for some in (database.value(isolates, (tenant, policy)) or {}).values():
            hosts |= {host for one in some for host in database.value(class_hosts, one) or ()}
    return Extent(
        sum(len(database.find(MEMBERS, one)) for one in classes),
        len(written.rules) if written else 0,
        sum(len(part.flows) * len(part.hosts) for part in parts),
        frozenset(hosts),
        bool(written and (written.rules or written.isolations)),
    )
