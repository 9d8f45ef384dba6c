# SPDX-License-Identifier: Apache-2.0
"""Where endpoints are, followed event by event: what hosts showed, and what the store is told."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from vneter_sdn.engine.bindings import Port, Sightings, decide, forget, sight
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.store.port import Store

_NOTHING: Sightings = MappingProxyType({})


class Whereabouts:
    """What hosts showed, and which endpoint each interface id means.

    Args:
        seen: what they showed before.
        clock: of the last time.
    """

    def __init__(self, seen: Sightings = _NOTHING, clock: int = 0) -> None:
        self._seen, self._clock = seen, clock
        self._interfaces: dict[str, Key] = {}
        self._interface_of: dict[Key, str] = {}
        self._sequence = 0
        """The highest sequence of a binding, ever."""
        self._undecided = {i for ports in self._seen.values() for i in ports}
        """Interface ids whose binding may have to change."""

    def renewed(self) -> Whereabouts:
        """One that knows what hosts showed, and nothing of the store."""
        return Whereabouts(self._seen, self._clock)

    def take(self, snapshot: Snapshot, objects: Iterable[Key], bindings: Iterable[Key]) -> None:
        """Take in which endpoints and bindings changed in the store."""
        for key in objects:
            if key.kind == "Endpoint":
                self._index(snapshot, key)
        found = (snapshot.bindings.get(endpoint) for endpoint in bindings)
        self._sequence = max(self._sequence, *(b.sequence for b in found if b), 0)

    def _index(self, snapshot: Snapshot, key: Key) -> None:
        old = self._interface_of.pop(key, None)
        if old is not None and self._interfaces.get(old) == key:
            del self._interfaces[old]
        endpoint = snapshot.objects.get(key)
        if endpoint is not None:
            interface = endpoint.spec.interface_id or key.path
            self._interfaces[interface] = key
            self._interface_of[key] = interface
            self._undecided.add(interface)

    def shown(self, host: str, ports: Iterable[Port]) -> None:
        """The whole set of endpoint ports on a host."""
        there = tuple(ports)
        self._clock += 1
        self._undecided |= set(self._seen.get(host, ()))
        self._seen = sight(self._seen, host, there, self._clock)
        self._undecided |= {port.interface_id for port in there}

    def forget(self, host: str) -> None:
        """A host is not managed any more."""
        self._seen = forget(self._seen, host)

    def bind(self, store: Store, snapshot: Snapshot) -> None:
        """Tell the store where endpoints are now.

        Raises:
            StoreUnavailable: it can't be reached; call again.
        """
        wanted = {i: self._interfaces[i] for i in self._undecided if i in self._interfaces}
        if wanted:
            decision = decide(wanted, snapshot.bindings, self._seen, self._sequence)
            if decision.bound or decision.unbound:
                store.bind(decision.bound, decision.unbound)
                self._sequence += len(decision.bound)
        self._undecided.clear()
