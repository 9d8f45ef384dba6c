# SPDX-License-Identifier: Apache-2.0
"""Names of domains as they stand in options: labels, never compressed (RFC 1035 §3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from vneter_sdn.southbound.openflow.wire import need

LONGEST = 255
"""Octets of a name on the wire, with the lengths of its labels and the last, empty one."""
MOST_NAMES = 64
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


def read_labels(data: bytes, *, padded: bool = False) -> tuple[str, ...]:
    """All names of some bytes, in lower case and without the last dot.

    Args:
        data: names, one after the other.
        padded: whether zeros may follow the last one (RFC 8106 §5.2); elsewhere an empty name is
            none.

    Raises:
        DecodeError: a length lies, a name is too long or has a letter that no host's name has, or
            there are more than `MOST_NAMES`.
    """
    names: list[str] = []
    at = 0
    while at < len(data):
        if padded and not any(data[at:]):
            break
        name, at = _read(data, at)
        names.append(name)
        need(len(names) <= MOST_NAMES, "too many names", at)
    return tuple(names)


def _read(data: bytes, at: int) -> tuple[str, int]:
    start, labels = at, []
    while True:
        need(at < len(data), "truncated name", at)
        size = data[at]
        if not size:
            break
        need(size < 64, "label of no known kind", at)
        label = data[at + 1 : at + 1 + size].lower()
        need(len(label) == size, "truncated label", at)
        need(_LETTERS.issuperset(label), "name of other characters", at)
        labels.append(label.decode("ascii"))
        at += 1 + size
        need(at - start < LONGEST, "name too long", at)
    need(labels, "empty name", at)
    return ".".join(labels), at + 1


def written_labels(names: Iterable[str]) -> bytes:
    """Names as labels.

    Raises:
        ValueError: a label is empty or longer than 63 letters, or has others than ASCII's.
    """
    return b"".join(_written(name) for name in names)


def _written(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.split(".")]
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"not a name of a domain: {name!r}")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
