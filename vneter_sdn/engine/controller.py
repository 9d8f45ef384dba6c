# SPDX-License-Identifier: Apache-2.0
"""The loop's body: events in; desired state, bindings and reports out.

::

    Stored ─► facts ─► compile ─► desire_flows, desire_rows ─► Confirmed ─► report
    Ports  ─► sightings ─► bind ─► (comes back as Stored)

It holds no socket and starts no thread, so all of it runs in a unit test. Nothing is desired
before the store has been read once, so an empty mind never empties a bridge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from vneter_sdn.compile.network import Compiler
from vneter_sdn.engine.links import Links, write
from vneter_sdn.engine.names import NamesAnswered
from vneter_sdn.engine.paths import Paths
from vneter_sdn.engine.policies import Policies
from vneter_sdn.engine.port import (
    Answer,
    AssertionsJudged,
    Blocked,
    Channel,
    Claimed,
    Confirmed,
    Database,
    Desired,
    Event,
    LeftOut,
    LinksDue,
    Measured,
    Ports,
    Refused,
    Southbound,
    Stored,
    Tick,
    Tunnels,
)
from vneter_sdn.engine.reports import (
    NAMED,
    HostView,
    endpoint_conditions,
    endpoint_details,
    host_conditions,
    host_details,
    lagging,
    rejected,
    stamp,
    was_ready,
)
from vneter_sdn.engine.rollout import Rollout
from vneter_sdn.engine.spoofing import Spoofed, Spoofing
from vneter_sdn.engine.standing import Standing
from vneter_sdn.engine.whereabouts import Whereabouts
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.flow import FlowKey
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.pace import Breathe, on_and_on, paced
from vneter_sdn.model.snapshot import Binding, Condition, Delta, Key, Pools, Snapshot, Status
from vneter_sdn.store.port import Store
from vneter_sdn.telemetry.matrix import TrafficSeen
from vneter_sdn.telemetry.rules import RulesCounted
from vneter_sdn.telemetry.survey import LinksSeen, PortsSeen, Sighting, WireFound, WireLost

_log = logging.getLogger(__name__)


class Controller:
    """Turns what is asked for into what bridges hold, and says how far that has come.

    Args:
        store: where intent comes from and reports go to.
        southbound: hosts and their bridges.
        compiler: a new one.
        now: the time, RFC 3339.
        breathe: called between hosts and between reports; nothing that runs then may call this
            controller. Events that arrive meanwhile wait for the next `handle`.
    """

    def __init__(
        self,
        store: Store,
        southbound: Southbound,
        compiler: Compiler,
        now: Callable[[], str],
        breathe: Breathe = on_and_on,
    ) -> None:
        self._breathe = breathe
        self._store = store
        self._southbound = southbound
        self._compiler = compiler
        self._now = now
        self._snapshot: Snapshot | None = None
        self._whereabouts = Whereabouts()
        self._rollout, self._paths = Rollout(), Paths(compiler)
        self.planner = self._paths.planner
        self.policies = Policies(compiler)
        self._spoofing = Spoofing()
        self._views: dict[str, HostView] = {}
        self._specs: dict[str, tuple[HostSpec, int]] = {}
        self._touched: dict[Key, int] = {}
        """Epoch at which each endpoint's flows last changed."""
        self._stale: set[Key] = set()
        """Objects whose report may have to change."""
        self._awaiting: dict[str, set[Key]] = {}
        """By host: endpoints that said they wait for it, and have to be looked at when it moves."""
        self._left_out: dict[Key, dict[str, str]] = {}
        """Objects that bridges refuse flows of: by host, the error."""
        self._reported: dict[Key, Status] = {}
        """What was written last, which the snapshot may not show yet."""
        self._links, self._links_due = Links(), False
        self.standing = Standing(compiler)
        self._ports: dict[str, Mapping[str, int]] = {}
        """By host: OpenFlow port of each interface of its bridge."""
        self._blind: set[str] = set()
        """Hosts with wires whose ports were not told yet, so that their flows can't be known."""
        self._unnumbered: set[Key] = set()
        """Hosts that have no bridge id yet."""

    @property
    def rolling(self) -> bool:
        """Whether time is waited for, by bridges or reservations: send `Tick` now and then."""
        return self._rollout.busy or self._late

    @property
    def _late(self) -> bool:
        """Whether a window of a reservation or policy began or ended since the clock was set."""
        return self._paths.due(self._now) or self.policies.due(self._now)

    @property
    def views(self) -> Mapping[str, HostView]:
        """What is known of each host."""
        return self._views

    def renewed(self, compiler: Compiler) -> Controller:
        """A controller that knows what this one was told of hosts, and nothing it concluded.

        Give it ``Stored`` with the whole snapshot next.
        """
        fresh = Controller(self._store, self._southbound, compiler, self._now, self._breathe)
        fresh._whereabouts = self._whereabouts.renewed()
        fresh.planner.terms = self.planner.terms
        fresh.policies, fresh._spoofing = self.policies.renewed(compiler), self._spoofing
        fresh._rollout, fresh._left_out = Rollout(self._rollout.epoch), self._left_out
        fresh._views, fresh._specs = dict(self._views), dict(self._specs)
        for host, view in self._views.items():
            ofports = {n: t.ofport for n, t in view.tunnels.items() if t.ofport > 0}
            compiler.observe_tunnels(host, ofports)
        fresh._links, fresh._ports = self._links, self._ports
        for host, ports in self._ports.items():
            compiler.observe_ports(host, ports)
        fresh.standing.begin(self._links.observations())
        return fresh

    def handle(self, events: Sequence[Event]) -> None:
        """Take in events that happened together, and act on them once.

        Raises:
            StoreUnavailable: call again with no events once the store is back.
        """
        for event in events:
            self._take(event)
        if self._snapshot is not None:
            if self._late:
                self._desire(self.policies.advance(self._now))
                self._desire(self._paths.advance(self._now))
            self._paths.colour(self._store)
            self._push(self._snapshot)
            self._stale |= self.policies.settle(self._views, self._now)
            write(self._links, self._store, self._snapshot)
            self._whereabouts.bind(self._store, self._snapshot)
            self._report(self._snapshot)

    def _take(self, event: Event) -> None:
        match event:
            case Stored(snapshot=snapshot, delta=delta):
                self._take_stored(snapshot, delta)
            case Ports(host=host, ports=ports):
                if host in self._views:
                    self._whereabouts.shown(host, ports)
            case Tunnels(host=host, tunnels=tunnels):
                self._see(host, tunnels=tunnels)
                ofports = {n: t.ofport for n, t in tunnels.items() if t.ofport > 0}
                self._desire(self._compiler.observe_tunnels(host, ofports))
            case Database(host=host, connected=up, reason=reason, message=message):
                self._see(host, database=up, database_reason=reason, database_message=message)
            case Claimed(host=host, message=message):
                self._see(host, claimed=message)
            case Tick(now=now):
                self._rollout.tick(now)
                if self.standing.due(now, self._rollout.busy):
                    self._desire(self.standing.follow())
            case Channel() | Confirmed() | LeftOut() | Refused() | Blocked():
                self._take_answer(event)
            case _:
                self._take_seen(event)

    def _take_seen(self, event: Measured | Sighting) -> None:
        match event:
            case LinksDue():
                self._links_due = True
                self._paths.links_due()
            case TrafficSeen():
                self.planner.measured(event, self._now())
            case Spoofed():
                self._stale |= self._spoofing.take(event)
            case RulesCounted() | AssertionsJudged():
                self._stale |= self.policies.seen(event)
            case NamesAnswered():
                self._desire(changes := self.policies.named(event, self._now))
                self.policies.answered(event, changes, self._rollout.epoch)
            case _:
                self._take_sighting(event)

    def _take_sighting(self, event: Sighting) -> None:
        """What is seen of ports and links."""
        match event:
            case PortsSeen(host=host, ports=seen):
                self._ports[host] = {name: port.ofport for name, port in seen.items()}
                changes = self._compiler.observe_ports(host, self._ports[host])
                self._desire(changes, self._blind & {host})
            case LinksSeen():
                self._desire(self.standing.see(self._links.take(event)))
            case WireFound():
                self._links.found(event)
            case WireLost():
                self._links.lost(event)

    def _take_answer(self, event: Answer) -> None:
        """What became of a bridge, or of what it was told."""
        host = event.host
        match event:
            case Channel(connected=up, version=version, reason=reason, message=message):
                self._rollout.settled(host)
                self._see(
                    host,
                    settled=True,
                    channel=up,
                    channel_version=version,
                    channel_reason=reason,
                    channel_message=message,
                    confirmed=-1,
                    refused="",
                    refused_message="",
                )
                self._leave_out(host, ())
            case Confirmed(epoch=epoch) | LeftOut(epoch=epoch):
                self._rollout.settled(host, epoch)
                self._see(host, confirmed=epoch, refused="", refused_message="")
                self._leave_out(host, event.culprits if isinstance(event, LeftOut) else ())
            case Refused(reason=reason, message=message):
                self._rollout.settled(host)
                self._see(host, refused=reason, refused_message=message)
            case Blocked(flows=flows):
                self._see(host, blocked=flows)

    def _see(self, host: str, **changes: object) -> None:
        view = self._views.get(host)
        if view is None:
            return
        seen = self._views[host] = replace(view, **changes)  # type: ignore[arg-type]
        self._stale.add(Key("Host", "", host))
        if seen.carries != view.carries:
            self._stale |= self._compiler.bound_on(host) | self.policies.on(host)
        self._stale |= self._awaiting.pop(host, set())

    def _leave_out(self, host: str, culprits: Iterable[tuple[FlowKey, str]]) -> None:
        view = self._views.get(host)
        if view is None:
            return
        found: dict[Key, str] = {}
        for flow, message in culprits:
            unit = self._compiler.unit(host, flow)
            found[unit.subject if unit else Key("Host", "", host)] = message
        if found == view.left_out:
            return
        self._stale |= found.keys() | view.left_out.keys()
        for key in view.left_out:
            self._left_out.get(key, {}).pop(host, None)
        for key, message in found.items():
            self._left_out.setdefault(key, {})[host] = message
        self._views[host] = replace(view, left_out=found)

    def _take_stored(self, snapshot: Snapshot, delta: Delta) -> None:
        first = self._snapshot is None
        self._snapshot = snapshot
        if first:
            delta = Delta(
                frozenset(snapshot.objects),
                frozenset(snapshot.allocations),
                frozenset(snapshot.bindings),
                frozenset(snapshot.statuses),
            )
        self._whereabouts.take(snapshot, delta.objects, delta.bindings)
        self._paths.take(snapshot, delta)
        self._desire(self.policies.take(snapshot, delta, self._now))
        self._links.index(snapshot, delta.objects)
        self._unnumbered |= {key for key in delta.objects if key.kind == "Host"}
        anew = self._take_hosts(snapshot)
        changes = self._compiler.take(snapshot, delta)
        self._desire(changes, set(self._views) if first else anew)
        self._stale |= delta.objects | delta.bindings | delta.statuses
        for key in (k for k in delta.objects if k not in snapshot.objects):
            self._touched.pop(key, None)
            self._reported.pop(key, None)
            self._spoofing.forget(key)

    def _take_hosts(self, snapshot: Snapshot) -> set[str]:
        """Manage what hosts are there now; returns those whose sessions have to be told anew."""
        anew: set[str] = set()
        if not self._unnumbered:
            return anew
        numbers = {
            allocation.owner: int(allocation.value)
            for (pool, _), allocation in snapshot.allocations.items()
            if pool == Pools.BRIDGE and allocation.released is None
        }
        # Who goes, goes first: a host may have come with the datapath id of another.
        for key in sorted(self._unnumbered, key=lambda key: (key in snapshot.objects, key)):
            host, number = snapshot.objects.get(key), numbers.get(str(key))
            if host is None or number is None:
                self._release(key.name)
                if host is not None:
                    continue
            elif (before := self._specs.get(key.name)) != (host.spec, number):
                self._specs[key.name] = (host.spec, number)
                if before and datapath_of(*before) != datapath_of(host.spec, number):
                    self._links.left(key.name)
                view = self._views.setdefault(key.name, HostView())
                self._views[key.name] = replace(view, managed=host.spec.ovsdb is not None)
                self._southbound.manage(key.name, host.spec, datapath_of(host.spec, number))
                anew.add(key.name)
            self._unnumbered.discard(key)
        return anew

    def _release(self, host: str) -> None:
        if self._specs.pop(host, None) is not None:
            self._southbound.release(host)
            self._links.left(host)
            self._rollout.forget(host)
            self._leave_out(host, ())
            self._views.pop(host, None)
            self._whereabouts.forget(host)
            self._ports.pop(host, None)
            self._blind.discard(host)
            self._stale |= self._compiler.bound_on(host) | self._awaiting.pop(host, set())

    def _desire(
        self, changes: Mapping[str, frozenset[FlowKey]], anew: AbstractSet[str] = frozenset()
    ) -> None:
        """Tell hosts what changed; those in ``anew`` are told everything."""
        if self._snapshot is None:
            return
        hosts = (set(changes) | anew) & set(self._views)
        blind = {host for host in hosts if self._is_blind(host)}
        self._blind = (self._blind - hosts) | blind
        wanted = {
            host: (self._compiler.bridge(host), None if host in anew else changes[host])
            for host in paced(sorted(hosts - blind), self._breathe, 1)
        }
        for host, epoch in self._rollout.want(wanted, self._compiler.rank).items():
            self._views[host] = replace(self._views[host], desired=epoch)
            self._stale.add(Key("Host", "", host))
        self._stale |= self._compiler.told()
        for endpoint in self._compiler.touched():
            self._touched[endpoint] = self._rollout.epoch
            self._stale.add(endpoint)
        self._stale |= self.policies.touched(self._compiler.policies_touched(), self._rollout.epoch)
        for host in sorted((self._compiler.rows_changed() | anew) & set(self._views)):
            self._southbound.desire_rows(host, self._compiler.rows(host))

    def _is_blind(self, host: str) -> bool:
        return host not in self._ports and any(
            edge.medium == "wire" for edge in self._compiler.links(host)
        )

    def _push(self, snapshot: Snapshot) -> None:
        """Tell bridges what their turn has come for."""
        ready = self._rollout.due(lambda host: self._views[host].channel)
        for push in paced(ready, self._breathe, 1):
            desired = Desired(push.state, push.epoch, snapshot.revision, push.changed)
            self._southbound.desire_flows(push.host, desired)

    def _report(self, snapshot: Snapshot) -> None:
        now = self._now()
        reports = []
        self._stale |= self._links.due(measured=self._links_due)
        self._stale |= self._paths.stale()
        stale = sorted(key for key in self._stale if key in snapshot.objects or key.kind == "Link")
        for key in paced(stale, self._breathe):
            before = self._reported.get(key) or snapshot.statuses.get(key)
            status = self._status(snapshot, key, before)
            if status is None:
                continue
            stamped = stamp(status, before, now)
            if stamped != before:
                reports.append(stamped)
        gone = self._links.gone if self._links_due else frozenset()
        if reports or gone:
            self._store.report(reports, gone)
            self._reported.update({report.key: report for report in reports})
            self._links.withdrawn(gone)
        self._stale.clear()
        self._links_due = False

    def _status(self, snapshot: Snapshot, key: Key, before: Status | None) -> Status | None:
        """What to report of an object; None for nothing new.

        After a restart, what was reported stands until its host has had time to connect.
        """
        if key.kind == "Link":
            seen = self._links.status(snapshot, key, before)
            seen = seen and replace(seen, conditions=self._refusals(key, seen.conditions))
            return self._paths.link_status(key, seen or before, self._views, self._links) or seen
        revision = snapshot.objects[key].revision
        if key.kind == "Host":
            view = self._views.get(key.name)
            if view is None or (before is not None and not view.settled):
                return None
            flows = len(self._compiler.bridge(key.name).flows)
            digest = self._compiler.digest(key.name)
            details = host_details(view, digest, flows, snapshot.revision)
            drained = self._paths.drained(key, self._views, self._links)
            return Status(key, revision, (*host_conditions(view), *drained), details)
        if key.kind != "Endpoint":
            if before is not None and self._paths.early(key, self._views):
                return None
            own_report = self.policies.said(key, self._views)
            for host in self.policies.awaited(key, self._views):
                self._awaiting.setdefault(host, set()).add(key)
            conditions, told = own_report or self._paths.said(key)
            return Status(key, revision, self._refusals(key, conditions), told)
        binding = snapshot.bindings.get(key)
        own = self._views.get(binding.host) if binding else None
        if before is not None and own is not None and not own.settled:
            return None
        ready = was_ready(before, revision, binding)
        behind = [] if ready or binding is None else self._behind(key, binding)
        epoch = self._touched.get(key, 0)
        conditions = endpoint_conditions(binding, epoch, self._views, behind, ready)
        conditions = self._refusals(key, conditions)
        refused = self._spoofing.details(key, before)
        return Status(key, revision, conditions, {**endpoint_details(binding), **refused})

    def _refusals(self, key: Key, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
        refusals = self._left_out.get(key)
        return rejected(conditions, refusals) if refusals else conditions

    def _behind(self, key: Key, binding: Binding) -> list[str]:
        """Hosts that an endpoint waits for; it will be looked at again when a named one moves."""
        epoch, holders = self._touched.get(key, 0), self._compiler.holders(key)
        hosts = lagging(binding, epoch, self._views, holders)
        for host in hosts[:NAMED]:
            self._awaiting.setdefault(host, set()).add(key)
        return hosts
