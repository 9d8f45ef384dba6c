# SPDX-License-Identifier: Apache-2.0
"""A compiled network to put questions to: what bridges would do, and what people call it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address

from vneter_sdn.compile.facts import (
    CLOCK,
    GUESSING,
    RESOLVED,
    everything,
    facts,
    link_facts,
    tunnel_facts,
)
from vneter_sdn.compile.network import Compiler
from vneter_sdn.compile.query import Fact
from vneter_sdn.engine.names import reported_names
from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound.foreign import rule_as_written, written_as
from vneter_sdn.pipeline.priorities import EXCEPTION, OWN_HOST
from vneter_sdn.pipeline.registers import DENIED, ISOLATED
from vneter_sdn.pipeline.tables import table
from vneter_sdn.policy.rule import Rule
from vneter_sdn.policy.selectors import labels_of_namespace
from vneter_sdn.simulate.attempts import Attempt, Numbers, numbers_of
from vneter_sdn.simulate.fleet import Fleet, PortOf, join
from vneter_sdn.simulate.meaning import Meaning, Station, meaning_of

WAYS: tuple[Direction, Direction] = ("egress", "ingress")
Resolved = Mapping[str, tuple[str, ...]]
"""Addresses by DNS name, in lower case."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection: an endpoint, or an address outside.

    One that has an address and is not called by it is a pod on the network of its node.
    """

    name: str
    key: Key | None = None
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What one direction said."""

    because: str
    """``rule``, ``isolation``, ``default``, ``host``, or ``unasked``: no policy is about it."""
    title: str = ""
    """Of the rule, or of the policies that isolate, as they were written."""
    passes: bool = True
    verdict: str = "allow"


class Picture:
    """One state of a network, compiled."""

    def __init__(
        self,
        snapshot: Snapshot,
        compiler: Compiler,
        hosted: Mapping[str, IPAddress] | None = None,
    ) -> None:
        """Of a snapshot and what was compiled of it; pods on the networks of nodes by name."""
        self.snapshot, self.compiler = snapshot, compiler
        self._hosted = dict(hosted or {})
        self._observed: dict[str, tuple[str, ...]] = {}
        self._rules: dict[str, Mapping[int, Rule]] = {}
        self._numbers: dict[str, Numbers] = {}

    @classmethod
    def of_fleet(cls, snapshot: Snapshot, resolved: Resolved | None = None) -> Picture:
        """What a running fleet is to hold, compiled here from what its controller stored.

        Ports of wires, which nobody stores, are guessed by their names.
        """
        from vneter_sdn.northbound.topology import (
            observations,
        )  # of no use offline, and slow to import

        compiler = Compiler()
        found = {Fact(GUESSING, ""): True, **facts(snapshot, everything(snapshot))}
        for key, status in snapshot.statuses.items():
            tunnels = status.details.get("tunnels") if key.kind == "Host" else None
            if isinstance(tunnels, Mapping):
                ports = {name: int(one["port"]) for name, one in tunnels.items()}
                found |= tunnel_facts(key.name, {n: port for n, port in ports.items() if port > 0})
        compiler.update({**found, **link_facts(dict(observations(snapshot)))})
        picture = cls(snapshot, compiler)
        picture.observe(picture._reported() | dict(resolved or {}))
        return picture

    def _reported(self) -> dict[str, tuple[str, ...]]:
        """What rules go by on the bridges, by ``tenant/name``."""
        tenants = {name: self.learned(name) for name in self._tenants}
        return {f"{t}/{name}": told for t, names in tenants.items() for name, told in names.items()}

    @property
    def _tenants(self) -> list[str]:
        return sorted(key.name for key in self.snapshot.objects if key.kind == "Tenant")

    def learned(self, tenant: str) -> Resolved:
        """What the endpoints of a tenant were told by DNS, as far as rules are about it."""
        found = reported_names(self.snapshot.statuses.get(Key("Tenant", "", tenant)))
        return {name: tuple(ends) for name, ends in found.items()}

    def named(self, name: str) -> tuple[IPAddress, ...]:
        """What a DNS name stands for, as it was observed, and as endpoints of any tenant know."""
        told = [
            self._observed.get(name, ()),
            *(self.learned(t).get(name, ()) for t in self._tenants),
        ]
        return tuple(dict.fromkeys(ip_address(one) for some in told for one in some))

    def observe(self, resolved: Resolved) -> None:
        """Take in what DNS names stand for, and what time it is."""
        self._observed |= resolved
        names: dict[Fact, object] = {
            Fact(RESOLVED, name.lower()): addresses for name, addresses in resolved.items()
        }
        self.compiler.update({**names, Fact(CLOCK, ""): datetime.now(UTC).timestamp()})

    @cached_property
    def fleet(self) -> Fleet:
        """Bridges that are indexed, and joined."""
        hosts = self.compiler.hosts()
        states = {host: self.compiler.bridge(host) for host in hosts}
        return join(states, {host: self.compiler.rows(host) for host in hosts}, self._wires())

    def _wires(self) -> Iterator[tuple[PortOf, PortOf]]:
        ports = {h: self.compiler.ports(h) for h in self.compiler.hosts()}
        for host, held in ports.items():
            for edge in self.compiler.links(host):
                back = ports.get(edge.target, {}).get(edge.reverse)
                if edge.medium == "wire" and edge.name in held and back is not None:
                    yield PortOf(host, held[edge.name]), PortOf(edge.target, back)

    def edge(self, near: PortOf) -> Edge | None:
        """The edge out of a port."""
        names = {n for n, port in self.compiler.ports(near.host).items() if port == near.port}
        return next((e for e in self.compiler.links(near.host) if e.name in names), None)

    @cached_property
    def meaning(self) -> Meaning:
        """Who owns what, and is where."""
        return meaning_of(self.snapshot)

    def station(self, end: End) -> Station | None:
        """Where an endpoint is; None when it is nowhere."""
        return self.meaning.stations.get(end.key) if end.key else None

    def numbers(self, tenant: str) -> Numbers:
        """What bridges call a tenant and its networks."""
        if tenant not in self._numbers:
            self._numbers[tenant] = numbers_of(self.snapshot, tenant)
        return self._numbers[tenant]

    def rules(self, tenant: str) -> Mapping[int, Rule]:
        """Rules that concern a tenant, by number."""
        if tenant not in self._rules:
            self._rules[tenant] = self.compiler.rules(tenant)
        return self._rules[tenant]

    @cached_property
    def ends(self) -> tuple[End, ...]:
        """Every endpoint and every pod on the network of its node, sorted by what it is called.

        ``namespace/pod`` where it is in a namespace, ``tenant/name`` where not; where two would be
        called the same, the tenant stands before both: ``tenant/namespace/pod``.
        """
        keys = [key for key in self.snapshot.objects if key.kind == "Endpoint"]
        short = {key: self._short(key) for key in keys}
        times = Counter(short.values())
        names = {k: f"{k.tenant}/{n}" if times[n] > 1 else n for k, n in short.items()}
        found = [End(name, key) for key, name in names.items()]
        found += [End(name, address=address) for name, address in self._hosted.items()]
        return tuple(sorted(found, key=lambda end: end.name))

    def _short(self, key: Key) -> str:
        namespace = self.namespace(key)
        if not namespace:
            return f"{key.tenant}/{key.name}"
        # Long names are shortened in the key, and whole in what the endpoint was written as.
        written = written_as(self.snapshot.objects[key].annotations).partition(" ")[2]
        if written.startswith(f"{namespace}/"):
            return written
        return f"{namespace}/{key.name.removeprefix(f'{namespace}.')}"

    def namespace(self, key: Key) -> str:
        """The namespace of an endpoint; empty when it is in none."""
        return self.snapshot.objects[key].spec.namespace or ""

    def namespace_labels(self, key: Key) -> Mapping[str, str]:
        """Labels of the namespace of an endpoint, its name among them."""
        name = self.namespace(key)
        stored = self.snapshot.objects.get(Key("Namespace", key.tenant, name))
        return labels_of_namespace(name, stored.labels if stored else None)

    @cached_property
    def owners(self) -> Mapping[IPAddress, tuple[End, ...]]:
        """Endpoints by address; several where tenants have the same ones."""
        found: dict[IPAddress, tuple[End, ...]] = {}
        for end in self.ends:
            here = self.station(end)
            for address in here.addresses if here else ():
                found[address] = (*found.get(address, ()), end)
        return found

    def title(self, key: Key) -> str:
        """What a policy was written as: ``NetworkPolicy x/deny``, ``Policy red/web``."""
        return written(self.snapshot, key)

    def decided(self, way: Direction, attempt: Attempt, station: Station) -> Decided:
        """What the policies about an endpoint said to an attempt."""
        number = attempt.decided.get(way)
        if number is None:
            return Decided("unasked")
        rule = self.rules(station.tenant).get(number)
        if rule is not None:
            title = title_of(self.snapshot, rule)
            return Decided("rule", title, rule.verdict == "allow", rule.verdict)
        passed = {(at, flow.priority) for _, at, flow in attempt.trail}
        if number == ISOLATED and (table(f"{way}_verdict").id, EXCEPTION) in passed:
            return Decided("host", "its own host")
        if number == ISOLATED:
            policies = map(self.title, self.compiler.isolating(station.key, way))
            return Decided("isolation", f"{_few(list(policies))} (isolates {way})", False, "drop")
        if number == DENIED:
            return Decided("default", f"Tenant {station.tenant} (default)", False, "drop")
        if (table(f"{way}_tiers").id, OWN_HOST) in passed:
            return Decided("host", "its own host")
        return Decided("default")


def written(snapshot: Snapshot, key: Key) -> str:
    """What an object was written as: ``NetworkPolicy x/p``, ``Policy red/web``."""
    stored = snapshot.objects.get(key)
    return (written_as(stored.annotations) if stored else "") or str(key)


def title_of(snapshot: Snapshot, rule: Rule) -> str:
    """What a rule was written as: ``NetworkPolicy x/p ingress[0] name``."""
    stored = snapshot.objects.get(rule.policy)
    said = stored.annotations if stored else {}
    number = rule_as_written(said, rule.direction, rule.number)
    name = f" {rule.name}" if rule.name else ""
    return f"{written(snapshot, rule.policy)} {rule.direction}[{number}]{name}"


def _few(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(sorted(names)[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
