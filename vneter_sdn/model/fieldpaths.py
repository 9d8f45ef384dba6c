# SPDX-License-Identifier: Apache-2.0
r"""Paths of fields, as problems name them: ``spec.prefixes[0]``, ``metadata.labels["app.io/x"]``.

A name that would be read otherwise (with dots or brackets in it, or without any character) stands
in brackets, as JSON writes it; so every path leads to one place only.
"""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[^.\[\]\"\\\x00-\x20]([^.\[\]\"\\\x00-\x1f]*[^.\[\]\"\\\x00-\x20])?")
_STEP = re.compile(r"""\[("(?:[^"\\]|\\.)*")\]|\[([^\]"]*)\]|\.?([^.\[]+)""", re.DOTALL)


def below(path: str, name: str) -> str:
    """The path of a member of the object at a path; the empty path is the whole.

    >>> below("metadata.labels", "app"), below("metadata.labels", "app.io/x")
    ('metadata.labels.app', 'metadata.labels["app.io/x"]')
    """
    if _PLAIN.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{json.dumps(name)}]"


def above(path: str) -> str:
    """The path of what holds the field at a path; that of the whole is empty.

    >>> above('metadata.labels["app.io/x"]'), above("spec.prefixes[0]"), above("spec")
    ('metadata.labels', 'spec.prefixes', '')
    """
    last = None
    for last in _STEP.finditer(path):  # noqa: B007 -- the last one is what is asked for
        pass
    return path[: last.start()] if last else ""


def pointer(path: str) -> str:
    """The same as a JSON pointer (RFC 6901).

    >>> pointer("spec.prefixes[0]"), pointer('metadata.labels["app.io/x"]')
    ('/spec/prefixes/0', '/metadata/labels/app.io~1x')
    """
    steps = (_step(found) for found in _STEP.finditer(path))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _step(found: re.Match[str]) -> str:
    quoted, bracketed, plain = found.groups()
    if quoted is not None:
        try:
            return str(json.loads(quoted))
        except ValueError:  # nothing that `below` wrote
            return quoted[1:-1]
    return bracketed if bracketed is not None else plain
