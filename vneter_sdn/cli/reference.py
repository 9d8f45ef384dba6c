# SPDX-License-Identifier: Apache-2.0
"""The reference page's parts, as Markdown, from the code they describe."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from vneter_sdn import config
from vneter_sdn.cli.terminal import EXIT_CODES
from vneter_sdn.config import Settings
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.northbound.fields import field_rows
from vneter_sdn.northbound.rest.metrics import METRICS
from vneter_sdn.northbound.routes import ROUTES


def kinds() -> str:
    """Every kind and its fields."""
    metadata = [row for row in field_rows(KINDS["Tenant"]) if row.path.startswith("metadata.")]
    text = ["### Every kind", "", *_fields(metadata)]
    for kind in KINDS.values():
        names = ", ".join(f"`{name}`" for name in (kind.plural, *kind.short))
        belongs = " Belongs to a tenant." if kind.tenanted else ""
        specific = [row for row in field_rows(kind) if row.path.startswith("spec.")]
        text += ["", f"### {kind.name}", "", f"{kind.spec.__doc__} ({names}){belongs}", ""]
        text += _fields(specific)
    return "\n".join(text)


def rest() -> str:
    """Every route."""
    rows = [
        (f"`{route.method}`", f"`{route.path}`", route.summary, _query(route.query))
        for route in ROUTES
    ]
    return _table(("Method", "Path", "What it does", "Query"), rows)


def cli() -> str:
    """Every command with its arguments, and the exit codes."""
    from vneter_sdn.cli.main import NESTED, program

    text: list[str] = []
    for path in ((), *((name,) for name in NESTED)):
        for command in program(*path).commands.values():
            if command.name not in NESTED:
                text += _command(" ".join(("vneterctl", *path)), command)
    codes = _table(("Exit code", "Meaning"), [(str(code), told) for code, told in EXIT_CODES])
    return "\n".join([*text, "### Exit codes", "", codes])


def settings() -> str:
    """Every setting with its default."""
    meanings = dict(_attribute_docs(inspect.getsource(config), "Settings"))
    defaults = Settings()
    rows = [
        (f"`{name}`", f"`{getattr(defaults, name)!r}`", meanings.get(name, ""))
        for name in Settings.__struct_fields__
    ]
    return _table(("Setting", "Default", "Meaning"), rows)


def metrics() -> str:
    """Every metric of the REST server."""
    rows = [
        (f"`{name}`", kind, ", ".join(labels), meaning) for name, kind, labels, meaning in METRICS
    ]
    return _table(("Metric", "Type", "Labels", "Meaning"), rows)


def _fields(rows: Sequence[Any]) -> list[str]:
    cells = [(f"`{row.path}`", row.type, row.default, row.description) for row in rows]
    return _table(("Field", "Type", "Default", "Meaning"), cells).split("\n")


def _query(query: Sequence[Any]) -> str:
    return ", ".join(f"`{parameter.name}`" for parameter in query)


def _flags(option: Any) -> list[str]:
    """What it is called; of one that is on, how to turn it off, too."""
    return [*option.opts, *(option.secondary_opts if option.default is True else ())]


def _command(program: str, command: Any) -> list[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(_placeholder(one) for one in arguments)
    told = " ".join((command.help or "").replace("\b", "").split())
    text = [f"### `{program} {command.name}{' ' + usage if usage else ''}`", "", told, ""]
    options = [
        (", ".join(f"`{flag}`" for flag in _flags(one)), _default(one), _meaning(one))
        for one in command.params
        if one.param_type_name == "option" and one.name != "help"
    ]
    return [*text, _table(("Option", "Default", "Meaning"), options), ""] if options else text


def _placeholder(argument: Any) -> str:
    name = argument.name.rstrip("_").upper()
    return name if argument.required else f"[{name}]"


def _meaning(option: Any) -> str:
    told = option.help or ""
    return f"{told} Environment: `{option.envvar}`." if option.envvar else told


def _default(option: Any) -> str:
    if option.required:
        return "required"
    value = option.default
    if value is None or value is False or value in ("", [], ()):
        return ""
    return "" if callable(value) else f"`{value}`"


def _attribute_docs(source: str, name: str) -> Iterator[tuple[str, str]]:
    """The string below each annotated attribute of a class."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef) or node.name != name:
            continue
        for one, following in zip(node.body, node.body[1:], strict=False):
            if isinstance(one, ast.AnnAssign) and isinstance(following, ast.Expr):
                yield ast.unparse(one.target), " ".join(ast.literal_eval(following.value).split())


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|").replace("\n", " ")
