# SPDX-License-Identifier: Apache-2.0
"""Objects as tables, JSON, YAML, names, and prose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vneter_sdn.cli.output import Form, ordered, structured
from vneter_sdn.cli.terminal import columns, paint, plain
from vneter_sdn.model.kinds import API_VERSION, Kind
from vneter_sdn.northbound.conditions import condition_of

Manifest = Mapping[str, Any]


def render(kind: Kind, items: Sequence[Manifest], how: Form, *, single: bool = False) -> str:
    """Objects of one kind as `output.Form` says; ``single`` has no list around the one it is."""
    items = ordered(items, how.sort_by)
    if how.name == "name":
        return "\n".join(f"{kind.name.lower()}/{path_of(item)}" for item in items)
    if not how.for_people:
        listed = {"apiVersion": API_VERSION, "kind": f"{kind.name}List", "items": items}
        return structured(items[0] if single else listed, how)
    return "\n".join(table(kind, items, wide=how.name == "wide", headers=how.headers))


def table(
    kind: Kind, items: Sequence[Manifest], *, wide: bool = False, headers: bool = True
) -> list[str]:
    """Lines of a table with the columns its kind declares."""
    if not items:
        return [f"there are no {kind.plural}"] if headers else []
    rows = [heading(kind, wide=wide), *(row(kind, item, wide=wide) for item in items)]
    return columns(rows)[0 if headers else 1 :]


def heading(kind: Kind, *, wide: bool = False) -> list[str]:
    """The columns of a kind."""
    chosen = (*kind.columns, *(kind.wide if wide else ()))
    tenant = ["TENANT"] if kind.tenanted else []
    last = ["READY", "AGE", *(["REASON"] if wide else [])]
    return [*tenant, "NAME", *(heading for heading, _ in chosen), *last]


def row(kind: Kind, item: Manifest, *, wide: bool = False) -> list[str]:
    """What an object has in them."""
    metadata = item["metadata"]
    ready = condition_of(item, "Ready") or {}
    chosen = (*kind.columns, *(kind.wide if wide else ()))
    return [
        *([metadata.get("tenant", "")] if kind.tenanted else []),
        metadata["name"],
        *(cell(value_at(item, path)) for _, path in chosen),
        ready.get("status", "-"),
        age(metadata.get("created", "")),
        *([ready.get("reason", "-")] if wide else []),
    ]


def value_at(item: Any, path: str) -> Any:
    """The value at ``status.vni`` of an object; None when there is none."""
    for step in path.split("."):
        item = item.get(step) if isinstance(item, Mapping) else None
    return item


def cell(value: Any) -> str:
    """A value in one cell; ``-`` when there is none."""
    if isinstance(value, list):
        return ",".join(cell(one) for one in value) or "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{name}={cell(one)}" for name, one in value.items()) or "-"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return "-" if value is None or value == "" else plain(str(value))


def age(created: str, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was: ``42s``, ``3m``, ``5h``, ``12d``."""
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return "-"
    passed = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if passed >= 2 * length:
            return f"{passed // length}{unit}"
    return f"{passed}s"


def path_of(item: Manifest) -> str:
    """``red/web`` or ``h1``."""
    metadata = item["metadata"]
    tenant = metadata.get("tenant")
    return f"{tenant}/{metadata['name']}" if tenant else str(metadata["name"])


def prose(item: Manifest) -> str:
    """One object for reading: what was asked, what is, and what its conditions say."""
    metadata = item["metadata"]
    lines = [paint(f"{item['kind']} {path_of(item)}", "bold")]
    lines += [
        f"  {name}: {cell(metadata[name])}"
        for name in ("labels", "annotations", "uid")
        if metadata.get(name)
    ]
    if metadata.get("created"):
        lines.append(f"  created: {metadata['created']} ({age(metadata['created'])} ago)")
    lines.append(
        f"  last changed in revision {metadata['revision']}"
        if metadata.get("revision")
        else "  found, not declared: what it could be declared as is below"
    )
    lines += ["", "Asked for:", *_nested(item["spec"])]
    status = dict(item.get("status", {}))
    conditions = status.pop("conditions", ())
    observed = status.pop("observedRevision", None)
    lines += ["", "State:", *(_nested(status) or ["  nothing is known yet"])]
    lines += ["", "Conditions:", *(_sentence(one) for one in conditions)]
    if observed is not None and observed < metadata.get("revision", 0):
        lines.append(f"  The controller has reported on revision {observed} so far.")
    return "\n".join(lines)


def _sentence(condition: Mapping[str, Any]) -> str:
    status = {"True": "yes", "False": "no"}.get(condition["status"], "not known")
    colour = {"yes": "green", "no": "red"}.get(status, "yellow")
    since = f" for {age(condition['changed'])}" if condition.get("changed") else ""
    message = f": {plain(condition['message'])}" if condition.get("message") else ""
    return f"  {condition['type']}: {paint(status, colour)} ({condition['reason']}){since}{message}"


def _nested(value: Mapping[str, Any], indent: str = "  ") -> list[str]:
    return [line for name, one in value.items() for line in _entry(name, one, indent)]


def _entry(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) for v in value.values()):
        yield f"{indent}{name}:"
        yield from (f"{indent}  {line}" for line in _rows(value))
    elif isinstance(value, Mapping) and value:
        yield f"{indent}{name}:"
        yield from _nested(value, indent + "  ")
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        yield f"{indent}{name}:"
        yield from (f"{indent}  {cell(one)}" for one in value)
    elif value not in (None, "", [], {}):
        yield f"{indent}{name}: {cell(value)}"


def _rows(named: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Things by name as a table: what they say of themselves first, their names last."""
    fields = list(dict.fromkeys(field for one in named.values() for field in one))
    rows = [[*(field.upper() for field in fields), "NAME"]]
    rows += [[*(cell(one.get(field)) for field in fields), name] for name, one in named.items()]
    return columns([rows[0], *sorted(rows[1:])])
