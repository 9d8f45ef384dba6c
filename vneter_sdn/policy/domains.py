# SPDX-License-Identifier: Apache-2.0
"""DNS names with ``*`` in them: which are taken, and which names they match, in linear time."""

from __future__ import annotations

import re

WILDCARDS = 4
"""Most ``*`` in one pattern."""

_ALLOWED = re.compile(r"[-a-zA-Z0-9_.*]{1,253}\Z", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z0-9_*]([-a-zA-Z0-9_*]{0,61}[a-zA-Z0-9_*])?\Z", re.ASCII)


def canonical(pattern: str) -> str:
    """A pattern as it is compared: in lower case, without the dot of the root.

    Raises:
        ValueError: it matches no DNS name, or is too costly; with a message for people.
    """
    shown = repr(pattern[:64])
    if not _ALLOWED.match(pattern):
        text = "a DNS name has at most 253 letters, digits, '-', '_' and '.', and '*' for any"
        raise ValueError(f"{shown} is no DNS name: {text}")
    text = re.sub(r"\*+", "*", pattern.removesuffix(".").lower())
    if text.count("*") > WILDCARDS:
        raise ValueError(
            f"{shown} has {text.count('*')} wildcards, of which at most {WILDCARDS} are taken; "
            "write several names instead"
        )
    for label in text.split("."):
        if not _LABEL.match(label):
            raise ValueError(
                f"{shown} is no DNS name: {label!r} between its dots is not 1 to 63 letters, "
                "digits, '-' and '_' that neither begin nor end with '-'"
            )
    return text


def matches(pattern: str, name: str) -> bool:
    """Whether a canonical pattern is a DNS name, or stands for it.

    Each piece between wildcards is taken at the first place it fits: O(wildcards x length).
    """
    name = name.removesuffix(".").lower()
    first, *rest = pattern.split("*")
    if not rest:
        return name == first
    last = rest.pop()
    if not name.startswith(first) or not name.endswith(last):
        return False
    position, end = len(first), len(name) - len(last)
    for piece in rest:
        found = name.find(piece, position, max(end, 0))
        if found < 0:
            return False
        position = found + len(piece)
    return position <= end
