# SPDX-License-Identifier: Apache-2.0
"""Rules on references: what an object names exists, and what others name is not deleted."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import references
from vneter_sdn.errors import Problem
from vneter_sdn.model.snapshot import Key, Object

_SHOWN = 5


def references_exist(stored: Object, draft: Draft) -> Iterator[Problem]:
    """Everything referred to exists, or is created in the same batch. O(references)."""
    for field, target in references(stored.key, stored.spec):
        if draft.object(target) is None and target not in draft.broken:
            text = f"{target} does not exist; create it first, or in the same apply"
            yield Problem(str(stored.key), field, "UnknownReference", text)


def unreferenced(key: Key, draft: Draft) -> Iterator[Problem]:
    """Nothing that stays refers to a deleted object. O(referrers)."""
    referrers = draft.lookup.others("refers", key, None)
    if referrers:
        named = ", ".join(str(referrer) for referrer in referrers[:_SHOWN])
        more = f" and {len(referrers) - _SHOWN} more" if len(referrers) > _SHOWN else ""
        text = f"is used by {named}{more}; delete those first, or in the same apply"
        yield Problem(str(key), "", "InUse", text)
