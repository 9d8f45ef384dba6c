# SPDX-License-Identifier: Apache-2.0
"""Blocks of addresses with exclusions, and the disjoint prefixes they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.policy.rule import Block

_SHAPE = re.compile(r"[0-9a-fA-F:.]{2,45}/(0|[1-9][0-9]{0,2})\Z", re.ASCII)
_MAPPED = IPv6Network("::ffff:0:0/96")


@lru_cache(maxsize=65536)
def address(text: str) -> IPAddress:
    """An address.

    Raises:
        ValueError: it is none.
    """
    return ip_address(text)


@lru_cache(maxsize=65536)
def parse(text: str) -> IPNetwork:
    """A prefix in CIDR notation; bits beyond its length are dropped.

    Raises:
        ValueError: it is none, with a message for people.
    """
    shown = repr(text[:64])
    if "/" not in text:
        length = {4: 32, 6: 128}.get(_version(text), 0)
        advice = f"; for one address write {text}/{length}" if length else ""
        raise ValueError(f"{shown} has no prefix length{advice}")
    if not _SHAPE.match(text):
        raise ValueError(f"{shown} is no prefix; write it like 10.0.0.0/24 or fd00::/64")
    try:
        prefix = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown} is no prefix; write it like 10.0.0.0/24 or fd00::/64") from None
    if isinstance(prefix, IPv6Network) and prefix.subnet_of(_MAPPED):
        raise ValueError(f"{shown} holds IPv4 addresses written as IPv6; write them as IPv4")
    return prefix


def _version(text: str) -> int:
    try:
        return address(text).version
    except ValueError:
        return 0


def within(inner: IPNetwork, outer: IPNetwork) -> bool:
    """Whether every address of one prefix is in another, of the same family."""
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def remaining(prefix: IPNetwork, excluded: Sequence[IPNetwork]) -> tuple[IPNetwork, ...]:
    """The fewest disjoint prefixes that hold a prefix without some others, in order.

    At most (exclusions x length) of them: each exclusion splits one prefix on the way to itself.
    """
    left = [prefix]
    for hole in excluded:
        after: list[IPNetwork] = []
        for part in left:
            if within(part, hole):
                continue
            after.extend(_without(part, hole) if within(hole, part) else (part,))
        left = after
    return tuple(sorted(left, key=lambda part: int(part.network_address)))


def _without(prefix: IPNetwork, hole: IPNetwork) -> Sequence[IPNetwork]:
    if isinstance(prefix, IPv4Network) and isinstance(hole, IPv4Network):
        return list(prefix.address_exclude(hole))
    if isinstance(prefix, IPv6Network) and isinstance(hole, IPv6Network):
        return list(prefix.address_exclude(hole))
    return (prefix,)


def disjoint(block: Block) -> tuple[IPNetwork, ...]:
    """The prefixes that a block comes to."""
    return remaining(parse(block.prefix), [parse(text) for text in block.excluded])


def contains(block: Block, one: IPAddress) -> bool:
    """Whether an address is in a block: in its prefix and in nothing that is left out."""
    if one not in parse(block.prefix):
        return False
    return all(one not in parse(text) for text in block.excluded)
