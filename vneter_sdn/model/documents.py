# SPDX-License-Identifier: Apache-2.0
"""Files of documents: several of YAML, or one of JSON, read strictly.

Scalars are those of YAML 1.2's core schema, so that ``10:20:30:40:50:11`` is an address and
``no`` is a word, not the number and the boolean that YAML 1.1 makes of them. Only maps,
lists, text, numbers, booleans and null are read; a key may stand once in a map; aliases are
expanded up to a bound, so that a small file cannot become a large value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model import jsontext
from vneter_sdn.model.fieldpaths import above, below

MAX_NODES = 1_000_000
"""Values in one document, aliases expanded."""

_NULL = re.compile(r"~|null|Null|NULL|\Z")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_STANDARD = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """One document as read, and where each of its fields stands."""

    value: Any
    source: str
    """Name of the file, ``-`` for standard input."""
    number: int
    """Which document of the file, from 1."""
    lines: dict[str, int] = field(default_factory=dict)
    """Line of each field by path (``spec.prefixes[0]``), from 1; the empty path is the whole."""

    @property
    def origin(self) -> str:
        """``net.yaml document 2``."""
        return f"{self.source} document {self.number}"

    def place(self, path: str) -> str:
        """``net.yaml:7``: the line of a field, or of the nearest one that holds it."""
        while path and path not in self.lines:
            path = above(path)
        return f"{self.source}:{self.lines.get(path, 1)}"


def items_of(value: Any) -> list[Any] | None:
    """What a ``List`` stands for, or one of one kind (``PodList``); None when a value is no list.

    A list of one kind may say once, for all its items, what these are: so the API server of
    Kubernetes answers (``kubectl get --raw``), with null for no items.
    """
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        return None
    items = value["items"]
    if not isinstance(items, list | tuple | None):
        return None
    said = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
    usual = {key: word for key, word in said.items() if word}
    return [
        {**usual, **one}
        if len(usual) == len(said) and isinstance(one, Mapping) and not one.keys() & said.keys()
        else one
        for one in items or ()
    ]


def read_bytes(data: bytes, source: str) -> list[Document]:
    """Every document of one file; empty ones are skipped.

    Raises:
        IntentError: the first fault, with its document and line.
    """
    if len(data) > jsontext.MAX_BYTES:
        message = f"larger than {jsontext.MAX_BYTES} bytes"
        raise IntentError(Problem(source, "", "TooLarge", message))
    if source.endswith(".json"):
        return [Document(jsontext.parse(data, source), source, 1)]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"line {line}: not UTF-8 at byte {error.start}: {error.reason}"
        raise IntentError(Problem(source, "", "InvalidEncoding", message)) from None
    return list(_documents(text, source))


def _documents(text: str, source: str) -> Iterator[Document]:
    number = 0
    reader: _Reader | None = None
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.DocumentStartEvent):
                number, reader = number + 1, _Reader()
            elif isinstance(event, yaml.DocumentEndEvent) and reader is not None:
                if reader.root is not None:
                    yield Document(reader.root, source, number, reader.lines)
                reader = None
            elif reader is not None:
                reader.feed(event)
    except yaml.YAMLError as error:
        message = f"document {max(number, 1)}, {_fault(error, text)}"
        raise IntentError(Problem(source, "", "MalformedYaml", message)) from None
    except _Refused as error:
        message = f"document {number}, line {error.line}: {error}"
        raise IntentError(Problem(source, error.path, error.reason, message)) from None


def _fault(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None:
        return str(what)
    lines = text.splitlines()
    if mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        what = "a tab; YAML is indented with spaces"
    return f"line {mark.line + 1} column {mark.column + 1}: {what}"


class _Refused(ValueError):
    def __init__(self, reason: str, message: str, line: int, path: str = "") -> None:
        super().__init__(message)
        self.reason, self.line, self.path = reason, line, path


@dataclass(slots=True)
class _Level:
    """A map or list being read."""

    value: Any
    path: str
    line: int
    anchor: str | None
    nodes: int = 1
    key: str | None = None


class _Reader:
    """Builds the value of one document from YAML events, without recursion."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[str, int] = {}
        self._levels: list[_Level] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def feed(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                message = f"the alias *{event.anchor} has no finished value to stand for"
                raise _Refused("InvalidAlias", message, line)
            self._add(*self._anchors[event.anchor], line)
        else:
            value = _scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = (value, 1)
            self._add(value, 1, line)

    def _open(self, event: Any, line: int) -> None:
        if len(self._levels) >= jsontext.DEPTH:
            raise _Refused("TooDeep", f"nested deeper than {jsontext.DEPTH} levels", line)
        mapping = isinstance(event, yaml.MappingStartEvent)
        wanted = "map" if mapping else "seq"
        if event.tag not in {None, "!", _STANDARD + wanted}:
            raise _Refused("UnknownTag", f"the tag {event.tag} is not read", line)
        if self._levels and isinstance(self._levels[-1].value, dict) and not self._levels[-1].key:
            text = "a key must be text; if this is a template, {{ .. }}, render it first"
            raise _Refused("WrongType", text, line, self._levels[-1].path)
        path = self._path()
        self.lines.setdefault(path, line)
        self._levels.append(_Level({} if mapping else [], path, line, event.anchor))

    def _close(self) -> None:
        level = self._levels.pop()
        if level.anchor:
            self._anchors[level.anchor] = (level.value, level.nodes)
        self._add(level.value, level.nodes, level.line)

    def _path(self) -> str:
        if not self._levels:
            return ""
        level = self._levels[-1]
        if isinstance(level.value, list):
            return f"{level.path}[{len(level.value)}]"
        return below(level.path, str(level.key))

    def _add(self, value: Any, nodes: int, line: int) -> None:
        if not self._levels:
            self.root = value
            self.lines.setdefault("", line)
            return
        level = self._levels[-1]
        if isinstance(level.value, dict) and level.key is None:
            level.key = self._key(level, value, line)
            self.lines.setdefault(self._path(), line)
            return
        self.lines.setdefault(self._path(), line)
        level.nodes += nodes
        if level.nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values in one document, aliases expanded"
            raise _Refused("TooLarge", message, line, level.path)
        if isinstance(level.value, list):
            level.value.append(value)
        else:
            level.value[level.key] = value
            level.key = None

    def _key(self, level: _Level, value: Any, line: int) -> str:
        if not isinstance(value, str) or not value:
            message = f"a key must be text, not {value!r}; quote it"
            raise _Refused("WrongType", message, line, level.path)
        if value in level.value:
            path = below(level.path, value)
            raise _Refused("DuplicateKey", f"the key {value!r} is given twice", line, path)
        return value


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    if event.tag in {"!", _STANDARD + "str"} or (event.tag is None and not event.implicit[0]):
        return text
    if event.tag is not None:
        raise _Refused("UnknownTag", f"the tag {event.tag} is not read; quote the text", line)
    value = _plain(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise _Refused("InvalidNumber", f"the number {text[:40]} is too large", line)
    return value


def _plain(text: str) -> Any:
    """What a plain scalar means in YAML 1.2's core schema."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Strict:
    """What both dumpers have of ours."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self: Any, text: str) -> Any:
        return self.represent_scalar(_STANDARD + "str", text, style=_style(text))


class _Slow(_Strict, yaml.SafeDumper):  # type: ignore[misc]
    pass


class _Quick(_Strict, getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """By libyaml, where PyYAML has it: a quarter of the time."""


@lru_cache(4096)
def _style(text: str) -> str | None:
    # PyYAML leaves plain what YAML 1.1 reads as text; 1.2 reads some of that as numbers.
    style = None if _plain(text) == text else "'"
    return style if text.replace("\n", "").isprintable() else '"'


for _one in (_Slow, _Quick):
    _one.add_representer(str, _one.represent_text)


def write(value: Any) -> str:
    """A value as YAML that `read_bytes` and any other reader understand alike."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list) or not items:
        return _written(value)
    # One by one: all nodes of 10,000 objects at once take 300 MB.
    lines: list[str] = []
    for key, held in value.items():
        if key == "items":
            lines += ["items:\n", *(_written([item]) for item in held)]
        else:
            lines.append(_written({key: held}))
    return "".join(lines)


def _written(value: Any) -> str:
    text = _dumped(value, _Quick)
    # libyaml escapes what is beyond 16 bits, which people can read as well as we.
    return _dumped(value, _Slow) if "\\U" in text else text


def _dumped(value: Any, dumper: type[_Strict]) -> str:
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
