# SPDX-License-Identifier: Apache-2.0
"""A compiled network that is proven, and what changes would make of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import groupby
from typing import Any

from vneter_sdn.daemon.changing import Bench, BridgeChange, Step
from vneter_sdn.daemon.picture import title_of
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.fields import ETH_ARP, ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, SetField
from vneter_sdn.model.snapshot import Key, Pools
from vneter_sdn.pipeline.registers import DENIED, ISOLATED, RULE, TENANT
from vneter_sdn.pipeline.tables import BY_ID, table
from vneter_sdn.simulate.fleet import PortOf
from vneter_sdn.simulate.meaning import Meaning, meaning_of
from vneter_sdn.simulate.text import packet_text
from vneter_sdn.verify.faithful import unfaithful
from vneter_sdn.verify.findings import Example, Finding, flow_words, granted
from vneter_sdn.verify.policies import Books, News, Pages, conflicts, shadows
from vneter_sdn.verify.proof import Verdict
from vneter_sdn.verify.replies import concerned, unanswered
from vneter_sdn.verify.watching import Said, Watch

CHECKS: Mapping[str, frozenset[str]] = {
    "policies": frozenset({"policy"}),
    "answers": frozenset({"unanswered", "mingled"}),
    "isolation": frozenset({"leak"}),
    "loops": frozenset({"loop"}),
    "black-holes": frozenset({"black_hole", "misdelivery", "untold"}),
    "shadowed": frozenset({"shadowed"}),
    "conflicts": frozenset({"conflict"}),
    "assertions": frozenset({"assertion"}),
}
"""What can be asked for, and what findings of it are called."""
REPLIES = frozenset(
    table(f"{way}{at}").id for way in ("egress", "ingress") for at in ("", "_state")
)
"""Tables that answers come to, and not only what begins a connection."""
_TOUCHING = frozenset(("Host", "Link"))
"""Kinds whose objects say how bridges are joined."""
_PLACING = frozenset(("Host", "Tenant", "Network"))
"""Kinds whose objects, besides endpoints, say who is where."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a change comes to."""

    step: Step
    verdict: Verdict
    proving: float
    """Seconds."""


class Prover:
    """Proves a network, and then only what changes touch.

    Args:
        bench: the network, which is taken over.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.books = self._read()
        self._pages = Pages()
        self._wiring = bench.wiring()
        self.watch = Watch(
            bench.states(),
            self._wiring,
            bench.snapshot,
            meaning_of(bench.snapshot),
            Said(self.books.by_number),
        )

    def _read(self) -> Books:
        """The rules of every tenant, by what bridges call them."""
        snapshot, compiler = self.bench.snapshot, self.bench.compiler
        numbers = {
            held.owner.removeprefix("Tenant "): int(value)
            for (pool, value), held in snapshot.allocations.items()
            if pool == Pools.TENANT and held.released is None
        }
        rules = {number: compiler.rules(name) for name, number in numbers.items()}
        return Books(rules, lambda rule: title_of(snapshot, rule))

    def prepare(self) -> Iterator[None]:
        """Read what proofs of changes will ask for, step by step, while nobody waits."""
        yield from self.watch.prepare()
        for host, state in self.bench.states().items():
            for rule in self._pages.read(host, state).values():
                rule.packets()
            yield

    def full(self, checks: Collection[str] = CHECKS) -> Iterator[Finding]:
        """Everything that is wrong, of all packets, flows, rules and assertions."""
        kinds = kinds_of(checks)
        watch = self.watch
        if "policies" in checks:
            yield from unfaithful(self.bench.snapshot, watch.new, watch.known)
        if "answers" in checks:
            yield from unanswered(watch.new, watch.known)
        if set(checks) - {"assertions", "policies", "answers"}:
            yield from (one for one in watch.full() if one.kind in kinds)
        states = self.bench.states()
        if "shadowed" in checks:
            yield from shadows(states, self.books)
        if "conflicts" in checks:
            yield from conflicts(states, self.books)
        if "assertions" in checks:
            yield from self.watch.assertions()

    def take(self, step: Step, checks: Collection[str] = CHECKS) -> Judged:
        """Prove what a change touches that the bench has taken in.

        Args:
            step: the change.
            checks: what to tell of it.
        """
        began = time.perf_counter()
        self.books = self._read()
        wiring = None
        if any(b.rows[0] != b.rows[1] for b in step.bridges.values()) or _rewired(step):
            found = self.bench.wiring()
            wiring = None if found == self._wiring else found
            self._wiring = found
        verdict = self.watch.change(
            {host: {k: pair[1] for k, pair in b.flows.items()} for host, b in step.bridges.items()},
            step.after,
            self._meaning(step),
            groups={
                host: {n: pair[1] for n, pair in b.groups.items()}
                for host, b in step.bridges.items()
                if b.groups
            },
            wiring=wiring,
            excused=Said(self.books.by_number),
        )
        answers = self._answers(step.bridges) if "answers" in checks else ()
        findings = (*verdict.findings, *answers, *self._ruled(step.bridges, checks))
        kinds = kinds_of(checks)
        told = tuple(one for one in findings if one.kind in kinds)
        took = time.perf_counter() - began
        return Judged(step, replace(verdict, findings=told), took)

    def _meaning(self, step: Step) -> Meaning:
        """Who is where now: as before, if nobody came, went, moved or got another address."""
        delta, known = step.delta, self.watch.known.meaning
        if delta.allocations or delta.bindings:
            return meaning_of(step.after)
        for key in delta.objects:
            if key.kind in _PLACING or (key.kind == "Endpoint" and not _stays(step, key)):
                return meaning_of(step.after)
        return known

    def _answers(self, bridges: Mapping[str, BridgeChange]) -> Iterator[Finding]:
        """Connections that a change is about, and whose answers do not arrive after it."""
        keys = (key for change in bridges.values() for key in change.flows)
        replies = any(key.table in REPLIES for key in keys)
        watch = self.watch
        only = watch.doubtful
        if only is None:
            only = concerned(watch.known, watch.touched, replies)
        yield from unanswered(watch.new, watch.known, only=only)

    def _ruled(
        self, bridges: Mapping[str, BridgeChange], checks: Collection[str]
    ) -> Iterable[Finding]:
        """What is wrong with rules of policies, of those that changed."""
        for host, change in bridges.items():
            self._pages.take(host, change.flows.values())
        news = News.of({host: b.flows.values() for host, b in bridges.items()})
        states = self.bench.states() if news else {}
        if news and "shadowed" in checks:
            yield from shadows(states, self.books, news, self._pages)
        if news and "conflicts" in checks:
            yield from conflicts(states, self.books, news, self._pages)


def kinds_of(checks: Iterable[str]) -> frozenset[str]:
    """What findings of some checks are called."""
    return frozenset().union(*(CHECKS[name] for name in checks))


def _stays(step: Step, key: Key) -> bool:
    """Whether an endpoint is in the network that it was in."""
    before, after = step.before.objects.get(key), step.after.objects.get(key)
    return before is not None and after is not None and before.spec.network == after.spec.network


def _rewired(step: Step) -> bool:
    return any(key.kind in _TOUCHING for key in step.delta.objects)


# ---- what is told of a fault


def told(prover: Prover, finding: Finding) -> dict[str, Any]:
    """A fault as plain values."""
    check = next((name for name, kinds in CHECKS.items() if finding.kind in kinds), finding.kind)
    values: dict[str, Any] = {"check": check, "kind": finding.kind, "about": finding.about}
    if finding.example is not None:
        values["packet"] = {
            "host": finding.example.host,
            "text": packet_text(finding.example.packet),
            "words": in_words(prover, finding.example),
            "fields": dict(finding.example.packet),
            "granted": list(granted(finding.example)),
        }
    values["bridges"] = list(finding.hops)
    values["trail"] = [
        {
            "host": step.host,
            "table": BY_ID[step.flow.table].name,
            "flow": flow_words(step.flow),
            "rule": rule_of(prover, step.flow),
        }
        for step in finding.trail
    ]
    values["flows"] = [flow_words(flow) for flow in finding.flows]
    return values


def lines_of(prover: Prover, finding: Finding, *, flows: bool = True) -> Iterator[str]:
    """A fault for people: what is wrong, a packet that shows it, and its way.

    Args:
        prover: found it.
        finding: the fault.
        flows: tell every flow that the packet meets; else its tables, and rules that decided.
    """
    yield f"{finding.kind.replace('_', ' ')}: {finding.about}"
    if finding.example is not None:
        yield f"  packet  {in_words(prover, finding.example)}"
        yield f"          {packet_text(finding.example.packet)}"
        yield from (f"          with {one}" for one in granted(finding.example))
    if finding.hops:
        yield f"  over    {' > '.join(finding.hops)}"
    if not flows:
        yield from _tables(prover, finding)
    for step in finding.trail if flows else ():
        rule = rule_of(prover, step.flow)
        yield f"  {step.host:<7} {flow_words(step.flow)}" + (f"   # {rule}" if rule else "")
    for flow in finding.flows:
        rule = rule_of(prover, flow)
        yield f"  flow    {flow_words(flow)}" + (f"   # {rule}" if rule else "")


def _tables(prover: Prover, finding: Finding) -> Iterator[str]:
    """The tables that a packet comes to, a line for each time that it comes to a bridge."""
    told = ""
    for host, steps in groupby(finding.trail, lambda step: step.host):
        words = []
        for step in steps:
            name = BY_ID[step.flow.table].name if step.flow.table in BY_ID else f"{step.flow.table}"
            rule = rule_of(prover, step.flow)
            words.append(f"{name} ({rule})" if rule and rule != told else name)
            told = rule or told
        yield f"  {host:<7} {' > '.join(words)}"


def rule_of(prover: Prover, flow: Flow) -> str:
    """The rule that a flow decides by, or acts for; empty for none."""
    contract = BY_ID.get(flow.table)
    if contract is None or not contract.name.startswith(("egress_", "ingress_")):
        return ""
    tenant = next((term.value for term in flow.match if term.field == TENANT.field), 0)
    numbers = [term.value for term in flow.match if term.field == RULE.field]
    numbers += [
        action.value
        for action in flow.actions
        if isinstance(action, SetField) and action.field == RULE.field
    ]
    for number in numbers:
        rule = prover.books.rule(tenant, number)
        if rule is not None:
            return f"{prover.books.title(rule)}: {rule.verdict}"
        if number == ISOLATED:
            return "isolated, and no rule allows it"
        if number == DENIED:
            return "default of the tenant"
    return ""


def in_words(prover: Prover, example: Example) -> str:
    """``tcp/80 from Endpoint red/web1 on h1 to Endpoint red/db1``."""
    packet, known = example.packet, prover.watch.known
    source = known.whose.get(PortOf(example.host, packet.get("in_port", 0)))
    whose = str(source.key) if source else f"port {packet.get('in_port', 0)}"
    target = ""
    for name, size in (("ip_dst", 4), ("ipv6_dst", 16), ("arp_tpa", 4), ("nd_target", 16)):
        if packet.get(name):
            address = ip_address(packet[name].to_bytes(size, "big"))
            owner = known.meaning.owner(source.tenant, address) if source else None
            target = f"{owner.key} ({address})" if owner else str(address)
            break
    else:
        target = mac_text(packet.get("eth_dst", 0))
    return f"{_kind(packet)} from {whose} on {example.host} to {target}"


def _kind(packet: Mapping[str, int]) -> str:
    if packet.get("eth_type") == ETH_ARP:
        return "ARP"
    if packet.get("eth_type") not in (ETH_IP, ETH_IPV6):
        return f"frame of type {packet.get('eth_type', 0):#06x}"
    words = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmpv6"}
    protocol = packet.get("ip_proto", 0)
    name = words.get(protocol, f"protocol {protocol}")
    if protocol in (6, 17, 132):
        return f"{name}/{packet.get(f'{name}_dst', 0)}"
    if protocol in (1, 58):
        return f"{name}/{packet.get(f'{name}_type', 0)}"
    return name
