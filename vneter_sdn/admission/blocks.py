# SPDX-License-Identifier: Apache-2.0
"""Addresses within blocks, and blocks within prefixes.

Blocks of one prefix never overlap, even when the block length of the network was changed since.
Where a network has two prefixes of different families, an endpoint gets the same offset in both
if it is free: ``10.0.1.5`` and ``fd00::5``.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import Fact
from vneter_sdn.admission.facts import network as parsed
from vneter_sdn.admission.needs import autoconfigured, gateways_of, usable
from vneter_sdn.model.addresses import IPAddress, IPNetwork, formed, mac_number
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Allocation, Key, Pools


class _Place:
    """One prefix of one network, named by either of its pools, and a host that draws from it."""

    __slots__ = ("blocks", "draft", "host", "length", "pool", "prefix", "reserved", "spec")

    def __init__(self, draft: Draft, pool: str, host: str = "-") -> None:
        _, tenant, name, prefix = pool.split("/", 3)
        network = Key("Network", tenant, name)
        self.draft, self.host = draft, host
        self.pool = Pools.address(network, prefix)
        self.prefix = parsed(prefix)
        self.blocks = Pools.block(network, prefix)
        self.spec = draft.network(network)
        self.length = _block_length(draft, self.blocks, self.prefix, self.spec)
        self.reserved = set(gateways_of(self.spec).values()) if self.spec else set()

    def takes(self, address: IPAddress) -> bool:
        """Whether an endpoint may have this address, and nobody has or had it."""
        return self.fit(address) and self.draft.allocation(self.pool, str(address)) is None

    def fit(self, address: IPAddress) -> bool:
        """Whether this is an address for endpoints."""
        return usable(self.prefix, address) and address not in self.reserved

    def containing(self, address: IPAddress) -> tuple[IPNetwork, str]:
        """The block that an address lies in, and its owner; empty when it is free."""
        block = _around(address, self.length)
        held = self.draft.allocation(self.blocks, str(block))
        return block, held.owner if held else ""

    def position(self, block: IPNetwork) -> int:
        """The number of a block in its prefix, from 0."""
        offset = int(block.network_address) - int(self.prefix.network_address)
        return offset >> (self.prefix.max_prefixlen - self.length)

    def claim(self, block: IPNetwork) -> None:
        """Give a block to the host."""
        self.draft.keep(Allocation(self.blocks, str(block), self.host))


def _block_length(draft: Draft, pool: str, prefix: IPNetwork, spec: NetworkSpec | None) -> int:
    """The length of the blocks there are, or else the one asked for."""
    for block, _ in draft.lookup.members("live", pool):
        return int(block.rpartition("/")[2])
    asked = 26 if prefix.version == 4 else 122
    if spec is not None:
        asked = spec.block_length4 if prefix.version == 4 else spec.block_length6
    return max(asked, prefix.prefixlen)


def _around(address: IPAddress, length: int) -> IPNetwork:
    """The block of a length that an address lies in."""
    rest = address.max_prefixlen - length
    base = int(address) >> rest << rest
    return IPv4Network((base, length)) if address.version == 4 else IPv6Network((base, length))


def formed_address(draft: Draft, pool: str, held: dict[str, str]) -> str | None:
    """The one address that an endpoint forms of the MAC it holds; None where endpoints form none.

    Args:
        draft: where to look.
        pool: any pool.
        held: what the endpoint holds already, by pool.
    """
    if not pool.startswith("address/"):
        return None
    _, tenant, name, text = pool.split("/", 3)
    network, prefix = Key("Network", tenant, name), parsed(text)
    spec, mac = draft.network(network), held.get(Pools.mac(network))
    if spec is None or mac is None or not isinstance(prefix, IPv6Network):
        return None
    return str(formed(prefix, mac_number(mac))) if autoconfigured(spec, prefix) else None


def find_address(draft: Draft, pool: str, host: str, held: dict[str, str]) -> str | None:
    """An address for an endpoint of a host (``Host x``, or ``-``); None when there is none.

    Args:
        draft: where to look.
        pool: `Pools.address` of the network and prefix.
        host: owner of the blocks to draw from.
        held: what the endpoint holds already, by pool, to stay in step with.
    """
    place = _Place(draft, pool, host)
    return (
        _in_step(place, held)
        or _in_open_blocks(place, (place.blocks, host))
        or _in_new_block(place)
        or _rested(place)
        or _in_open_blocks(place, place.blocks)
    )


def _in_step(place: _Place, held: dict[str, str]) -> str | None:
    """The address at the offset that the endpoint has in the network's other prefix."""
    stem = place.pool.removesuffix(str(place.prefix))
    for pool, value in held.items():
        if not pool.startswith(stem) or pool == place.pool:
            continue
        offset = int(ip_address(value)) - int(parsed(pool[len(stem) :]).network_address)
        if not 0 <= offset < place.prefix.num_addresses:
            continue
        address = place.prefix[offset]
        if place.takes(address) and _enter(place, address):
            return str(address)
    return None


def _enter(place: _Place, address: IPAddress) -> bool:
    """Whether the address lies in a block of the host, claiming a free one when it has none."""
    block, owner = place.containing(address)
    if not owner and not place.draft.lookup.has("open", (place.blocks, place.host)):
        place.claim(block)
        return True
    return owner == place.host


def _in_open_blocks(place: _Place, about: Any) -> str | None:
    """The lowest free address of blocks that may have one; blocks found full are closed."""
    lookup = place.draft.lookup
    for block in sorted(member for member, _ in lookup.members("open", about)):
        address = _in_block(place, parsed(block))
        if address is not None:
            return address
        held = place.draft.allocation(place.blocks, block)
        owner = held.owner if held else place.host
        lookup.remove(_open_facts(place.blocks, owner, block))
    return None


def _open_facts(pool: str, owner: str, block: str) -> list[Fact]:
    return [Fact("open", (pool, owner), block), Fact("open", pool, block)]


def _in_block(place: _Place, block: IPNetwork) -> str | None:
    cursor = (place.blocks, str(block))
    offset = place.draft.lookup.cursor(cursor, 0)
    while offset < block.num_addresses:
        address = block[offset]
        if place.takes(address):
            place.draft.lookup.move(cursor, offset + 1)
            return str(address)
        offset += 1
    place.draft.lookup.move(cursor, offset)
    return None


def _in_new_block(place: _Place) -> str | None:
    """An address of the lowest free block, which becomes the host's."""
    cursor = (place.blocks, place.length)
    size = place.prefix.max_prefixlen - place.length
    count = 1 << (place.length - place.prefix.prefixlen)
    position = place.draft.lookup.cursor(cursor, 0)
    while position < count:
        block = _around(place.prefix[position << size], place.length)
        position += 1
        if place.draft.allocation(place.blocks, str(block)):
            continue
        address = _in_block(place, block)
        if address is not None:
            place.claim(block)
            place.draft.lookup.move(cursor, position)
            return address
    return None


def _rested(place: _Place) -> str | None:
    """An address whose rest is over but which no sweep has forgotten yet; the host's own first."""
    rested = [
        address
        for value, _ in place.draft.lookup.members("resting", place.pool)
        if place.fit(address := ip_address(value)) and place.draft.free(place.pool, value)
    ]
    rested.sort(key=lambda address: (place.containing(address)[1] != place.host, int(address)))
    return str(rested[0]) if rested else None


def reopen(draft: Draft, pool: str, value: str) -> list[tuple[str, str]]:
    """Note that an address is free again; its block, as (pool, block), if it is in one."""
    place, address = _Place(draft, pool), ip_address(value)
    block, owner = place.containing(address)
    if not owner:
        _lower(draft, (place.blocks, place.length), place.position(block))
        return []
    _lower(draft, (place.blocks, str(block)), int(address) - int(block.network_address))
    draft.lookup.add(_open_facts(place.blocks, owner, str(block)))
    return [(place.blocks, str(block))]


def _lower(draft: Draft, cursor: tuple[str, Any], value: int) -> None:
    if value < draft.lookup.cursor(cursor, 0):
        draft.lookup.move(cursor, value)


def free_if_empty(draft: Draft, pool: str, block: str) -> None:
    """Free a block in which no endpoint has an address, nor had one that still rests.

    O(block size), or O(addresses of the network) for blocks larger than 4,096 addresses.
    """
    place, inside = _Place(draft, pool), parsed(block)
    used: Iterable[str] = map(str, inside)
    if inside.num_addresses > 4096:
        both = (draft.lookup.members(state, place.pool) for state in ("live", "resting"))
        used = (value for members in both for value, _ in members if ip_address(value) in inside)
    if any(_endpoint_has(draft, place.pool, value) for value in used):
        return
    draft.forget(pool, block)
    lower(draft, pool, block)


def lower(draft: Draft, pool: str, block: str) -> None:
    """Note that a block is free again."""
    place, freed = _Place(draft, pool), parsed(block)
    draft.lookup.move((pool, block), 0)
    if freed.prefixlen == place.length:
        _lower(draft, (pool, place.length), place.position(freed))


def _endpoint_has(draft: Draft, pool: str, value: str) -> bool:
    held = draft.allocation(pool, value)
    return held is not None and held.owner.startswith("Endpoint ")
