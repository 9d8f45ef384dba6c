# SPDX-License-Identifier: Apache-2.0
"""Which path policy a packet is under: by tenant, network, endpoints and ports, in both directions.

A policy holds four priorities, by its rank among all policies: packets of whoever is meant to begin
a connection (3), answers to them (2), and the same of what is not IP (1, 0), which cannot be
tracked. What matches twice within one policy is thereby never in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from vneter_sdn.compile.features.pin import FAMILIES, tracked
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.policies import (
    ends,
    everywhere,
    limited,
    policy_number,
    rank,
    scopes,
)
from vneter_sdn.compile.portranges import blocks
from vneter_sdn.compile.queries import place, segment, station, tenant_of, tenant_presence
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Action, Flow
from vneter_sdn.model.path_kinds import PathPolicySpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import priorities
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, POLICY, TENANT


class _End(NamedTuple):
    """One end of a connection; without an address, any endpoint of the tenant."""

    host: str = ""
    address: IPAddress | None = None


class _Traffic(NamedTuple):
    """Connections of one tenant, or of all."""

    tenant: str
    number: int
    network: int
    """VNI; 0 for any."""
    source: _End
    target: _End


_Placed = tuple[frozenset[str], int, Matched]
"""On which hosts, the step of the priority, and the match."""


def policy(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The packets of one policy, where they start."""
    number, position = view.ask(policy_number, key), view.ask(rank, key)
    if number is None or position is None:
        return
    spec: PathPolicySpec = view.get("PathPolicy", key)
    under, then = POLICY.load(number), "count" if spec.sharing == "engineered" else "path"
    found: dict[Flow, frozenset[str]] = {}
    for traffic in _traffic(view, key):
        anywhere = _anywhere(view, traffic)
        for at, step, matched in _placed(traffic, spec, anywhere):
            ip = matched.get("eth_type") in FAMILIES
            actions: tuple[Action, ...] = (under, tracked(then)) if ip else (under,)
            onward = None if ip else then
            priority = priorities.steer(position, step)
            flow = write("steer", priority, matched, *actions, goto=onward)
            found[flow] = found.get(flow, frozenset()) | at
    for flow, at in found.items():
        yield on(at, flow)


def _anywhere(view: View, traffic: _Traffic) -> frozenset[str]:
    return (
        view.ask(tenant_presence, traffic.tenant) if traffic.tenant else view.ask(everywhere, None)
    )


def _traffic(view: View, key: Key) -> Iterator[_Traffic]:
    spec: PathPolicySpec = view.get("PathPolicy", key)
    sources, targets = view.ask(ends, key)
    anyone = _End()
    if sources is None and targets is None and not limited(spec):
        yield _Traffic("", 0, 0, anyone, anyone)
        return
    for tenant, number, networks in _within(view, key):
        for network in networks:
            near = [anyone] if sources is None else _ends(view, sources, tenant, None)
            far = [anyone] if targets is None else _ends(view, targets, tenant, network)
            vni = _vni(view, network)
            if vni is not None:
                for source, target in product(near, far):
                    yield _Traffic(tenant, number, vni, source, target)


def _within(view: View, key: Key) -> Iterator[tuple[str, int, tuple[Key | None, ...]]]:
    """Tenant, its number, and the networks of it that a policy is about; (None,) for any."""
    spec: PathPolicySpec = view.get("PathPolicy", key)
    if limited(spec):
        for scope in view.ask(scopes, key):
            yield scope.tenant, scope.number, (None,) if scope.networks is None else scope.networks
        return
    named = [some for some in view.ask(ends, key) if some is not None]
    for tenant in sorted({endpoint.tenant for some in named for endpoint in some}):
        number = view.ask(tenant_of, tenant)
        if number is not None:
            yield tenant, number, (None,)


def _vni(view: View, network: Key | None) -> int | None:
    """Zero for any network, None for one that is not there."""
    if network is None:
        return 0
    found = view.ask(segment, network)
    return found.vni if found else None


def _ends(
    view: View, endpoints: frozenset[Key], tenant: str, network: Key | None
) -> Iterator[_End]:
    for key in sorted(endpoints):
        here, at = view.ask(station, key), view.ask(place, key)
        if key.tenant == tenant and here and at and network in (None, here.network):
            for address in here.addresses:
                yield _End(at.host, address)


def _placed(traffic: _Traffic, spec: PathPolicySpec, anywhere: frozenset[str]) -> Iterator[_Placed]:
    tenant: Matched = {"reg2": TENANT.match(traffic.number)} if traffic.tenant else {}
    there: Matched = {"reg1": NETWORK.match(traffic.network)} if traffic.network else {}
    back: Matched = {"reg4": ORIGIN.match(traffic.network)} if traffic.network else {}
    near, far = traffic.source, traffic.target
    forth_at = frozenset([near.host]) if near.host else anywhere
    back_at = frozenset([far.host]) if far.host else anywhere
    alike = not (near.address or far.address or traffic.network or spec.ports)
    for family in _families(near, far):
        for ports in blocks(spec.ports):
            ip: Matched = {**tenant, "eth_type": family}
            forth = {**ip, **there, **_addressed(near, far), **ports.match("dst")}
            yield forth_at, 3, forth
            if not alike:
                answer = {**ip, **back, **_addressed(far, near), **ports.match("src")}
                yield back_at, 2, answer
    if not (near.address or far.address or spec.ports):
        yield anywhere, 1, {**tenant, **there}
        if not alike:
            yield anywhere, 0, {**tenant, **back}


def _families(near: _End, far: _End) -> tuple[int, ...]:
    versions = {end.address.version for end in (near, far) if end.address}
    if len(versions) > 1:
        return ()
    return tuple({4: ETH_IP, 6: ETH_IPV6}[v] for v in versions) or FAMILIES


def _addressed(source: _End, target: _End) -> Matched:
    found: Matched = {}
    for end, way in ((source, "src"), (target, "dst")):
        if end.address:
            found[f"{'ip' if end.address.version == 4 else 'ipv6'}_{way}"] = int(end.address)
    return found


FEATURE = Feature("steer", 14, "which path policy a packet is under", {"PathPolicy": policy})
