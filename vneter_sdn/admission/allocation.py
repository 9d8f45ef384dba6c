# SPDX-License-Identifier: Apache-2.0
"""Who gets which number and address: the one function is `settle`, with `expire` to end rests.

Laws: a (pool, value) has one owner, ever; an owner keeps its value for life; a released value
rests for its pool's delay, and only the owner that released it may have it back sooner; a value
asked for is that value or nothing; whatever is released is free again in the end.

Addresses come from blocks, one set of blocks per (network, prefix, host), so that one flow per
block reaches them. When no block is left, an address is borrowed from another host's block.
All searches start at cursors below which nothing is free: amortised O(log n) per value.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from math import ceil

from vneter_sdn.admission import blocks
from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import Fact
from vneter_sdn.admission.index import IndexedSnapshot
from vneter_sdn.admission.needs import Need, needs
from vneter_sdn.model.addresses import mac_number, mac_text
from vneter_sdn.model.kinds import EndpointSpec
from vneter_sdn.model.snapshot import Allocation, Key, Object, Pools, Snapshot

RANGES = {
    Pools.TENANT: (1, (1 << 20) - 1),
    Pools.VNI: (1, (1 << 24) - 1),
    Pools.BRIDGE: (1, 0x6FFF),
    Pools.SLOT: (1, (1 << 24) - 1),
    Pools.POLICY: (1, (1 << 12) - 1),
}
"""Lowest and highest number of each pool of numbers."""
_MACS = (0, (1 << 24) - 1)


def held_by(draft: Draft, owner: str) -> dict[str, str]:
    """What an owner holds, by pool; its address blocks are left out."""
    owned = draft.lookup.members("owns", owner)
    return {pool: value for (pool, value), _ in owned if not pool.startswith("block/")}


def unmet(draft: Draft, stored: Object) -> list[Need]:
    """The needs of an object that are not met."""
    held = held_by(draft, str(stored.key))
    return [
        need
        for need in needs(draft.object, stored)
        if need.pool not in held or need.wanted not in {None, held[need.pool]}
    ]


def release(draft: Draft, key: Key) -> None:
    """Release what an object holds and no longer needs; everything, when it was deleted."""
    stored = draft.object(key)
    wanted = {need.pool: need.wanted for need in needs(draft.object, stored)} if stored else {}
    now = ceil(draft.now * 1000) / 1000
    # OVSDB keeps 15 digits of a number: milliseconds survive the way there and back.
    for pool, value in held_by(draft, str(key)).items():
        if pool not in wanted or wanted[pool] not in {None, value}:
            draft.keep(Allocation(pool, value, str(key), now))


def settle(draft: Draft, key: Key) -> None:
    """Give an object what it still needs, as far as there is any; mark it pending otherwise."""
    stored = draft.object(key)
    if stored is not None:
        for need in unmet(draft, stored):
            value = _find(draft, stored, need)
            if value is not None:
                draft.keep(Allocation(need.pool, value, str(key)))
    note_pending(draft, key)


def note_pending(draft: Draft, key: Key) -> None:
    """Record in the index whether an object still lacks something."""
    stored = draft.object(key)
    pending = [Fact("pending", "", key)]
    if stored is not None and unmet(draft, stored):
        draft.lookup.add(pending)
    else:
        draft.lookup.remove(pending)


def _find(draft: Draft, stored: Object, need: Need) -> str | None:
    """A value that meets a need: the one asked for, its own of before, or the lowest free."""
    owner = str(stored.key)
    if need.wanted is not None:
        return need.wanted if draft.free(need.pool, need.wanted, owner) else None
    preferred = draft.prefer.get(stored.key, {}).get(need.pool)
    if preferred is not None and draft.free(need.pool, preferred, owner):
        return preferred
    formed = blocks.formed_address(draft, need.pool, held_by(draft, owner))
    if formed is not None:
        return formed if draft.free(need.pool, formed, owner) else None
    own = [place for place, _ in draft.lookup.members("rests", owner) if place[0] == need.pool]
    if own:
        return str(min(own)[1])
    if need.pool.startswith("address/"):
        spec = stored.spec
        host = f"Host {spec.host}" if isinstance(spec, EndpointSpec) and spec.host else "-"
        return blocks.find_address(draft, need.pool, host, held_by(draft, owner))
    return _lowest(draft, need.pool)


def _lowest(draft: Draft, pool: str) -> str | None:
    """The lowest free number of a pool, or MAC address of a network."""
    lowest, highest = RANGES.get(pool, _MACS)
    number = draft.lookup.cursor(pool, lowest)
    while number <= highest:
        value = str(number) if pool in RANGES else mac_text(_mac_base(pool) | number)
        if draft.allocation(pool, value) is None:
            draft.lookup.move(pool, number + 1)
            return value
        number += 1
    draft.lookup.move(pool, number)
    rested = [
        value for value, _ in draft.lookup.members("resting", pool) if draft.free(pool, value)
    ]
    return min(rested, key=lambda value: (len(value), value), default=None)


def _mac_base(pool: str) -> int:
    """The first MAC address of a network: locally administered unicast ``0a``, 16 bits of hash."""
    digest = blake2b(pool.encode(), digest_size=2).digest()
    return 0x0A << 40 | int.from_bytes(digest, "big") << 24


def expire(draft: Draft) -> None:
    """Forget releases that have rested, and free the blocks that are empty then. O(resting)."""
    over: list[tuple[str, str]] = []
    for pool in draft.lookup.abouts("resting"):
        for value, _ in list(draft.lookup.members("resting", pool)):
            held = draft.allocation(pool, value)
            if held is not None and draft.rested(held):
                draft.forget(pool, value)
                over.append((pool, value))
    for pool, block in sorted(lower_cursors(draft, over)):
        blocks.free_if_empty(draft, pool, block)


def lower_cursors(draft: Draft, places: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Tell the cursors which (pool, value) are free again; the address blocks they are in."""
    touched: set[tuple[str, str]] = set()
    for pool, value in places:
        if pool.startswith("address/"):
            touched.update(blocks.reopen(draft, pool, value))
        elif pool.startswith("block/"):
            blocks.lower(draft, pool, value)
        elif pool == Pools.PATH:
            continue  # whoever colours chooses; nothing is searched for
        else:
            number = int(value) if pool in RANGES else mac_number(value) ^ _mac_base(pool)
            lowest, highest = RANGES.get(pool, _MACS)
            if lowest <= number <= highest and number < draft.lookup.cursor(pool, lowest):
                draft.lookup.move(pool, number)
    return touched


def indexed(snapshot: Snapshot) -> IndexedSnapshot:
    """The snapshot with an index that also knows who lacks something. O(n) without one."""
    if isinstance(snapshot, IndexedSnapshot):
        return snapshot
    draft = Draft(snapshot, 0.0)
    for key in snapshot.objects:
        note_pending(draft, key)
    return IndexedSnapshot(
        snapshot.revision,
        snapshot.objects,
        snapshot.allocations,
        snapshot.bindings,
        snapshot.statuses,
        draft.lookup.frozen(),
    )
