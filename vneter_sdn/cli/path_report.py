# SPDX-License-Identifier: Apache-2.0
"""Chosen and rejected paths, as JSON and for reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vneter_sdn.cli.rendering import cell
from vneter_sdn.cli.terminal import columns, paint
from vneter_sdn.graph.explain import RunnerUp, Step, steps
from vneter_sdn.graph.objective import terms
from vneter_sdn.graph.path import Path
from vneter_sdn.graph.selection import Refusal, Selection, value
from vneter_sdn.graph.wording import amount
from vneter_sdn.model.path_kinds import PathPolicySpec

Label = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Names:
    """What hosts are called."""

    known_as: Label = str
    """In answers, unique."""
    label: Label = str
    """By people."""


def document(
    ends: tuple[str, str],
    spec: PathPolicySpec,
    found: Selection,
    lost: Sequence[RunnerUp],
    names: Names = Names(),
) -> dict[str, Any]:
    """The answer as JSON; its form is in the help of ``vneterctl path``."""
    weights = terms(spec.objective)
    return {
        "source": names.known_as(ends[0]),
        "target": names.known_as(ends[1]),
        "objective": spec.objective if isinstance(spec.objective, str) else weights,
        "paths": [
            {
                **_path(share.path, spec, names),
                "weight": share.weight,
                "steps": [_step(step, names) for step in steps(share.path, spec)],
            }
            for share in found.shares
        ],
        "backup": _path(found.backup, spec, names) if found.backup else None,
        "rejected": [{**_path(one.path, spec, names), "reason": one.reason} for one in lost],
        "refusal": _refusal(found.refusal, names) if found.refusal else None,
        "shortfall": found.shortfall,
    }


def _path(path: Path, spec: PathPolicySpec, names: Names) -> dict[str, Any]:
    return {
        "nodes": [names.known_as(host) for host in path.hosts],
        "labels": [names.label(host) for host in path.hosts],
        "edges": list(path.route),
        "hops": path.hops,
        "cost": path.cost,
        "latencyMs": path.latency,
        "price": path.price,
        "loss": path.loss,
        "bottleneckMbps": path.bottleneck,
        "mtu": path.mtu,
        "objective": value(path, spec.objective),
    }


def _step(step: Step, names: Names) -> dict[str, Any]:
    edge = step.edge
    return {
        "edge": edge.name,
        "source": names.known_as(edge.source),
        "target": names.known_as(edge.target),
        "cost": edge.cost,
        "latencyMs": edge.latency,
        "price": edge.price,
        "loss": edge.loss,
        "utilisation": edge.utilisation,
        "bottleneckMbps": edge.residual,
        "mtu": edge.mtu,
        "encrypted": edge.encrypted,
        "tags": sorted(edge.tags),
        "risks": sorted(edge.risks),
        "adds": dict(step.adds),
    }


def _refusal(refusal: Refusal, names: Names) -> dict[str, Any]:
    return {
        "constraints": list(refusal.constraints),
        "edges": list(refusal.edges),
        "message": refusal.message,
        "nearest": [
            {
                "constraint": one.constraint,
                "value": one.value,
                "nodes": [names.known_as(host) for host in one.path.hosts],
                "edges": list(one.path.route),
            }
            for one in refusal.nearest
        ],
    }


def told(
    ends: tuple[str, str], spec: PathPolicySpec, found: Selection, lost: Sequence[RunnerUp]
) -> list[str]:
    """The answer for reading."""
    wish = " + ".join(
        word if weight == 1 else f"{weight:g} {word}"
        for word, weight in terms(spec.objective).items()
    )
    lines = [f"from {ends[0]} to {ends[1]}, least {wish}"]
    total = sum(share.weight for share in found.shares)
    for place, share in enumerate(found.shares, start=1):
        portion = f", {share.weight} of {total} shares" if len(found.shares) > 1 else ""
        lines += [
            "",
            paint(f"{place}. {share.path}", "bold") + f": {_sum(share.path, spec)}{portion}",
        ]
        lines += _table(share.path, spec)
    if found.backup:
        lines += ["", paint(f"backup {found.backup}", "bold") + f": {_sum(found.backup, spec)}"]
        lines += _table(found.backup, spec)
    if found.shortfall:
        lines += ["", paint(found.shortfall, "yellow")]
    if lost:
        lines += ["", "not chosen:"]
        lines += [f"  {line}" for line in columns([[str(one.path), one.reason] for one in lost])]
    return lines


def _sum(path: Path, spec: PathPolicySpec) -> str:
    latency = "latency not known" if path.latency is None else f"{amount(path.latency)} ms"
    return (
        f"objective {amount(value(path, spec.objective))}, {path.hops} "
        f"{'hop' if path.hops == 1 else 'hops'}, {latency}"
    )


def _table(path: Path, spec: PathPolicySpec) -> list[str]:
    rows = [["EDGE", "COST", "MS", "LOSS", "MBIT/S", "PRICE", "MTU", "ENCRYPTED", "TAGS", "ADDS"]]
    for step in steps(path, spec):
        edge = step.edge
        numbers = (edge.latency, edge.loss, edge.residual, edge.price, edge.mtu)
        adds = " + ".join(f"{word} {amount(add)}" for word, add in step.adds.items())
        rows.append(
            [
                edge.name,
                str(edge.cost),
                *("-" if number is None else amount(number) for number in numbers),
                "yes" if edge.encrypted else "no",
                cell(sorted(edge.tags)),
                adds,
            ]
        )
    return [f"   {line}" for line in columns(rows)]
