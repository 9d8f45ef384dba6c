# SPDX-License-Identifier: Apache-2.0
"""Matches of the addresses and ports that rules of policies name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from vneter_sdn.compile.features.pin import FAMILIES
from vneter_sdn.compile.features.unit import Frozen, Matched
from vneter_sdn.compile.strands import Target
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.fields import (
    ETH_IP,
    ETH_IPV6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.model.policy_kinds import Direction

_PORT = {PROTO_TCP: "tcp_dst", PROTO_UDP: "udp_dst", PROTO_SCTP: "sctp_dst"}


def _frozen(matched: Matched) -> Frozen:
    return tuple(sorted(matched.items()))


def all_of(matches: Iterable[Frozen]) -> Frozen | None:
    """What matches all of some matches; None where two contradict each other."""
    found: Matched = {}
    for one in matches:
        if any(found.get(name, value) != value for name, value in one):
            return None
        found |= dict(one)
    return _frozen(found)


@lru_cache(maxsize=1 << 14)
def addresses(way: Direction, prefixes: tuple[IPNetwork, ...]) -> tuple[Frozen, ...]:
    """Each of some prefixes at the other end."""
    return tuple(_frozen(_address(way, prefix)) for prefix in prefixes)


def _address(way: Direction, prefix: IPNetwork) -> Matched:
    end = "dst" if way == "egress" else "src"
    four = prefix.version == 4
    name = f"{'ip' if four else 'ipv6'}_{end}"
    bounds = int(prefix.network_address), int(prefix.netmask)
    return {"eth_type": ETH_IP if four else ETH_IPV6, name: bounds}


@lru_cache(maxsize=1 << 14)
def targets(ports: tuple[Target, ...]) -> tuple[Frozen, ...]:
    """Each of some ports, for every family of addresses."""
    return tuple(_frozen(one) for target in ports for one in _target(target))


def _target(target: Target) -> Iterator[Matched]:
    for family in FAMILIES:
        matched: Matched = {"eth_type": family, "ip_proto": target.protocol}
        if target.protocol in (PROTO_ICMP, PROTO_ICMPV6):
            if (target.protocol == PROTO_ICMP) != (family == ETH_IP):
                continue
            name = "icmp" if family == ETH_IP else "icmpv6"
            for word, value in (("type", target.icmp_type), ("code", target.icmp_code)):
                if value is not None:
                    matched[f"{name}_{word}"] = value
        elif target.mask:
            matched[_PORT[target.protocol]] = (target.value, target.mask)
        yield matched
