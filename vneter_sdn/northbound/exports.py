# SPDX-License-Identifier: Apache-2.0
"""A whole snapshot as JSON, and back: what ``GET /v1/snapshot`` answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vneter_sdn.model.snapshot import Allocation, Binding, Condition, Key, Snapshot, Status
from vneter_sdn.northbound.resources import manifest_of, object_of, reference


def export(snapshot: Snapshot) -> dict[str, Any]:
    """Every object, allocation, binding and status, as plain JSON values."""
    return {
        "revision": snapshot.revision,
        "objects": [manifest_of(stored) for stored in snapshot.objects.values()],
        "allocations": [asdict(allocation) for allocation in snapshot.allocations.values()],
        "bindings": [
            {
                "endpoint": reference(binding.endpoint),
                "host": binding.host,
                "interface": binding.interface,
                "ofport": binding.ofport,
                "sequence": binding.sequence,
            }
            for binding in snapshot.bindings.values()
        ],
        "statuses": [_status_values(status) for status in snapshot.statuses.values()],
    }


def snapshot_from(document: Mapping[str, Any]) -> Snapshot:
    """The snapshot that `export` wrote; its inverse.

    Raises:
        KeyError, TypeError, msgspec.ValidationError: it is not such a document.
    """
    objects = [object_of(manifest) for manifest in document["objects"]]
    allocations = [Allocation(**values) for values in document["allocations"]]
    bindings = [
        Binding(**{**values, "endpoint": _key(values["endpoint"])})
        for values in document["bindings"]
    ]
    statuses = [_status(values) for values in document["statuses"]]
    return Snapshot(
        revision=document["revision"],
        objects={stored.key: stored for stored in objects},
        allocations={(one.pool, one.value): one for one in allocations},
        bindings={binding.endpoint: binding for binding in bindings},
        statuses={status.key: status for status in statuses},
    )


def _key(values: Mapping[str, str]) -> Key:
    return Key(values["kind"], values.get("tenant", ""), values["name"])


def _status_values(status: Status) -> dict[str, Any]:
    return {
        "object": reference(status.key),
        "observedRevision": status.observed_revision,
        "conditions": [asdict(condition) for condition in status.conditions],
        "details": dict(status.details),
    }


def _status(values: Mapping[str, Any]) -> Status:
    return Status(
        key=_key(values["object"]),
        observed_revision=values["observedRevision"],
        conditions=tuple(Condition(**condition) for condition in values["conditions"]),
        details=values["details"],
    )
