# SPDX-License-Identifier: Apache-2.0
"""What a compiled fleet should hold, as files: text for people and ovs-ofctl, JSON for programs.

Admission is a sibling of this layer, so from manifests to files goes `vneter_sdn.daemon.offline`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from vneter_sdn.compile.network import Compiler
from vneter_sdn.model.flow import BridgeState, Flow
from vneter_sdn.model.rows import HostRows
from vneter_sdn.pipeline.priorities import MISS
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.pipeline.text import (
    actions_text,
    flow_text,
    group_text,
    match_words,
    meter_text,
)


@dataclass(frozen=True, slots=True)
class BridgeFiles:
    """One bridge and its host, as text."""

    named: str
    """Flows with tables by name, and comments that say what each is for."""
    numeric: str
    """The same flows with tables by number, as ``ovs-ofctl add-flows`` takes them."""
    groups: str
    meters: str
    json: str
    """Flows, groups and meters."""
    rows: str
    """OVSDB rows, JSON."""

    def files(self, host: str) -> dict[str, str]:
        """By file name; ``groups`` and ``meters`` are left out when there are none."""
        found = {
            f"{host}.flows": self.named,
            f"{host}.numeric.flows": self.numeric,
            f"{host}.groups": self.groups,
            f"{host}.meters": self.meters,
            f"{host}.json": self.json,
            f"{host}.rows": self.rows,
        }
        return {name: text for name, text in found.items() if text}


def render(compiler: Compiler, host: str) -> BridgeFiles:
    """What one host should hold."""
    state, rows = compiler.bridge(host), compiler.rows(host)
    flows = in_order(state.flows.values())
    return BridgeFiles(
        named="".join(f"{line}\n" for line in _commented(compiler, host, flows)),
        numeric="".join(f"{flow_text(flow)}\n" for flow in flows),
        groups="".join(f"{group_text(g)}\n" for _, g in sorted(state.groups.items())),
        meters="".join(f"{meter_text(m)}\n" for _, m in sorted(state.meters.items())),
        json=_json(_state_values(state)),
        rows=_json(rows_values(rows)),
    )


def in_order(flows: Iterable[Flow]) -> list[Flow]:
    """By table, then as packets meet them."""
    return sorted(flows, key=lambda flow: (flow.table, -flow.priority, flow.match))


def _commented(compiler: Compiler, host: str, flows: list[Flow]) -> Iterator[str]:
    """Within a table, flows stay together with those of their unit, units in order of name."""
    owners = {flow: compiler.unit(host, flow.key) for flow in flows}
    table, unit = None, None
    for flow in sorted(flows, key=lambda f: (f.table, f.priority == MISS, owners[f] or ())):
        if flow.table != table:
            table, unit = flow.table, None
            contract = BY_ID[table].contract
            heading = f"#### {table} {contract.name}: {contract.purpose}"
            yield f"\n{heading}" if table else heading
        if owners[flow] != unit:
            unit = owners[flow]
            yield f"# {unit.name.partition('/')[0]} · {unit.subject}" if unit else "#"
        yield flow_text(flow, named=True)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _state_values(state: BridgeState) -> dict[str, Any]:
    flows = [
        {
            "table": BY_ID[flow.table].name,
            "table_id": flow.table,
            "priority": flow.priority,
            "cookie": f"{flow.cookie:#x}",
            "match": ",".join(match_words(flow.match)),
            "actions": actions_text(flow.actions, flow.goto, named=True),
        }
        for flow in in_order(state.flows.values())
    ]
    groups = [group_text(group) for _, group in sorted(state.groups.items())]
    meters = [asdict(meter) for _, meter in sorted(state.meters.items())]
    return {"flows": flows, "groups": groups, "meters": meters}


def rows_values(rows: HostRows) -> dict[str, Any]:
    """OVSDB rows as JSON values; table names by number, unused numbers left out."""
    names = {str(number): name for number, name in enumerate(rows.table_names) if name}
    return asdict(rows) | {
        "dpid": f"{rows.dpid:016x}",
        "tunnels": [asdict(tunnel) for tunnel in rows.tunnels],
        "table_names": names,
    }
