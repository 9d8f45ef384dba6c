# SPDX-License-Identifier: Apache-2.0
"""What was seen of links: facts for the compiler, `Link` objects for wires, and their reports.

A wire that was found becomes a `Link` object of author ``discovery``, so that a restart forgets
none. One that is lost stays, as down; it is deleted when one of its ports is found wired to
another. What somebody declared himself is never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from vneter_sdn.engine.reports import accepted, condition
from vneter_sdn.errors import Conflict, IntentError, NotFound
from vneter_sdn.graph.topology import Observation, wire_edge
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.kinds import API_VERSION, LinkSpec
from vneter_sdn.model.links import FOUND, INTERFACES, ORIGIN, is_found, link_name
from vneter_sdn.model.snapshot import Condition, Key, Snapshot, Status
from vneter_sdn.store.port import Edit, Store
from vneter_sdn.telemetry.links import LinkSeen
from vneter_sdn.telemetry.survey import End, LinksSeen, WireFound, WireLost

_log = logging.getLogger(__name__)
AUTHOR = "discovery"
Wire = tuple[End, End]
"""The end that sorts first, first."""
_STATES = ("up", "unknown", "damped", "down")
"""From the best to the worst."""
_REFUSALS = (IntentError, Conflict, NotFound)


class Links:
    """Links as they were seen, and the objects there are of wires."""

    def __init__(self) -> None:
        self._ways: dict[str, dict[str, LinkSeen]] = {}
        """By the name a link is reported by: its directions, by edge."""
        self._stale: set[Key] = set()
        self._turned: set[Key] = set()
        """Of these, those whose state changed: that is reported at once."""
        self._gone: set[Key] = set()
        self._wires: set[Wire] = set()
        """Those that are there now."""
        self._macs: dict[Wire, tuple[int, int]] = {}
        """Ethernet addresses of their interfaces."""
        self._unwritten: set[Wire] = set()
        self._objects: dict[Wire, set[Key]] = {}
        self._wired: dict[End, set[Wire]] = {}
        """Wires that have objects, by their ends."""
        self._places: dict[Key, Wire] = {}

    # -- what is seen ---------------------------------------------------------------------------

    def take(self, event: LinksSeen) -> dict[str, Observation | None]:
        """Take in what changed of links; what the compiler is to know of it."""
        for name, seen in event.links.items():
            key = Key("Link", "", link_name(name))
            ways = self._ways.setdefault(key.name, {})
            before = ways.get(name)
            if before and seen and before.state != seen.state:
                self._turned.add(key)
            if seen is None:
                ways.pop(name, None)
            else:
                ways[name] = seen
            if ways:
                self._gone.discard(key)
                self._stale.add(key)
            else:
                del self._ways[key.name]
                self._stale.discard(key)
                self._turned.discard(key)
                self._gone.add(key)
        return {name: _observed(seen) for name, seen in event.links.items()}

    def observations(self) -> Mapping[str, Observation | None]:
        """Of all links."""
        return {n: s.observation for ways in self._ways.values() for n, s in ways.items()}

    def seen(self, edge: str) -> LinkSeen | None:
        """What was seen of an edge, by its name."""
        return self._ways.get(link_name(edge), {}).get(edge)

    def found(self, event: WireFound) -> None:
        """A wire is there."""
        self._wires.add((event.one, event.other))
        self._macs[event.one, event.other] = event.macs
        self._unwritten.add((event.one, event.other))

    def lost(self, event: WireLost) -> None:
        """A wire is not there."""
        self._wires.discard((event.one, event.other))
        self._macs.pop((event.one, event.other), None)
        self._unwritten.discard((event.one, event.other))

    def left(self, host: str) -> None:
        """A host is no more, or is another bridge from now on.

        That its wires are gone is heard later; until then they must not be written again.
        """
        gone = {wire for wire in self._wires if host in (wire[0].host, wire[1].host)}
        self._wires -= gone
        self._unwritten -= gone
        for wire in gone:
            self._macs.pop(wire, None)

    # -- objects --------------------------------------------------------------------------------

    def index(self, snapshot: Snapshot, keys: Iterable[Key]) -> None:
        """Note which wires have objects; a change may let one be written that could not be."""
        for key in keys:
            if key.kind == "Host":
                self._retry(
                    wire for wire in self._wires if key.name in (wire[0].host, wire[1].host)
                )
            if key.kind == "Link":
                self._forget_object(key)
                stored = snapshot.objects.get(key)
                wire = None if stored is None else wire_of(stored.spec)
                if wire is not None:
                    self._note_object(key, wire)

    def _note_object(self, key: Key, wire: Wire) -> None:
        self._places[key] = wire
        self._objects.setdefault(wire, set()).add(key)
        for end in wire:
            self._wired.setdefault(end, set()).add(wire)

    def _forget_object(self, key: Key) -> None:
        wire = self._places.pop(key, None)
        if wire is None:
            return
        self._objects[wire].discard(key)
        if self._objects[wire]:
            return
        del self._objects[wire]
        for end in wire:
            self._wired[end].discard(wire)
            if not self._wired[end]:
                del self._wired[end]
        self._retry(one for one in self._wires if set(one) & set(wire))

    def _retry(self, wires: Iterable[Wire]) -> None:
        self._unwritten |= set(wires)

    @property
    def unwritten(self) -> tuple[Wire, ...]:
        """Wires that may have to be written, sorted."""
        return tuple(sorted(self._unwritten))

    def edits(self, snapshot: Snapshot, wire: Wire) -> list[Edit]:
        """What makes the store know of a wire; nothing when it does, or a host is not there."""
        if wire in self._objects:
            return []
        if any(Key("Host", "", end.host) not in snapshot.objects for end in wire):
            return []
        edits = [
            Edit("delete", key)
            for other in sorted({w for end in wire for w in self._wired.get(end, ())})
            for key in sorted(self._objects[other])
            if is_found(snapshot.objects[key])
        ]
        return [*edits, _creation(wire, self._macs.get(wire, ()))]

    def written(self, wires: Iterable[Wire]) -> None:
        """These need not be looked at again, until something changes that concerns them."""
        self._unwritten -= set(wires)

    # -- reports --------------------------------------------------------------------------------

    def due(self, *, measured: bool) -> frozenset[Key]:
        """Links to report: those that turned, as up to down; with ``measured`` all that changed."""
        due = frozenset(self._stale if measured else self._turned)
        self._stale -= due
        self._turned.clear()
        return due

    @property
    def gone(self) -> frozenset[Key]:
        """Links whose report is to go."""
        return frozenset(self._gone)

    def withdrawn(self, gone: Collection[Key]) -> None:
        """The reports of these went."""
        self._gone -= set(gone)

    def status(self, snapshot: Snapshot, key: Key, before: Status | None) -> Status | None:
        """The report of a link; None where there is nothing new.

        After a restart, what was reported stands until something is seen.
        """
        stored = snapshot.objects.get(key)
        ways = sorted(self._ways.get(key.name, {}).values(), key=lambda s: s.edge.name)
        if not ways:
            if stored is None or (before and before.observed_revision == stored.revision):
                return None
            return Status(key, stored.revision, accepted(), before.details if before else {})
        revision = 0 if stored is None else stored.revision
        state = max((seen.state for seen in ways), key=_STATES.index)
        conditions = (*accepted(), _condition(state))
        details = {"origin": self._origin(snapshot, ways[0]), "state": state, **_details(ways)}
        return Status(key, revision, conditions, details)

    def _origin(self, snapshot: Snapshot, seen: LinkSeen) -> str:
        """``tunnel``, ``lldp``, or ``declared`` for a wire that somebody declared."""
        edge = seen.edge
        if edge.medium != "wire":
            return edge.medium
        ends = (End(edge.source, edge.port), End(edge.target, edge.target_port))
        keys = self._objects.get((min(ends), max(ends)), ())
        objects = [snapshot.objects[key] for key in keys if key in snapshot.objects]
        return FOUND if all(map(is_found, objects)) else "declared"


def wire_of(spec: LinkSpec) -> Wire | None:
    """The wire that a link describes; None for a tunnel."""
    if spec.medium != "wire" or spec.source_port is None or spec.target_port is None:
        return None
    ends = (End(spec.source, spec.source_port), End(spec.target, spec.target_port))
    return min(ends), max(ends)


def write(links: Links, store: Store, snapshot: Snapshot) -> None:
    """Have the store know of the wires that were found.

    Raises:
        StoreUnavailable: it can't be reached; call again.
    """
    wires = links.unwritten
    if not wires:
        return
    try:
        _apply(store, links, snapshot, wires)
    except _REFUSALS:
        for wire in wires:
            try:
                _apply(store, links, snapshot, (wire,))
            except _REFUSALS as refused:
                ends = " and ".join(f"{end.host}:{end.port}" for end in wire)
                _log.warning("the wire between %s is not used: %s", ends, refused)
    links.written(wires)


def _apply(store: Store, links: Links, snapshot: Snapshot, wires: Iterable[Wire]) -> None:
    edits: dict[Key, Edit] = {}
    for wire in wires:
        for edit in links.edits(snapshot, wire):
            edits.setdefault(edit.key, edit)
    if edits:
        store.apply(tuple(edits.values()), author=AUTHOR, message="wires found by LLDP")


def _creation(wire: Wire, macs: Collection[int]) -> Edit:
    one, other = wire
    annotations = {ORIGIN: FOUND}
    if macs and all(macs):
        annotations[INTERFACES] = ",".join(map(mac_text, macs))
    name = link_name(wire_edge(one.host, one.port, other.host, other.port))
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Link",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "medium": "wire",
            "source": one.host,
            "sourcePort": one.port,
            "target": other.host,
            "targetPort": other.port,
        },
    }
    return Edit("create", Key("Link", "", name), manifest, "a wire found by LLDP")


def _details(ways: Sequence[LinkSeen]) -> dict[str, Any]:
    """Of the direction whose edge sorts first; what is measured of the other is in ``back``."""
    edge = ways[0].edge
    details = {
        "source": edge.source,
        "target": edge.target,
        "medium": edge.medium,
        "edge": edge.name,
        "ports": f"{edge.port}:{edge.target_port}",
        "flaps": max(seen.flaps for seen in ways),
        **_measured(ways[0].observation),
    }
    return details | ({"back": _measured(ways[1].observation)} if len(ways) > 1 else {})


def _measured(observation: Observation) -> dict[str, float]:
    found = {
        "latencyMs": observation.latency,
        "loss": observation.loss,
        "utilisation": observation.utilisation,
        "capacityMbps": observation.capacity,
    }
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def _condition(state: str) -> Condition:
    if state == "unknown":
        return Condition("Up", "Unknown", "Unknown", "nothing says that it works, or fails")
    damped = "it flaps, and is left out until it has been quiet" if state == "damped" else ""
    return condition("Up", state == "up", state.capitalize(), damped)


def _observed(seen: LinkSeen | None) -> Observation | None:
    return None if seen is None else seen.observation
