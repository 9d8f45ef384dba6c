# SPDX-License-Identifier: Apache-2.0
"""A small world to admit things into: manifests in, snapshots out, a clock that tests move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from vneter_sdn.admission.admit import Admission, admit, sweep
from vneter_sdn.admission.advance import carried_out
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.admission.status import status_of
from vneter_sdn.errors import IntentError
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key, Snapshot

TENANTED = {"Network", "Endpoint", "Namespace", "Group", "Policy"}


@dataclass(frozen=True)
class Edit:
    verb: str
    key: Key
    manifest: Mapping[str, Any] | None = None
    origin: str = ""
    revision: int | None = None


class World:
    """Shorthand: ``world.apply(world.endpoint("e1", network="web"))``."""

    def __init__(self) -> None:
        self.snapshot: Snapshot = indexed(Snapshot())
        self.now = 1000.0

    def manifest(self, kind: str, name: str, tenant: str = "red", **spec: Any) -> dict[str, Any]:
        metadata = {"name": name} | ({"tenant": tenant} if kind in TENANTED else {})
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def edit(self, kind: str, name: str, tenant: str = "red", **spec: Any) -> Edit:
        key = self.key(kind, name, tenant)
        return Edit("apply", key, self.manifest(kind, name, tenant, **spec))

    def key(self, kind: str, name: str, tenant: str = "red") -> Key:
        return Key(kind, tenant if kind in TENANTED else "", name)

    def tenant(self, name: str = "red") -> Edit:
        return self.edit("Tenant", name)

    def network(self, name: str = "web", tenant: str = "red", **spec: Any) -> Edit:
        return self.edit("Network", name, tenant, **{"prefixes": ["10.0.0.0/24"], **spec})

    def endpoint(self, name: str, network: str = "web", tenant: str = "red", **spec: Any) -> Edit:
        return self.edit("Endpoint", name, tenant, network=network, **spec)

    def host(self, name: str, **spec: Any) -> Edit:
        return self.edit("Host", name, **{"ovsdb": f"unix:/run/{name}.sock", **spec})

    def delete(self, kind: str, name: str, tenant: str = "red") -> Edit:
        return Edit("delete", self.key(kind, name, tenant))

    def apply(self, *edits: Edit) -> Admission:
        admission = admit(self.snapshot, edits, self.now)
        self.snapshot, _ = carried_out(self.snapshot, admission)
        return admission

    def sweep(self) -> Admission:
        admission = sweep(self.snapshot, self.now)
        self.snapshot, _ = carried_out(self.snapshot, admission)
        return admission

    def refused(self, *edits: Edit) -> set[tuple[str, str]]:
        """The (field, reason) pairs an apply is refused with; nothing may have changed."""
        before = self.snapshot
        with pytest.raises(IntentError) as caught:
            self.apply(*edits)
        assert self.snapshot is before
        assert all(problem.object and problem.message for problem in caught.value.problems)
        return {(problem.field, problem.reason) for problem in caught.value.problems}

    def status(self, kind: str, name: str, tenant: str = "red") -> dict[str, Any]:
        return status_of(self.snapshot, self.key(kind, name, tenant))

    def condition(self, kind: str, name: str, type_: str) -> tuple[str, str]:
        conditions = self.status(kind, name)["conditions"]
        return next((c["status"], c["reason"]) for c in conditions if c["type"] == type_)


@pytest.fixture
def world() -> World:
    """A tenant red with a network web, 10.0.0.0/24."""
    world = World()
    world.apply(world.tenant(), world.network())
    return world


@pytest.fixture
def empty() -> World:
    """Nothing yet."""
    return World()
