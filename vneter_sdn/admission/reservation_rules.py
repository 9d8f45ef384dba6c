# SPDX-License-Identifier: Apache-2.0
"""Rules on reservations and demands: two different ends, and a window of time that is one."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.admission.draft import Draft
from vneter_sdn.errors import Problem
from vneter_sdn.model.instants import posix
from vneter_sdn.model.snapshot import Object


def ends_differ(stored: Object, _: Draft) -> Iterator[Problem]:
    """Traffic is between two things. O(1)."""
    if stored.spec.source == stored.spec.target:
        text = f"is the source too, {stored.spec.source!r}; name another"
        yield Problem(str(stored.key), "spec.target", "SameEnds", text)


def window_well_formed(stored: Object, _: Draft) -> Iterator[Problem]:
    """Times are RFC 3339, and the end comes after the start. O(1)."""
    instants = {}
    for field in ("start", "end"):
        text = getattr(stored.spec, field)
        if text is None:
            continue
        try:
            instants[field] = posix(text)
        except (ValueError, OverflowError) as error:
            advice = f"{error}; write it like 2026-12-24T18:00:00Z"
            yield Problem(str(stored.key), f"spec.{field}", "BadTime", advice)
    if len(instants) == 2 and instants["end"] <= instants["start"]:
        text = f"{stored.spec.end} is not after the start, {stored.spec.start}"
        yield Problem(str(stored.key), "spec.end", "EndsBeforeStart", text)
