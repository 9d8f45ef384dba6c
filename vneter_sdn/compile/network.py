# SPDX-License-Identifier: Apache-2.0
"""The compiler: intent and observations in; what every bridge and host should hold, out.

`Compiler` keeps its answers up to date with each change; `compile_snapshot` starts from nothing.
Both always agree (``tests/compile`` proves it on random edits), for everything goes through
`query.Database`, which knows what each answer was computed from.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from vneter_sdn.compile import order
from vneter_sdn.compile.bookings import Admission, admission, bookings
from vneter_sdn.compile.books import policies, positions_of, tenant_rules
from vneter_sdn.compile.bridges import BridgeDelta, Bridges, Clash, Unit
from vneter_sdn.compile.classes import CLASS_OF, Class, Ledger
from vneter_sdn.compile.danger import endangered
from vneter_sdn.compile.engineered import Task
from vneter_sdn.compile.extents import KINDS, Extent, extent
from vneter_sdn.compile.facts import (
    ALLOCATION,
    BOUND_ON,
    GUESSING,
    INDEXES,
    clock_fact,
    everything,
    facts,
    link_facts,
    port_facts,
    tunnel_facts,
)
from vneter_sdn.compile.features import FEATURES
from vneter_sdn.compile.links import bridges, edge_ports, edges_of, tunnels, watched
from vneter_sdn.compile.outcomes import Pair, Usage, host_usage, link_usage, outcome, task
from vneter_sdn.compile.policies import Choice, chosen, wanted
from vneter_sdn.compile.policing import isolates
from vneter_sdn.compile.queries import bridge_of, host_key, place, tenant_presence
from vneter_sdn.compile.query import Database, Fact, Query, View, query
from vneter_sdn.compile.standing import shard_of, standing_facts, steady, trees
from vneter_sdn.compile.ways import Distances, merged, steady_ways, turns
from vneter_sdn.errors import PipelineError
from vneter_sdn.graph.colours import assign
from vneter_sdn.graph.reservations import Booking
from vneter_sdn.graph.route import Route, parse, text
from vneter_sdn.graph.topology import Edge, Observation
from vneter_sdn.model.colours import colour_of, coloured
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.flow import BridgeState, FlowKey
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.rows import HostRows
from vneter_sdn.model.snapshot import Delta, Key, Pools, Snapshot
from vneter_sdn.pipeline.tables import table_names
from vneter_sdn.policy.rule import Rule

ADVERTISED = "Advertised"
"""Relation of one fact: the OpenFlow target of remote hosts."""
Standing = Mapping[int, Mapping[str, bool]]
"""By shard of targets and name of the edge: whether it counts as up."""
NOTHING_STANDS: Standing = MappingProxyType({})


@query
def host_rows(view: View, host: Key) -> HostRows | None:
    """What a host's OVSDB should hold; None while it has no bridge id."""
    bridge = view.ask(bridge_of, host.name)
    if bridge is None:
        return None
    spec: HostSpec = view.get("Host", host)
    return HostRows(
        spec.bridge,
        spec.datapath_type,
        datapath_of(spec, bridge),
        controller_target(spec, view.get(ADVERTISED, "") or ""),
        view.ask(tunnels, host.name),
        table_names(),
        view.ask(watched, host.name),
    )


def controller_target(spec: HostSpec, advertised: str) -> str:
    """The OpenFlow target a bridge is given.

    Its host's own; else a unix socket beside a local database's; else the one advertised to all.
    None, which is empty, where the host has no database to write it to.
    """
    if spec.controller is not None:
        return spec.controller
    if spec.ovsdb is None:
        return ""
    if spec.ovsdb.startswith("unix:"):
        directory = spec.ovsdb.removeprefix("unix:").rpartition("/")[0]
        return f"unix:{directory}/{spec.bridge}.vneter"
    return advertised


class Fleet(NamedTuple):
    """What is asked of the compiler besides the state of bridges."""

    wanted: frozenset[Route]
    hosts: Mapping[int, str]
    """Name of the host of each bridge id."""


@query
def fleet(view: View, _: str) -> Fleet:
    """The one value of its kind."""
    numbers = view.ask(bridges, None)
    return Fleet(view.ask(wanted, None), {bridge: host for host, bridge in numbers.items()})


def _units() -> tuple[dict[str, tuple[Query[Any, Any], ...]], dict[Query[Any, Any], str]]:
    """The outputs by kind of subject, and the name of each unit."""
    outputs: dict[str, tuple[Query[Any, Any], ...]] = {
        "Host": (host_rows, host_usage),
        "Link": (link_usage,),
        "PathPolicy": (outcome, task),
        "Reservation": (admission,),
        "Tenant": (tenant_rules,),
        ADVERTISED: (fleet,),
    }
    names: dict[Query[Any, Any], str] = {}
    for feature in FEATURES:
        for kind, unit in feature.units().items():
            outputs[kind] = (*outputs.get(kind, ()), unit)
            names[unit] = unit.name
        for kind, unit in feature.overlays().items():
            outputs[kind] = (*outputs.get(kind, ()), unit)
            names[unit] = unit.name
    return outputs, names


_OUTPUTS, _NAMES = _units()
_OVER = frozenset(unit.name for f in FEATURES for unit in f.overlays().values())
_TOLD = frozenset({admission, host_usage, link_usage, outcome})
"""Outputs that are reported, not put on bridges."""


_POLICIES = {
    kind: unit for unit, name in _NAMES.items() for kind in KINDS if name == f"policy/{kind}"
}
"""The units of policies, by kind."""


class Compiler:
    """Keeps what every bridge and host should hold.

    Args:
        advertised: OpenFlow target for hosts that neither name one nor are local.
        breathe: called every few milliseconds while something is taken in; nothing that runs then
            may use this compiler.
    """

    def __init__(self, advertised: str = "", breathe: Breathe = on_and_on) -> None:
        self._breathe = breathe
        self._database = Database(INDEXES, _OUTPUTS, breathe)
        self._database.update({Fact(ADVERTISED, ""): advertised})
        self._bridges = Bridges(breathe, _OVER)
        self._classes = Ledger()
        self._touched: frozenset[Key] = frozenset()
        self._policies_touched: frozenset[Key] = frozenset()
        self._rows_changed: frozenset[str] = frozenset()
        self._told: frozenset[Key] = frozenset()
        self._distances: dict[tuple[str, int], Mapping[str, int]] = {}

    def take(self, snapshot: Snapshot, delta: Delta) -> dict[str, frozenset[FlowKey]]:
        """Take in what changed in the store; returns the keys of flows that changed, by host.

        Hosts of which only meters or groups changed are there with no keys. The first delta has
        to be `facts.everything`.

        Raises:
            PipelineError: a feature broke the contract of a table.
        """
        return changed_flows(self.update(facts(snapshot, delta, self._breathe)))

    def observe_tunnels(
        self, host: str, ofports: Mapping[str, int]
    ) -> dict[str, frozenset[FlowKey]]:
        """Take in the OpenFlow ports that a host gave its tunnels, by name of the port."""
        return changed_flows(self.update(tunnel_facts(host, ofports)))

    def observe_ports(self, host: str, ofports: Mapping[str, int]) -> dict[str, frozenset[FlowKey]]:
        """Take in the OpenFlow ports of a host's bridge, by name of the interface."""
        return changed_flows(self.update(port_facts(host, ofports)))

    def observe_links(
        self, observations: Mapping[str, Observation | None], standing: Standing = NOTHING_STANDS
    ) -> dict[str, frozenset[FlowKey]]:
        """Take in what was seen of links, by name of the edge; None forgets one.

        Repair trees of the targets of a shard take edges that are ``standing`` for it to be up, or
        not up, as that says, until another call says otherwise of that shard: see `standing`.
        """
        return changed_flows(self.update({**link_facts(observations), **standing_facts(standing)}))

    def endangered(self, shard: int) -> bool:
        """Whether repairs towards targets of a shard should follow the graph of now at once.

        See `danger`. O(V + E) and more for each target.
        """
        value = self._database.value
        now, stands = value(trees, None), value(steady, shard)
        if now is None or stands is None or now is stands:
            return False
        for target in (host for host in now.graph.vertices if shard_of(host) == shard):
            self._breathe()
            held = merged(value(steady_ways, target) or {}, value(turns, target) or {})
            if endangered(now, stands, target, held):
                return True
        return False

    def update(self, changes: Mapping[Any, Any]) -> dict[str, BridgeDelta]:
        """Take in facts (None deletes); returns what changed, by host."""
        self._distances.clear()
        changed = self._database.update({**changes, **self._classes.taken_in(changes)})
        units = {
            Unit(_NAMES[asked], cast("Key", key)): (before or (), after or ())
            for (asked, key), (before, after) in paced(changed.items(), self._breathe)
            if asked in _NAMES
        }
        self._touched = frozenset(u.subject for u in units if u.subject.kind == "Endpoint")
        policed = KINDS | {"Tenant"}
        self._policies_touched = frozenset(u.subject for u in units if u.subject.kind in policed)
        self._rows_changed = frozenset(
            cast("Key", key).name for asked, key in changed if asked is host_rows
        )
        self._told = frozenset(cast("Key", key) for asked, key in changed if asked in _TOLD)
        deltas = self._bridges.apply(units)
        for host in self._rows_changed:
            deltas[host] = replace(deltas.get(host, BridgeDelta()), rows=True)
        return deltas

    def bridge(self, host: str) -> BridgeState:
        """What a host's bridge should hold. O(1) unless it changed, then O(what did of late)."""
        return self._bridges.state(host)

    def digest(self, host: str) -> str:
        """Digest of `bridge`, in O(what changed since it was asked for)."""
        return self._bridges.digest(host)

    def rows(self, host: str) -> HostRows:
        """What a host's OVSDB should hold.

        Raises:
            PipelineError: there is no such host, or it has no bridge id.
        """
        rows = self._database.value(host_rows, host_key(host))
        if rows is None:
            raise PipelineError(f"Host {host} has no bridge id")
        return rows

    def links(self, host: str) -> tuple[Edge, ...]:
        """Edges out of a host that are to exist, as declared: `Edge.port` is the interface."""
        return self._database.value(edges_of, host) or ()

    def ports(self, host: str) -> Mapping[str, int]:
        """OpenFlow port of those edges out of a host whose port is known, by name of the edge."""
        return self._database.value(edge_ports, host) or {}

    def wanted_paths(self) -> frozenset[Route]:
        """Every path that some policy wants, in the direction whose source sorts first.

        Those that have no colour yet carry nothing. Colours are kept by the store
        (`model.snapshot.Pools.PATH`) and come back as allocations.
        """
        return self._fleet.wanted

    def chosen_paths(self, policy: Key, source: str, target: str) -> Choice | None:
        """What a policy wants from one host to another; None when it is not about these."""
        return self._database.value(chosen, (policy, source, target))

    def admission(self, reservation: Key) -> Admission | None:
        """What became of a reservation; None for one that is not there."""
        return self._database.value(admission, reservation)

    def outcome(self, policy: Key) -> tuple[Pair, ...]:
        """What became of a path policy, between all hosts that it is about."""
        return self._database.value(outcome, policy) or ()

    def usage(self, key: Key) -> Usage | None:
        """What uses a link or host that is drained; None for one that is not."""
        return self._database.value(host_usage if key.kind == "Host" else link_usage, key)

    def task(self, policy: Key) -> Task | None:
        """What there is to plan for a policy; None where nothing is engineered."""
        return self._database.value(task, policy)

    def rules(self, tenant: str) -> Mapping[int, Rule]:
        """Rules that concern a tenant, by the number they have on bridges. O(rules)."""
        found = self._database.value(tenant_rules, Key("Tenant", "", tenant))
        return found or {}

    def positions(self, policy: Key, tenants: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """Where a policy's rules stand among others, by tenant; empty where there is no order.

        To be reported in its details as ``positions``, which keeps them there.
        """
        each = {tenant: positions_of(self._database, tenant, policy) for tenant in tenants}
        return {tenant: found for tenant, found in each.items() if found}

    def isolating(self, endpoint: Key, way: Direction) -> tuple[Key, ...]:
        """Policies under which an endpoint may do only what a rule of their stage allows."""
        one: Class | None = self._database.peek(CLASS_OF, endpoint)
        if one is None:
            return ()
        found = []
        for policy in self._database.value(policies, one.tenant) or ():
            held = self._database.value(isolates, (one.tenant, policy)) or {}
            if one in held.get(way, ()):
                found.append(policy)
        return tuple(found)

    def extent(self, policy: Key, tenants: Iterable[str]) -> Extent:
        """How far a policy reaches, among tenants. O(its flows, and classes it is about)."""
        parts = self._database.value(_POLICIES[policy.kind], policy) or ()
        return extent(self._database, policy, parts, tenants)

    def policies_touched(self) -> frozenset[Key]:
        """Policies, and tenants, whose flows the last change touched."""
        return self._policies_touched

    def told(self) -> frozenset[Key]:
        """Objects of which the last change changed `admission`, `outcome` or `usage`."""
        return self._told

    def bookings(self) -> tuple[Booking, ...]:
        """All reservations, the oldest first."""
        return self._database.value(bookings, None) or ()

    def advance(self, now: float) -> dict[str, frozenset[FlowKey]]:
        """A reservation's window began or ended: POSIX seconds."""
        return changed_flows(self.update(clock_fact(now)))

    def rank(self, host: str, place: Hashable) -> int:
        """When a change at a place may be made, see `order.rank`: the lower, the earlier."""
        return order.rank(host, place, self._distances_of)

    def _distances_of(self, bridge: int, colour: int) -> Mapping[str, int]:
        target = self._fleet.hosts.get(bridge, "")
        found = self._distances.get((target, colour))
        if found is None:
            turned, steady = (self._database.value(q, target) for q in (turns, steady_ways))
            found = Distances([turned or {}, steady or {}], target, colour)
            self._distances[target, colour] = found
        return found

    @property
    def _fleet(self) -> Fleet:
        found = self._database.value(fleet, "")
        return found or Fleet(frozenset(), {})

    def hosts(self) -> tuple[str, ...]:
        """Hosts whose bridge should hold something, sorted."""
        return self._bridges.hosts()

    def touched(self) -> frozenset[Key]:
        """Endpoints whose flows the last change touched."""
        return self._touched

    def rows_changed(self) -> frozenset[str]:
        """Hosts whose rows the last change touched."""
        return self._rows_changed

    def holders(self, endpoint: Key) -> frozenset[str]:
        """Hosts that hold flows for an endpoint: those where its tenant is, and its own."""
        at = self._database.value(place, endpoint)
        if at is None:
            return frozenset()
        everywhere = self._database.value(tenant_presence, endpoint.tenant) or frozenset()
        return everywhere | {at.host}

    def bound_on(self, host: str) -> frozenset[Key]:
        """Endpoints bound to a host, whether or not they are compiled."""
        return self._database.find(BOUND_ON, host)

    def unit(self, host: str, flow: FlowKey) -> Unit | None:
        """The unit (feature and object) that a flow of a bridge comes from."""
        return self._bridges.owner(host, flow)

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """Places that more than one object claims; empty unless something is wrong."""
        return self._bridges.clashes()

    @property
    def size(self) -> int:
        """Facts, index entries and memoised values held."""
        return self._database.size

    @property
    def runs(self) -> int:
        """How many queries ran, ever."""
        return self._database.runs


def changed_flows(deltas: Mapping[str, BridgeDelta]) -> dict[str, frozenset[FlowKey]]:
    """Keys of flows that changed, by host."""
    return {
        host: delta.flows
        for host, delta in deltas.items()
        if delta.flows or delta.groups or delta.meters
    }


class Observed(NamedTuple):
    """What was seen of a fleet, by host or by name of the edge."""

    tunnels: Mapping[str, Mapping[str, int]] = {}
    """OpenFlow port of each tunnel port."""
    ports: Mapping[str, Mapping[str, int]] = {}
    links: Mapping[str, Observation | None] = {}
    standing: Standing = NOTHING_STANDS
    """What repairs take to be otherwise, see `Compiler.observe_links`."""


def compile_snapshot(
    snapshot: Snapshot,
    ofports: Mapping[str, Mapping[str, int]] | None = None,
    advertised: str = "",
    seen: Observed | None = None,
) -> Compiler:
    """Compile a whole snapshot from nothing: the oracle of every incremental answer.

    Args:
        snapshot: the store.
        ofports: by host, OpenFlow port of each tunnel port, as observed.
        advertised: OpenFlow target for remote hosts.
        seen: what else was observed.
    """
    compiler = Compiler(advertised)
    found = facts(snapshot, everything(snapshot))
    seen = seen or Observed()
    for host, ports in {**seen.tunnels, **(ofports or {})}.items():
        found |= tunnel_facts(host, ports)
    for host, ports in seen.ports.items():
        found |= port_facts(host, ports)
    compiler.update({**found, **link_facts(seen.links), **standing_facts(seen.standing)})
    return compiler


def compile_alone(snapshot: Snapshot) -> Compiler:
    """Compile a snapshot that no fleet stands behind.

    Interfaces nobody has seen are taken to have the number that their name ends in, as ``eth2`` or
    ``s1-eth2``, and paths without a colour get one.
    """
    compiler = Compiler()
    compiler.update({Fact(GUESSING, ""): True, **facts(snapshot, everything(snapshot))})
    kept = {parse(v): colour_of(a) for (p, v), a in snapshot.allocations.items() if p == Pools.PATH}
    given = (coloured(text(r), c) for r, c in assign(kept, compiler.wanted_paths()).items())
    compiler.update({Fact(ALLOCATION, (one.pool, one.value)): one.owner for one in given})
    return compiler
