# SPDX-License-Identifier: Apache-2.0
"""JSON from outside, read strictly (RFC 8259, with what it leaves open decided).

Refused, beside what is not JSON: duplicate keys, NaN and infinities, numbers without an
end, text that is not UTF-8, lone surrogates, the NUL character (OVSDB cannot store it), and
nesting deeper than `DEPTH`.
"""

from __future__ import annotations

import json
import math
from typing import Any

from vneter_sdn.errors import IntentError, Problem

DEPTH = 32
"""Deepest nesting of arrays and objects that is read."""
MAX_BYTES = 8 * 1024 * 1024
"""Largest request body or manifest file that is read."""


class _Refused(ValueError):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse(data: bytes, source: str = "request body") -> Any:
    """The value of one JSON text.

    Args:
        data: the octets as received, at most `MAX_BYTES` by the caller's care.
        source: what to call it in messages.

    Raises:
        IntentError: one Problem, whose reason is ``InvalidEncoding``, ``MalformedJson``,
            ``DuplicateKey``, ``InvalidNumber``, ``InvalidText`` or ``TooDeep``.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        check(value)
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start}: {error.reason}"
        raise _problem(source, "InvalidEncoding", message) from None
    except json.JSONDecodeError as error:
        message = f"not JSON at line {error.lineno} column {error.colno}: {error.msg}"
        raise _problem(source, "MalformedJson", message) from None
    except RecursionError:
        raise _problem(source, "TooDeep", _too_deep()) from None
    except _Refused as error:
        raise _problem(source, error.reason, str(error)) from None
    except ValueError:  # the interpreter's own bound on the length of integers
        raise _problem(source, "InvalidNumber", "an integer has too many digits") from None
    return value


def check(value: Any) -> None:
    """Refuse nesting deeper than `DEPTH` and text that no store can keep.

    Raises:
        ValueError: with a message for people; `parse` turns it into a Problem.
    """
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _storable(item)
            elif isinstance(item, dict | list):
                if depth >= DEPTH:
                    raise _Refused("TooDeep", _too_deep())
                below.extend(item)
                below.extend(item.values() if isinstance(item, dict) else ())
        level, depth = below, depth + 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused("DuplicateKey", f"the key {key!r} is given twice in one object")
            seen.add(key)
    return result


def _no_constant(text: str) -> Any:
    raise _Refused("InvalidNumber", f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused("InvalidNumber", f"the number {text[:40]} is too large")
    return number


def _storable(text: str) -> None:
    if "\0" in text:
        raise _Refused("InvalidText", "text may not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Refused("InvalidText", "text contains half of a surrogate pair") from None


def _too_deep() -> str:
    return f"nested deeper than {DEPTH} levels"


def _problem(source: str, reason: str, message: str) -> IntentError:
    return IntentError(Problem(source, "", reason, message))
