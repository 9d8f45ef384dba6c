# SPDX-License-Identifier: Apache-2.0
"""A network that is compiled, and changes that are tried on it: nothing outside is touched."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vneter_sdn.admission.admit import admit
from vneter_sdn.admission.advance import carried_out, with_reports
from vneter_sdn.admission.allocation import indexed
from vneter_sdn.compile.bridges import BridgeDelta
from vneter_sdn.compile.facts import ALLOCATION, facts, tunnel_facts
from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.query import Fact
from vneter_sdn.errors import IntentError
from vneter_sdn.graph.colours import assign, canonical
from vneter_sdn.graph.route import Route, parse, text
from vneter_sdn.kubernetes.cluster import stand_in
from vneter_sdn.model.colours import colour_of, coloured
from vneter_sdn.model.flow import BridgeState, Flow, FlowKey, Group, Meter
from vneter_sdn.model.rows import HostRows
from vneter_sdn.model.snapshot import Binding, Delta, Key, Pools, Snapshot
from vneter_sdn.northbound.foreign import CLUSTER, Accepted, accept_into, is_foreign
from vneter_sdn.northbound.resources import edit_of, manifest_of
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.store.port import Edit
from vneter_sdn.verify.fleet import Wiring

NOTHING_MORE: Mapping[Fact, Any] = MappingProxyType({})
_SURROUNDING = ("Host", "Tenant", "Namespace", "Network", "Endpoint")


@dataclass(frozen=True, slots=True)
class BridgeChange:
    """What a change does to one bridge: what is at a place before and after."""

    flows: Mapping[FlowKey, tuple[Flow | None, Flow | None]] = field(default_factory=dict)
    groups: Mapping[int, tuple[Group | None, Group | None]] = field(default_factory=dict)
    meters: Mapping[int, tuple[Meter | None, Meter | None]] = field(default_factory=dict)
    rows: tuple[HostRows | None, HostRows | None] = (None, None)

    def __bool__(self) -> bool:
        return bool(self.flows or self.groups or self.meters or self.rows[0] != self.rows[1])


@dataclass(frozen=True, slots=True)
class Step:
    """A change that was taken in."""

    before: Snapshot
    after: Snapshot
    delta: Delta
    bridges: Mapping[str, BridgeChange]
    notes: tuple[str, ...] = ()
    compiling: float = 0.0
    """Seconds."""

    @property
    def objects(self) -> dict[str, list[Key]]:
        """Keys of objects by what becomes of them: ``created``, ``updated``, ``deleted``."""
        found: dict[str, list[Key]] = {"created": [], "updated": [], "deleted": []}
        one, other = self.before.objects, self.after.objects
        for key in sorted(self.delta.objects):
            if key not in other:
                found["deleted"].append(key)
            else:
                found["updated" if key in one else "created"].append(key)
        return found


class Bench:
    """A compiled network that changes are tried on.

    Args:
        snapshot: what was asked for and where endpoints are.
        compiler: what is compiled of it; taken over.
        alone: whether no fleet stands behind it: then endpoints are where they say they are, and
            what Kubernetes manifests need is made up.
    """

    def __init__(self, snapshot: Snapshot, compiler: Compiler, *, alone: bool) -> None:
        self.snapshot, self.compiler, self.alone = indexed(snapshot), compiler, alone
        self._colours: dict[Route, int] = {}
        self._colour(self.snapshot.allocations)

    def states(self) -> dict[str, BridgeState]:
        """What every bridge holds."""
        return {host: self.compiler.bridge(host) for host in self.compiler.hosts()}

    def wiring(self) -> Wiring:
        """How bridges are joined."""
        hosts = self.compiler.hosts()
        rows = {host: self.compiler.rows(host) for host in hosts}
        return Wiring.of(rows, self._wires(hosts))

    def _wires(self, hosts: Sequence[str]) -> Iterator[tuple[PortOf, PortOf]]:
        ports = {host: self.compiler.ports(host) for host in hosts}
        for host, held in ports.items():
            for edge in self.compiler.links(host):
                back = ports.get(edge.target, {}).get(edge.reverse)
                if edge.medium == "wire" and edge.name in held and back is not None:
                    yield PortOf(host, held[edge.name]), PortOf(edge.target, back)

    # ---- what is asked for

    def edits(self, documents: Sequence[Any], tenant: str = CLUSTER) -> tuple[list[Edit], Accepted]:
        """What manifests ask for, those of Kubernetes too.

        Raises:
            IntentError: they are malformed.
        """
        accepted = accept_into(self.snapshot, documents, tenant=tenant)
        made = accepted.manifests
        if self.alone and any(map(is_foreign, documents)):
            made = tuple(self._placed(made))
        try:
            found = [edit_of(one, origin=f"document {n}") for n, one in enumerate(made, 1)]
        except IntentError as error:
            raise accepted.told(error) from None
        return found, accepted

    def _placed(self, manifests: Sequence[Any]) -> Iterator[Any]:
        """With what they need besides: who is somewhere stays there, who is new goes somewhere."""
        given = {_identity(one): one for one in manifests}
        context = []
        for key, stored in self.snapshot.objects.items():
            if key.kind not in _SURROUNDING:
                continue
            known = manifest_of(stored)
            mine = given.get(key)
            if mine is None:
                context.append(known)
            elif key.kind in ("Endpoint", "Host"):
                for name in ("host", "ovsdb", "tunnelAddresses", "datapathId"):
                    if name in known["spec"] and not mine["spec"].get(name):
                        mine["spec"][name] = known["spec"][name]
        there = {_identity(one) for one in context}
        for one in stand_in([*context, *manifests]):
            if _identity(one) not in there:
                yield one

    # ---- changes

    def take(self, edits: Sequence[Edit], notes: Sequence[str] = ()) -> Step:
        """Admit some edits and compile what they change.

        Raises:
            IntentError, Conflict, NotFound: they are not acceptable; nothing was changed.
        """
        admission = admit(self.snapshot, edits, time.time())
        after, delta = carried_out(self.snapshot, admission)
        if self.alone:
            bindings = _bindings(after, delta)
            after = with_reports(after, bindings, {})
            delta = Delta(
                delta.objects, delta.allocations, delta.bindings | set(bindings), delta.statuses
            )
        return self.move(after, delta, notes)

    def move(
        self,
        after: Snapshot,
        delta: Delta,
        notes: Sequence[str] = (),
        more: Mapping[Fact, Any] = NOTHING_MORE,
    ) -> Step:
        """Compile what becomes of another snapshot, which differs by a delta.

        Args:
            after: the snapshot.
            delta: what differs.
            notes: for people.
            more: facts that do not follow from the delta: the time, what DNS names stand for.
        """
        began = time.perf_counter()
        before, self.snapshot = self.snapshot, indexed(after)
        held = {
            host: (self.compiler.bridge(host), self._rows(host)) for host in self.compiler.hosts()
        }
        changed = self._merged(
            self.compiler.update({**facts(after, delta), **_tunnels(after, delta), **more}),
            self._colour(after.allocations),
        )
        bridges = {}
        for host, moved in sorted(changed.items()):
            state, rows = held.get(host, (BridgeState(), None))
            now = self.compiler.bridge(host) if host in self.compiler.hosts() else BridgeState()
            found = BridgeChange(
                _changed(state.flows, now.flows, moved.flows),
                _changed(state.groups, now.groups, moved.groups),
                _changed(state.meters, now.meters, moved.meters),
                (rows, self._rows(host)) if moved.rows else (None, None),
            )
            if found:
                bridges[host] = found
        return Step(before, after, delta, bridges, tuple(notes), time.perf_counter() - began)

    def _rows(self, host: str) -> HostRows | None:
        return self.compiler.rows(host) if host in self.compiler.hosts() else None

    def _merged(self, *deltas: Mapping[str, BridgeDelta]) -> dict[str, BridgeDelta]:
        found: dict[str, BridgeDelta] = {}
        for delta in deltas:
            for host, one in delta.items():
                held = found.get(host, BridgeDelta())
                found[host] = BridgeDelta(
                    held.flows | one.flows,
                    held.groups | one.groups,
                    held.meters | one.meters,
                    held.rows or one.rows,
                )
        return found

    def _colour(self, allocations: Mapping[tuple[str, str], Any]) -> Mapping[str, BridgeDelta]:
        """Give paths that have no colour one, as the controller would."""
        held = {
            canonical(parse(value)): colour_of(one)
            for (pool, value), one in allocations.items()
            if pool == Pools.PATH
        }
        wanted = frozenset(map(canonical, self.compiler.wanted_paths()))
        kept = {r: c for r, c in self._colours.items() if r in wanted and r not in held}
        now = {**kept, **assign({**kept, **held}, wanted)}
        changes: dict[Fact, str | None] = {
            Fact(ALLOCATION, (Pools.PATH, text(route))): None
            for route in self._colours
            if route not in now and route not in held
        }
        for route in now.keys() - self._colours.keys():
            one = coloured(text(route), now[route])
            changes[Fact(ALLOCATION, (one.pool, one.value))] = one.owner
        self._colours = now
        return self.compiler.update(changes) if changes else {}


def _tunnels(snapshot: Snapshot, delta: Delta) -> dict[Fact, Any]:
    """Ports that hosts gave their tunnels."""
    found: dict[Fact, Any] = {}
    for key in delta.statuses:
        status = snapshot.statuses.get(key)
        tunnels = status.details.get("tunnels") if status and key.kind == "Host" else None
        if isinstance(tunnels, Mapping):
            ports = {name: int(one["port"]) for name, one in tunnels.items()}
            found |= tunnel_facts(key.name, {n: port for n, port in ports.items() if port > 0})
    return found


def _identity(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return Key(str(manifest["kind"]), str(metadata.get("tenant") or ""), str(metadata["name"]))


def _changed(before: Mapping[Any, Any], after: Mapping[Any, Any], places: Any) -> dict[Any, Any]:
    pairs = {place: (before.get(place), after.get(place)) for place in places}
    return {place: pair for place, pair in pairs.items() if pair[0] != pair[1]}


def _bindings(snapshot: Snapshot, delta: Delta) -> dict[Key, Binding | None]:
    """Where endpoints are that say another host than before; those that are somewhere stay."""
    taken: Counter[str] = Counter()
    sequence = 0
    for binding in snapshot.bindings.values():
        taken[binding.host] = max(taken[binding.host], binding.ofport)
        sequence = max(sequence, binding.sequence)
    found: dict[Key, Binding | None] = {}
    for key in sorted(k for k in delta.objects if k.kind == "Endpoint"):
        stored, held = snapshot.objects.get(key), snapshot.bindings.get(key)
        host = stored.spec.host if stored else None
        if host is None or (held is not None and held.host == host):
            continue
        if Key("Host", "", host) not in snapshot.objects:
            continue
        taken[host] += 1
        sequence += 1
        found[key] = Binding(key, host, f"port{taken[host]}", taken[host], sequence)
    return found
