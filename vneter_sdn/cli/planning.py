# SPDX-License-Identifier: Apache-2.0
"""``vneterctl plan``: what a change would do, bridge by bridge and pair by pair."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from vneter_sdn.cli.output import TEXT, form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, paint
from vneter_sdn.cli.trying import (
    Asked,
    bench_of,
    change_lines,
    change_values,
    counted,
    names_of,
    taken,
)

if TYPE_CHECKING:
    from vneter_sdn.daemon.changing import BridgeChange, Step
    from vneter_sdn.model.rows import HostRows
    from vneter_sdn.verify.reach import Change

_PARTS = ("flows", "groups", "meters")
_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


class Told(NamedTuple):
    """What to tell, and how."""

    form: str = "text"
    verbose: bool = False
    reach: bool = True
    exit_code: bool = False


def plan(asked: Asked, told: Told) -> None:
    """Print what a change would do.

    Raises:
        Usage: there is no such format.
        IntentError, Conflict, NotFound: the change, or what is there, is not acceptable.
        Answer: something would change, and the exit code is to say so.
    """
    how = form(told.form, TEXT)
    began = time.perf_counter()
    change: Change | None = None
    with patience("working out what it would change"):
        bench = bench_of(asked)
        if told.reach:
            from vneter_sdn.daemon.verifying import Prover

            prover = Prover(bench)
            step = taken(bench, asked)
            change = prover.take(step, ("assertions",)).verdict.change
        else:
            step = taken(bench, asked)
    took = round(time.perf_counter() - began, 4)
    if not how.for_people:
        print(structured(values(step, change, took), how))
    else:
        for note in step.notes:
            print(f"note: {note}", file=sys.stderr)
        print("\n".join(lines(step, change, verbose=told.verbose)))
    if told.exit_code and (step.bridges or any(step.objects.values())):
        raise Answer(REFUSED)


def _texts(part: str) -> Callable[[Any], str]:
    from vneter_sdn.pipeline.text import flow_text, group_text, meter_text

    if part == "flows":
        return lambda flow: flow_text(flow, named=True)
    return group_text if part == "groups" else meter_text


def parts_of(change: BridgeChange) -> dict[str, dict[str, list[Any]]]:
    """By what it is: what is added, changed (before and after) and removed, as text."""
    found: dict[str, dict[str, list[Any]]] = {}
    for part in _PARTS:
        text = _texts(part)
        sorted_out: dict[str, list[Any]] = {word: [] for word in _SIGNS}
        for before, after in getattr(change, part).values():
            if before is None:
                sorted_out["added"].append(text(after))
            elif after is None:
                sorted_out["removed"].append(text(before))
            else:
                sorted_out["changed"].append([text(before), text(after)])
        found[part] = {word: sorted(some) for word, some in sorted_out.items()}
    return found


def row_changes(change: BridgeChange) -> dict[str, list[Any]]:
    """What changes in the host's OVSDB, by field: before and after."""
    before, after = (_row_values(rows) for rows in change.rows)
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def _row_values(rows: HostRows | None) -> Mapping[str, Any]:
    if rows is None:
        return {}
    found = asdict(rows)
    found["tunnels"] = sorted((asdict(t) for t in rows.tunnels), key=repr)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def values(step: Step, change: Change | None, took: float) -> dict[str, Any]:
    """The plan as plain values."""
    bridges: dict[str, Any] = {}
    totals = {part: dict.fromkeys(_SIGNS, 0) for part in _PARTS} | {"rows": {"changed": 0}}
    for host, one in step.bridges.items():
        parts = parts_of(one)
        rows = row_changes(one)
        bridges[host] = {**parts, "rows": rows}
        for part, words in parts.items():
            for word, some in words.items():
                totals[part][word] += len(some)
        totals["rows"]["changed"] += len(rows)
    objects = {word: [str(key) for key in keys] for word, keys in step.objects.items()}
    found: dict[str, Any] = {"objects": objects, "bridges": bridges, "totals": totals}
    if change is not None:
        names = {**names_of(step.before), **names_of(step.after)}
        found["reachability"] = change_values(change, names)
    return {**found, "seconds": took}


def lines(step: Step, change: Change | None, *, verbose: bool) -> Iterator[str]:
    """The plan for people."""
    for word, keys in step.objects.items():
        sign, colour = {"created": "+", "updated": "~", "deleted": "-"}[word], _COLOURS[word]
        yield from (paint(f"{sign} {key}", colour) for key in keys)
    totals = {part: dict.fromkeys(_SIGNS, 0) for part in _PARTS}
    for host, one in step.bridges.items():
        parts, rows = parts_of(one), row_changes(one)
        for part, words in parts.items():
            for word, some in words.items():
                totals[part][word] += len(some)
        told = [_summary(part, words) for part, words in parts.items() if any(words.values())]
        told += [f"rows: {', '.join(rows)}"] if rows else []
        yield f"{host}: {'; '.join(told)}"
        if verbose:
            yield from _details(parts, rows)
    if step.bridges:
        whole = [_summary(part, words, counts=True) for part, words in totals.items()]
        told = [text for text in whole if text]
        yield f"on {counted(len(step.bridges), 'bridge')}: {'; '.join(told) or 'rows only'}"
    else:
        yield "no bridge changes"
    if change is not None:
        yield from change_lines(change, step, everything=verbose)


_COLOURS = {"created": "green", "updated": "yellow", "deleted": "red"}


def _summary(part: str, words: Mapping[str, Any], *, counts: bool = False) -> str:
    numbers = {word: some if counts else len(some) for word, some in words.items()}
    told = [f"{_SIGNS[word][0]}{number}" for word, number in numbers.items() if number]
    return f"{part} {' '.join(told)}" if told else ""


def _details(
    parts: Mapping[str, Mapping[str, list[Any]]], rows: Mapping[str, list[Any]]
) -> Iterator[str]:
    for words in parts.values():
        for word, some in words.items():
            sign, colour = _SIGNS[word]
            for one in some:
                if word == "changed":
                    yield paint(f"  - {one[0]}", "red")
                    yield paint(f"  + {one[1]}", "green")
                else:
                    yield paint(f"  {sign} {one}", colour)
    for name, (before, after) in rows.items():
        yield f"  {name}: {before} > {after}"
