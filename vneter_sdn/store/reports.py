# SPDX-License-Identifier: Apache-2.0
"""Which of the reported bindings and statuses are news."""

from __future__ import annotations

from collections.abc import Sequence

from vneter_sdn.model.snapshot import Binding, Key, Snapshot, Status


def news(
    snapshot: Snapshot,
    bound: Sequence[Binding],
    unbound: Sequence[Key],
    statuses: Sequence[Status],
) -> tuple[dict[Key, Binding | None], dict[Key, Status | None]]:
    """What to write; None removes.

    Older bindings never replace newer ones, and nothing is kept of objects that are gone.
    """
    bindings: dict[Key, Binding | None] = {key: None for key in unbound if key in snapshot.bindings}
    for binding in bound:
        held = bindings.get(binding.endpoint) or snapshot.bindings.get(binding.endpoint)
        newer = held is None or binding.sequence > held.sequence
        if newer and binding.endpoint in snapshot.objects:
            bindings[binding.endpoint] = binding
    changed: dict[Key, Status | None] = {
        status.key: status
        for status in statuses
        if status.key in snapshot.objects and snapshot.statuses.get(status.key) != status
    }
    return bindings, changed
