# SPDX-License-Identifier: Apache-2.0
"""SNDlib's native text: sections in parentheses, a row a line, ``#`` before what is a comment.

::

    ?SNDlib native format; type: network; version: 1.0
    NODES (
      N1 ( 16.4 48.2 )
    )
    LINKS (
      L1 ( N1 N2 ) 155.0 0.0 0.0 0.0 ( 622.0 9.0 2488.0 20.0 )
    )
    DEMANDS (
      D1 ( N1 N2 ) 1 81.5 UNLIMITED
    )

Source: Orlowski et al., "SNDlib 1.0 - Survivable Network Design Library", Networks 55(3), 2010.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas.form import Sheet
from vneter_sdn.graph.atlas.gathering import Place, on_earth
from vneter_sdn.graph.atlas.sndlib import Row, composed
from vneter_sdn.model.documents import Document

_HEAD = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(\?\s*SNDlib\b|(?:META|NODES)\s*\(\s*\n)")
_PARENTHESIS = re.compile(r"([()])")

_Line = tuple[int, list[str]]
"""Its number and its words; a parenthesis is a word."""


def is_native(data: bytes) -> bool:
    """Whether a file begins as such files do."""
    return _HEAD.match(data.removeprefix(b"\xef\xbb\xbf")) is not None


def read(data: bytes, source: str) -> tuple[Sheet, Document, list[str]]:
    """What such a file says. O(size).

    A link's capacity is what is installed already, else its largest module; it counts each way.
    Where all coordinates can be geographic, the delay is that of the great circle.

    Raises:
        IntentError: a row is none, or a number or a reference in it is wrong; names its line.
    """
    sections = _sections(data.decode("utf-8-sig", "replace"), source)
    if "NODES" not in sections:
        raise _malformed(source, 1, "there is no section NODES ( … )")
    places: dict[str, Place | None] = {}
    for line, words in sections["NODES"]:
        if words[0] in places:
            raise _malformed(source, line, f"a second node is called {words[0]!r}")
        places[words[0]] = _place(words, line, source)
    links = [
        (*_ends(words, places, line, source), _capacity(words, line, source))
        for line, words in sections.get("LINKS", ())
    ]
    demands = [
        (*_ends(words, places, line, source), _number(_rest(words, 2, line, source), line, source))
        for line, words in sections.get("DEMANDS", ())
    ]
    geographic = all(on_earth(*place) for place in places.values() if place)
    sheet = composed(places, links, demands, geographic=geographic)
    lines = {
        f"{name.lower()}[{place}]": line
        for name in ("LINKS", "DEMANDS")
        for place, (line, _) in enumerate(sections.get(name, ()))
    }
    return sheet, Document(None, source, 1, {"": 1, **lines}), []


def _sections(text: str, source: str) -> dict[str, list[_Line]]:
    """The rows of each section; what is nested in them, as paths are, is left out."""
    sections: dict[str, list[_Line]] = {}
    rows: list[_Line] = []
    depth = 0
    for line, words in _lines(text):
        if depth == 0:
            if len(words) != 2 or words[1] != "(":
                raise _malformed(source, line, f"a section `NAME (` is wanted, not {words[0]!r}")
            rows = sections.setdefault(words[0].upper(), [])
            depth = 1
        elif words == [")"]:
            depth -= 1
        elif words.count("(") > words.count(")"):
            depth += 1
        elif depth == 1:
            rows.append((line, words))
    if depth:
        raise _malformed(source, text.count("\n") + 1, "the file ends too early: a ')' lacks")
    return sections


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), 1):
        words = _PARENTHESIS.sub(r" \1 ", line.partition("#")[0]).replace(",", " ").split()
        if words and not words[0].startswith("?"):
            yield number, words


def _place(words: list[str], line: int, source: str) -> Place | None:
    """Of ``NAME``, or ``NAME ( x y )``."""
    if len(words) == 1:
        return None
    if len(words) != 5 or (words[1], words[4]) != ("(", ")"):
        raise _malformed(source, line, "a node is `NAME ( x y )`")
    return _number(words[2], line, source), _number(words[3], line, source)


def _ends(words: list[str], known: dict[str, Place | None], line: int, source: str) -> Row:
    """Of ``NAME ( one other ) …``."""
    if len(words) < 5 or (words[1], words[4]) != ("(", ")"):
        raise _malformed(source, line, "`NAME ( one other )` and numbers are wanted")
    for end in words[2:4]:
        if end not in known:
            raise _malformed(source, line, f"{words[0]} leads to {end!r}, which is no node")
    return words[2], words[3]


def _capacity(words: list[str], line: int, source: str) -> float | None:
    """Of ``… installed cost cost cost ( {capacity cost}* )``."""
    start = words.index("(", 5) if "(" in words[5:] else len(words)
    installed = _number(words[5], line, source) if start > 5 else 0.0
    modules = [_number(word, line, source) for word in words[start + 1 : -1 : 2]]
    return installed or max((size for size in modules if size), default=None)


def _rest(words: list[str], place: int, line: int, source: str) -> str:
    if len(words) < 5 + place:
        raise _malformed(source, line, f"{words[0]} does not say how much")
    return words[4 + place]


def _number(word: str, line: int, source: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _malformed(source, line, f"{word!r} is no number")
    return number


def _malformed(source: str, line: int, message: str) -> IntentError:
    return IntentError(Problem(f"{source}:{line}", "", "MalformedSndlib", message))
