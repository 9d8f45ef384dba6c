# SPDX-License-Identifier: Apache-2.0
"""``-o``: how commands that read print what they read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from vneter_sdn.cli.terminal import Usage, harmless

OBJECTS = ("table", "wide", "json", "yaml", "name", "jsonpath")
VALUES = ("table", "json", "yaml", "jsonpath")
NAMED = ("table", "json", "yaml", "name", "jsonpath")
TEXT = ("text", "json", "yaml", "jsonpath")
DONE = ("text", "json", "yaml", "name", "jsonpath")


class Form(NamedTuple):
    """One way to print."""

    name: str = "table"
    template: Any = None
    """For ``jsonpath``: a `jsonpath.Template`."""
    headers: bool = True
    sort_by: str = ""

    @property
    def for_people(self) -> bool:
        """Whether it is a table, or text."""
        return self.name in {"table", "wide", "text"}


def form(
    text: str, known: Sequence[str] = OBJECTS, *, no_headers: bool = False, sort_by: str = ""
) -> Form:
    """What ``-o`` asks for.

    Raises:
        Usage: there is no such format, or its template is malformed.
    """
    name, equals, rest = text.partition("=")
    if name not in known or bool(equals) != (name == "jsonpath"):
        names = [f"{one}=TEMPLATE" if one == "jsonpath" else one for one in known]
        raise Usage(f"no output format {text!r}", f"it is one of {', '.join(names)}")
    if sort_by:
        _path(sort_by.removeprefix("-"))
    if name != "jsonpath":
        return Form(name, None, not no_headers, sort_by)
    from vneter_sdn.cli.jsonpath import Malformed, Template

    try:
        return Form(name, Template(rest), not no_headers, sort_by)
    except Malformed as error:
        hint = "-o jsonpath='{.items[*].metadata.name}', -o jsonpath='{.spec.vni}'"
        raise Usage(str(error), hint) from None


def structured(value: Any, how: Form | str) -> str:
    """A value as JSON, as YAML, or what a template says of it."""
    return harmless(_structured(value, Form(how) if isinstance(how, str) else how))


def _structured(value: Any, how: Form) -> str:
    if how.name == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    if how.name == "jsonpath":
        return str(how.template.render(value))
    from vneter_sdn.northbound.manifests import write

    return write(value).rstrip("\n")


def streamed(value: Any, how: Form) -> str:
    """One of many values that are told as they come, for programs that read on.

    A line of JSON, a document of YAML, or what a template says of it.
    """
    if how.name == "json":
        return harmless(json.dumps(value, ensure_ascii=False))
    return f"---\n{structured(value, how)}" if how.name == "yaml" else structured(value, how)


def ordered(items: Sequence[Mapping[str, Any]], path: str) -> list[Mapping[str, Any]]:
    """Items by the value at a path, numbers before text; those that have none last."""
    if not path:
        return list(items)
    find = _path(path.removeprefix("-"))
    with_value = [(found[0], item) for item in items if (found := find(item))]
    without = [item for item in items if not find(item)]
    with_value.sort(key=lambda pair: _rank(pair[0]), reverse=path.startswith("-"))
    return [*(item for _, item in with_value), *without]


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        return (1, 0.0, text)
    return (0, float(value), "")


def _path(text: str) -> Callable[[Any], list[Any]]:
    from vneter_sdn.cli.jsonpath import Malformed, select

    try:
        return select(text.strip("{}"))
    except Malformed as error:
        raise Usage(str(error), "write --sort-by spec.vni") from None
