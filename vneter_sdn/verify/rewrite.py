# SPDX-License-Identifier: Apache-2.0
"""A change of what bridges hold, that can be made and taken back."""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.model.flow import Flow, FlowKey, Group, GroupAction
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.index import BridgeIndex

GROUPED = tuple(table(name).id for name in ("transit", "path"))
"""Tables whose flows use groups."""


class Rewrite:
    """What changes on bridges."""

    def __init__(
        self,
        changed: Mapping[str, Mapping[FlowKey, Flow | None]],
        groups: Mapping[str, Mapping[int, Group | None]],
    ) -> None:
        self.changed = changed
        self.groups = groups

    def flows(self, indexes: Mapping[str, BridgeIndex]) -> list[tuple[str, Flow]]:
        """What is at the places now, and what refers to the groups."""
        found = [
            (host, flow)
            for host, held in self.changed.items()
            for key in held
            if (flow := indexes[host].at(key)) is not None
        ]
        for host, numbers in self.groups.items():
            for table_number in GROUPED:
                for flow in indexes[host].flows(table_number):
                    used = {a.group for a in flow.actions if isinstance(a, GroupAction)}
                    if used & numbers.keys():
                        found.append((host, flow))
        return found

    def apply(self, indexes: Mapping[str, BridgeIndex]) -> Rewrite:
        """Make the change; returns the one that takes it back."""
        flows = {
            host: {key: indexes[host].put(key, flow) for key, flow in held.items()}
            for host, held in self.changed.items()
        }
        groups = {host: indexes[host].regroup(held) for host, held in self.groups.items()}
        return Rewrite(flows, groups)
