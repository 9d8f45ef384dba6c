# SPDX-License-Identifier: Apache-2.0
"""Traffic engineering as traffic and graph change: when to plan anew, and what to keep of a plan.

A plan is made when the graph that a policy may use changed, or the traffic between its hosts,
declared or measured, by a fifth; at most every `REST` reports of links, half a minute; and with a
bound on the paths whose weight may change. It is in the policy's report, and so is what was
measured, so a restart moves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from vneter_sdn.compile.engineered import Task
from vneter_sdn.compile.facts import plan_of
from vneter_sdn.compile.network import Compiler
from vneter_sdn.errors import VneterError
from vneter_sdn.graph.engineering import Limits, Plan, PlannedPath, engineer
from vneter_sdn.graph.route import Route, parse, reverse, text
from vneter_sdn.graph.traffic import Demand
from vneter_sdn.model.snapshot import Delta, Key, Snapshot
from vneter_sdn.model.traffic import Pair, told
from vneter_sdn.telemetry.matrix import TrafficSeen

_log = logging.getLogger(__name__)
REST = 6
"""Reports of links, five seconds apart, between two plans of a policy."""
SHARE = 0.2
"""Of all traffic that must have changed for a new plan."""
MOVES = 10
"""Paths whose weight one plan may change, unless the graph takes more away."""
GAIN = 0.99
"""What the fullest link has to fall to for it to be worth a move: a hundredth less."""
MOST = 300
"""Hosts of a graph that is planned: linear programs grow with the cube of this."""
Details = Mapping[str, Any]
Compute = Callable[[Callable[[], Plan]], Plan]


def at_once(work: Callable[[], Plan]) -> Plan:
    """Compute here, and let others wait."""
    return work()


@dataclass(frozen=True, slots=True)
class Terms:
    """How to plan."""

    compute: Compute = at_once
    """Runs what takes seconds: in a thread of its own, for one."""
    moves: int = MOVES
    share: float = SHARE
    rest: int = REST


class Planner:
    """Plans for policies whose sharing is engineered."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self.terms = Terms()
        self._details: dict[Key, Details] = {}
        self._policies: set[Key] = set()
        self._now = 0
        self._planned: dict[Key, int] = {}
        """When each was planned, in reports of links."""
        self._news: set[Key] = set()
        """Policies of which something was measured that is not reported yet."""
        self._seen: dict[Key, Task] = {}
        """The last task that needed no plan, or got one."""

    def take(self, snapshot: Snapshot, delta: Delta) -> None:
        """Take in which policies there are, and after a restart what was planned for them."""
        for key in delta.objects:
            if key.kind != "PathPolicy":
                continue
            stored = snapshot.objects.get(key)
            if stored is not None and stored.spec.sharing == "engineered":
                self._policies.add(key)
                status = snapshot.statuses.get(key)
                known = {} if status is None else _planned_details(status.details)
                if known and key not in self._details:
                    self._planned[key] = self._now  # the graph is not there yet after a restart
                self._details.setdefault(key, known)
            else:
                self._news.discard(key)
                self._policies.discard(key)
                self._details.pop(key, None)
                self._planned.pop(key, None)
                self._seen.pop(key, None)

    def tick(self) -> None:
        """Links are reported."""
        self._now += 1

    def measured(self, event: TrafficSeen, now: str) -> None:
        """Take in what was measured, to be reported; it comes back as the compiler's fact."""
        for key, seen in event.policies.items():
            if key in self._policies:
                said = {"measured": told(seen.volumes), "measuredAt": now}
                silent = {"unmeasured": sorted(seen.silent)} if seen.silent else {}
                kept = {n: v for n, v in self._details.get(key, {}).items() if n not in _MEASURED}
                self._details[key] = {**kept, **said, **silent}
                self._news.add(key)

    def details(self, key: Key) -> Details:
        """What to report of a policy's plan."""
        return self._details.get(key, {})

    def plan(self) -> frozenset[Key]:
        """Plan what is due; policies of which something is new."""
        planned = frozenset(key for key in sorted(self._policies) if self._plan(key))
        news, self._news = frozenset(self._news), set()
        return planned | news

    def _plan(self, key: Key) -> bool:
        task = self._compiler.task(key)
        if task is None or task == self._seen.get(key):
            return False
        before = self._details.get(key, {})
        if not due(before, task, self.terms.share) or not (task.demands or "plan" in before):
            self._seen[key] = task
            return False
        if self._now - self._planned.get(key, -self.terms.rest) < self.terms.rest:
            return False
        self._planned[key] = self._now
        made = self._details[key] = self._made(key, task, before)
        if not made.get("bounded"):
            self._seen[key] = task
        return True

    def _made(self, key: Key, task: Task, before: Details) -> Details:
        size = len(task.topology.vertices)
        if size > MOST:
            return {**before, "planError": f"{size} hosts; at most {MOST} are planned"}
        try:
            found = self.terms.compute(lambda: _engineered(task, before, self.terms.moves))
        except VneterError as failed:
            _log.warning("%s keeps the plan it has: %s", key, failed)
            return {**before, "planError": str(failed)}
        bounded = {"bounded": True} if self._bounded(found, task, before) else {}
        kept = {name: before[name] for name in _MEASURED if name in before}
        return {**kept, **_told(task, found, before), **bounded}

    def _bounded(self, plan: Plan, task: Task, before: Details) -> bool:
        """Whether the bound on moves kept a plan from what can be, and another one may get on."""
        use, last = plan.utilisation, before.get("maxUtilisation", {}).get("ours", 0.0)
        gains = due({**before, "bounded": False}, task, self.terms.share) or use.ours < GAIN * last
        return plan.moved >= self.terms.moves > 0 and use.ours * GAIN > use.lp_bound and gains


def due(before: Details, task: Task, share: float = SHARE) -> bool:
    """Whether what was planned is for another graph or other traffic, or was held back."""
    if before.get("plannedOn") != digest(task) or before.get("bounded"):
        return True
    old: Mapping[str, float] = before.get("plannedFor", {})
    new = {_name(pair): mbps for pair, mbps in task.demands.items()}
    changed = sum(abs(new.get(p, 0.0) - old.get(p, 0.0)) for p in new.keys() | old.keys())
    return changed > 0 and changed >= share * sum(old.values())


def digest(task: Task) -> str:
    """Of the graph that is planned on, and of which way its traffic is heavier."""
    edges = [(e.name, e.capacity, e.reserved, e.cost) for e in task.topology.edges]
    said = repr((edges, sorted(task.aside), task.paths, *sorted(task.turned)))
    return blake2b(said.encode(), digest_size=8).hexdigest()


def _engineered(task: Task, before: Details, moves: int) -> Plan:
    known = {edge.name: edge for edge in task.topology.edges}
    held = []
    for pair, shares in (plan_of(before) or {}).items():
        total, turned = sum(weight for _, weight in shares), pair in task.turned
        for forth, weight in shares:
            route = reverse(forth) if turned else forth
            if all(name in known for name in route):
                demand = Demand(*_sent(pair, task), task.demands.get(pair, 0.0))
                edges = tuple(known[name] for name in route)
                held.append(PlannedPath(demand, edges, weight, weight / total))
    demands = [Demand(*_sent(pair, task), mbps) for pair, mbps in sorted(task.demands.items())]
    limits = Limits(paths=task.paths, moves=moves if held else None)
    return engineer(task.topology, demands, limits, held, task.aside)


def _sent(pair: Pair, task: Task) -> Pair:
    """Which way the traffic goes that the paths of a pair are planned for."""
    return (pair[1], pair[0]) if pair in task.turned else pair


def _shares(task: Task, plan: Plan) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """By pair, its routes with their weights, the heaviest first."""
    planned: dict[Pair, list[tuple[Route, int]]] = {}
    for path in sorted(plan.paths, key=lambda path: -path.weight):
        if path.weight:
            route = tuple(edge.name for edge in path.edges)
            sent = path.demand.source, path.demand.target
            planned.setdefault(sent, []).append((route, path.weight))
    for pair in task.demands.keys() | task.turned:
        turned = pair in task.turned
        routes = [(reverse(r) if turned else r, w) for r, w in planned.get(_sent(pair, task), ())]
        if routes:
            yield _name(pair), [{"route": text(r), "weight": weight} for r, weight in routes]


def _resting(task: Task, before: Details) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What was planned for pairs that send nothing now: it stays, as far as it is still there."""
    known = {edge.name for edge in task.topology.edges}
    for name, shares in before.get("plan", {}).items():
        there = [one for one in shares if known.issuperset(parse(str(one["route"])))]
        if there:
            yield name, there


def _told(task: Task, plan: Plan, before: Details) -> Details:
    shares = dict(_resting(task, before)) | dict(_shares(task, plan))
    highest = plan.utilisation
    return {
        "plan": dict(sorted(shares.items())),
        "plannedOn": digest(task),
        "plannedFor": {_name(pair): mbps for pair, mbps in sorted(task.demands.items())},
        "moved": plan.moved,
        "unrouted": sorted(_name((one.source, one.target)) for one in plan.unrouted),
        "maxUtilisation": {
            "shortestPath": round(highest.shortest_path, 4),
            "ecmp": round(highest.ecmp, 4),
            "ours": round(highest.ours, 4),
            "lpBound": round(highest.lp_bound, 4),
        },
    }


_MEASURED = ("measured", "measuredAt", "unmeasured")
_OURS = (
    "plan",
    "plannedOn",
    "plannedFor",
    "moved",
    "bounded",
    "unrouted",
    "maxUtilisation",
    "planError",
    *_MEASURED,
)


def _planned_details(details: Details) -> Details:
    return {name: details[name] for name in _OURS if name in details}


def _name(pair: Pair) -> str:
    return f"{pair[0]}>{pair[1]}"
