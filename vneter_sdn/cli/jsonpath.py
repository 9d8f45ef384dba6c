# SPDX-License-Identifier: Apache-2.0
r"""``-o jsonpath=``: the part of Kubernetes' templates that people use.

A template is text with paths in braces: ``{.metadata.name}``, ``{.items[*].spec.vni}``,
``{range .items[*]}{.metadata.name}{"\t"}{.spec.vni}{"\n"}{end}``; without braces, it is one path.
Steps: ``.name``, ``['a.b/c']``, ``[0]``, ``[-1]``, ``[1:3]``, ``[*]``, ``.*``, ``..name``, and
``[?(@.spec.mtu > 1400)]`` with ``== != < <= > >=`` or nothing, to ask whether it is there.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Iterator[Any]]
_NAME = re.compile(r"[A-Za-z_$][-A-Za-z0-9_$]*|\*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_INDEX = re.compile(r"\s*(-?\d{1,9})?\s*(:)?\s*(-?\d{1,9})?\s*\]", re.ASCII)
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_LITERAL = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|true|false|null", re.ASCII)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 64


class Malformed(ValueError):
    """A template cannot be read; says at which character, from 1."""

    def __init__(self, text: str, at: int, message: str) -> None:
        super().__init__(f"{message} at character {at + 1} of {text[:200]!r}")
        self.at = at


@dataclass(frozen=True, slots=True)
class _Text:
    text: str


@dataclass(frozen=True, slots=True)
class _Path:
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Range:
    over: _Path
    body: tuple[Any, ...]


class Template:
    """A template, read."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            Malformed: it is no such template.
        """
        whole = text if "{" in text else f"{{{text}}}"
        self._parts = _Reader(whole).parts()

    def render(self, value: Any) -> str:
        """What it says of a value; parts that are not there say nothing."""
        return "".join(_told(self._parts, value))


def select(text: str) -> Callable[[Any], list[Any]]:
    """One path without braces, as a function that answers all it leads to.

    Raises:
        Malformed: it is no path.
    """
    reader = _Reader(text)
    path = reader.path()
    reader.end()
    return lambda value: _found(path, value)


def _told(parts: Sequence[Any], value: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, _Text):
            yield part.text
        elif isinstance(part, _Path):
            yield " ".join(_word(one) for one in _found(part, value))
        else:
            for one in _found(part.over, value):
                yield from _told(part.body, one)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _found(path: _Path, value: Any) -> list[Any]:
    found = [value]
    for step in path.steps:
        found = [one for before in found for one in step(before)]
    return found


class _Reader:
    """Reads a template from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def parts(self, depth: int = 0) -> tuple[Any, ...]:
        """What there is, up to ``{end}`` or the end."""
        found: list[Any] = []
        while self._at < len(self._text):
            opening = self._text.find("{", self._at)
            if opening < 0:
                found.append(_Text(self._text[self._at :]))
                self._at = len(self._text)
                break
            found.append(_Text(self._text[self._at : opening]))
            self._at = opening + 1
            if self._word("end"):
                if not depth:
                    raise self._wrong("{end} without {range}")
                self._expect("}")
                return tuple(found)
            found.append(self._part(depth))
        if depth:
            raise self._wrong("{range} without {end}")
        return tuple(found)

    def _part(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise self._wrong("nested too deep")
        if self._word("range"):
            over = self.path()
            self._expect("}")
            return _Range(over, self.parts(depth + 1))
        quoted = _QUOTED.match(self._text, self._at)
        part: Any
        if quoted:
            self._at = quoted.end()
            part = _Text(_unquoted(quoted))
        else:
            part = self.path()
        self._expect("}")
        return part

    def path(self) -> _Path:
        """One path: its steps."""
        self._spaces()
        start = self._at
        if self._peek() in {"$", "@"}:
            self._at += 1
        steps: list[Step] = []
        if self._at < len(self._text) and _NAME.match(self._text, self._at) and self._at == start:
            steps.append(self._name())  # kubectl takes paths without a dot, too
        while (step := self._step()) is not None:
            steps.append(step)
        if self._at == start:
            raise self._wrong("expected a path such as .metadata.name")
        return _Path(tuple(steps))

    def _step(self) -> Step | None:
        if self._text.startswith("..", self._at):
            self._at += 2
            return _deep(self._name())
        if self._peek() == ".":
            self._at += 1
            ends = self._at == len(self._text) or self._peek() in {"}", " ", "["}
            return None if ends else self._name()
        if self._peek() == "[":
            self._at += 1
            return self._bracket()
        return None

    def _name(self) -> Step:
        found = _NAME.match(self._text, self._at)
        if found is None:
            raise self._wrong("expected a name")
        self._at = found.end()
        return _all if found[0] == "*" else _named(found[0])

    def _bracket(self) -> Step:
        self._spaces()
        if self._peek() == "*":
            self._at += 1
            self._expect("]")
            return _all
        if self._peek() == "?":
            return self._filter()
        quoted = _QUOTED.match(self._text, self._at)
        if quoted:
            self._at = quoted.end()
            self._expect("]")
            return _named(_unquoted(quoted))
        found = _INDEX.match(self._text, self._at)
        if found is None or not any(found.groups()):
            raise self._wrong("expected a number, a range, * or a quoted name, and ]")
        self._at = found.end()
        first, last = (int(found[n]) if found[n] else None for n in (1, 3))
        return _slice(slice(first, last)) if found[2] else _index(first or 0)

    def _filter(self) -> Step:
        self._at += 1
        self._expect("(")
        self._spaces()
        if self._peek() != "@":
            raise self._wrong("expected @, the element that is asked about,")
        path = self.path()
        found = _OPERATOR.match(self._text, self._at)
        sign, wanted = "", None
        if found:
            self._at = found.end()
            sign, wanted = found[1], self._literal()
        self._expect(")")
        self._expect("]")
        return _filtered(path, sign, wanted)

    def _literal(self) -> Any:
        found = _QUOTED.match(self._text, self._at)
        if found:
            self._at = found.end()
            return _unquoted(found)
        plain = _LITERAL.match(self._text, self._at)
        if plain is None:
            raise self._wrong("expected a number or quoted text")
        self._at = plain.end()
        return json.loads(plain[0])

    def end(self) -> None:
        """Nothing may follow."""
        self._spaces()
        if self._at < len(self._text):
            raise self._wrong("expected nothing more")

    def _word(self, word: str) -> bool:
        self._spaces()
        after = self._text[self._at + len(word) : self._at + len(word) + 1]
        if self._text.startswith(word, self._at) and (after in {"}", " "}):
            self._at += len(word)
            return True
        return False

    def _expect(self, letter: str) -> None:
        self._spaces()
        if self._peek() != letter:
            raise self._wrong(f"expected {letter}")
        self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _spaces(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _wrong(self, message: str) -> Malformed:
        return Malformed(self._text, self._at, message)


def _unquoted(found: re.Match[str]) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    text = found[1] if found[1] is not None else found[2]
    return re.sub(r"\\(.)", lambda one: escapes.get(one[1], one[1]), text)


def _named(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, Mapping) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _index(number: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return step


def _slice(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _deep(last: Step) -> Step:
    def step(value: Any) -> Iterator[Any]:
        yield from last(value)
        for inner in _all(value):
            yield from step(inner)

    return step


def _filtered(path: _Path, sign: str, wanted: Any) -> Step:
    def holds(value: Any) -> bool:
        found = _found(path, value)
        if not sign:
            return bool(found)
        try:
            return any(_COMPARE[sign](one, wanted) for one in found)
        except TypeError:  # text is neither smaller nor larger than a number
            return False

    return lambda value: (one for one in _all(value) if holds(one))
