# SPDX-License-Identifier: Apache-2.0
"""Ranges of ports as masks that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vneter_sdn.model.fields import PROTO_TCP, PROTO_UDP

_PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP}
_FULL = 0xFFFF


class Ports(NamedTuple):
    """The ports of one protocol whose masked number is a value; no protocol for any packet."""

    protocol: str = ""
    value: int = 0
    mask: int = 0

    def match(self, way: str) -> dict[str, int | tuple[int, int]]:
        """The terms that packets from (``src``) or to (``dst``) these ports match."""
        if not self.protocol:
            return {}
        found: dict[str, int | tuple[int, int]] = {"ip_proto": _PROTOCOLS[self.protocol]}
        if self.mask:
            found[f"{self.protocol}_{way}"] = (self.value, self.mask)
        return found


def blocks(ranges: Iterable[str]) -> tuple[Ports, ...]:
    """What ranges such as ``tcp/80-90`` cover, each port once; everything when there are none."""
    found: dict[str, list[tuple[int, int]]] = {}
    for one in ranges:
        protocol, _, numbers = one.partition("/")
        first, _, last = numbers.partition("-")
        span = (int(first), int(last or first)) if first else (0, _FULL)
        found.setdefault(protocol, []).append(span)
    merged = {protocol: _merged(spans) for protocol, spans in sorted(found.items())}
    split = [
        Ports(protocol, value, mask)
        for protocol, spans in merged.items()
        for first, last in spans
        for value, mask in masks(first, last)
    ]
    return tuple(split) if found else (Ports(),)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The fewest value and mask pairs that cover the numbers first..last of 16 bits."""
    while first <= last:
        size = first & -first or _FULL + 1
        while size > last - first + 1:
            size >>= 1
        yield first, _FULL & ~(size - 1)
        first += size
