# SPDX-License-Identifier: Apache-2.0
"""What lists show of a snapshot, and which of it may differ between two of them.

The two agree: an object whose manifest differs is among `touched`. So whoever begins with a list
and takes over what differs, step by step, always has what a new list would show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import network_of, owner_key
from vneter_sdn.admission.status import found_links, seen_as, status_of
from vneter_sdn.admission.trie import PersistentMap
from vneter_sdn.model.snapshot import Key, Object, Snapshot
from vneter_sdn.northbound import resources


def keys_of(snapshot: Snapshot, kind: str, tenant: str = "") -> list[Key]:
    """Objects of a kind, of one tenant or of all, sorted; links that were found among them.

    O(objects of the kind).
    """
    members = Draft(snapshot, 0.0).lookup.members("kind", kind)
    keys = [key for key, _ in members if not tenant or key.tenant == tenant]
    if kind == "Link":
        keys += found_links(snapshot)
    return sorted(keys)


def manifest(snapshot: Snapshot, key: Key) -> dict[str, Any] | None:
    """The manifest of an object or of a found link, with its status; None when there is none."""
    stored, status = snapshot.objects.get(key), status_of(snapshot, key)
    if stored is not None:
        return resources.manifest_of(stored, status)
    return resources.found_manifest(key, status) if status else None


def listed(snapshot: Snapshot, key: Key) -> dict[str, Any] | None:
    """What a list shows of an object; None for a link that is declared under another name."""
    if key.kind == "Link" and key not in snapshot.objects and _declared(snapshot, key):
        return None
    return manifest(snapshot, key)


def _declared(snapshot: Snapshot, found: Key) -> bool:
    draft, status = Draft(snapshot, 0.0), snapshot.statuses.get(found)
    about = _about(draft, status.details) if status else ()
    return any(seen_as(draft, snapshot.objects[key]) == found for key in about)


def _about(draft: Draft, details: Mapping[str, Any]) -> Iterator[Key]:
    """Declared links between the hosts that the status of a link names."""
    ends = (str(details.get("source")), str(details.get("target")))
    for pair in {ends, ends[::-1]}:
        yield from (key for key, _ in draft.lookup.members("pair", pair))


def touched(before: Snapshot, after: Snapshot) -> set[Key]:
    """Every object whose manifest may differ between two snapshots, and not many others.

    O(changes) between snapshots of one store, save where a network or a host changed: then its
    endpoints, or links, are in question too.
    """
    objects: set[Key] = _differing(before.objects, after.objects)
    statuses: set[Key] = _differing(before.statuses, after.statuses)
    allocations = _differing(before.allocations, after.allocations)
    keys = objects | statuses | _differing(before.bindings, after.bindings)
    for snapshot in (before, after):
        draft = Draft(snapshot, 0.0)
        for key in objects:
            keys.update(_beside(draft, key))
        for key in statuses | objects:
            if key.kind == "Link":
                keys.update(_same_link(draft, key))
        for place in allocations:
            keys.update(_by_allocation(draft, *place))
    return keys


def _differing(one: Any, two: Any) -> set[Any]:
    if one is two:
        return set()
    maps = [each if isinstance(each, PersistentMap) else PersistentMap(each) for each in (one, two)]
    return maps[0].differing(maps[1])


def _by_allocation(draft: Draft, pool: str, value: str) -> Iterator[Key]:
    held = draft.allocation(pool, value)
    owner = owner_key(held.owner) if held else None
    sort, _, path = pool.partition("/")
    if owner is not None:
        yield owner
        if owner.kind == "Network" and sort == "address":  # the gateway of its endpoints
            yield from _referring(draft, owner)
    if sort == "block":
        tenant, name, _ = path.split("/", 2)
        yield Key("Network", tenant, name)


def _beside(draft: Draft, key: Key) -> Iterator[Key]:
    """Which others show something of an object."""
    stored: Object | None = draft.snapshot.objects.get(key)
    if key.kind == "Network":
        yield from _referring(draft, key)
    elif key.kind == "Endpoint" and stored is not None:
        yield network_of(key, stored.spec)
    elif key.kind == "Host":
        yield from (member for member, _ in draft.lookup.members("joins", key))
        yield from (one for one in draft.snapshot.statuses if one.kind == "Link")


def _same_link(draft: Draft, key: Key) -> Iterator[Key]:
    """Under which other names a link may be declared, or was found."""
    stored, status = draft.snapshot.objects.get(key), draft.snapshot.statuses.get(key)
    if stored is not None:
        yield seen_as(draft, stored)
    if status is not None:
        yield from _about(draft, status.details)


def _referring(draft: Draft, network: Key) -> Iterator[Key]:
    return (member for member, _ in draft.lookup.members("refers", network))
