# SPDX-License-Identifier: Apache-2.0
"""From manifests to what every bridge would hold, without a database, a switch or a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from vneter_sdn.compile.links import guess
from vneter_sdn.compile.network import Compiler, compile_alone
from vneter_sdn.compile.offline import BridgeFiles, render
from vneter_sdn.errors import IntentError, PipelineError, Problem
from vneter_sdn.kubernetes.cluster import UNDERLAY
from vneter_sdn.kubernetes.naming import Hosted
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.snapshot import Binding, Key, Snapshot
from vneter_sdn.northbound.foreign import CLUSTER, accept
from vneter_sdn.northbound.resources import edit_of
from vneter_sdn.store.memory import MemoryStore


@dataclass(frozen=True)
class OfflineResult:
    """A fleet, compiled."""

    snapshot: Snapshot
    compiler: Compiler
    notes: tuple[str, ...] = ()
    """What was left out of manifests of Kubernetes, and what was made up for them."""
    hosted: Mapping[str, IPAddress] = field(default_factory=dict)
    """Pods on the networks of their nodes, ``namespace/pod``, by an address of the node."""

    @cached_property
    def bridges(self) -> Mapping[str, BridgeFiles]:
        """What each bridge would hold as text, by host."""
        return {host: render(self.compiler, host) for host in self.compiler.hosts()}

    def files(self) -> dict[str, str]:
        """File name -> content, for all hosts."""
        return {
            name: text
            for host, bridge in sorted(self.bridges.items())
            for name, text in bridge.files(host).items()
        }


def compile_manifests(documents: Sequence[Any], tenant: str = CLUSTER) -> OfflineResult:
    """Compile manifests as if they were all there is.

    With manifests of Kubernetes among them, hosts, networks and addresses that nothing declares are
    made up (`kubernetes.cluster.stand_in`).

    Each endpoint is taken to be where its ``spec.host`` says, those of a host on ports 1, 2, 3… in
    the order of their names. One that a lab learned is behind the interface of its
    ``spec.interfaceId``. The same manifests give the same result, to the byte.

    Args:
        documents: manifests, as plain JSON values, in any order.
        tenant: what Kubernetes namespaces belong to that say nothing else.

    Raises:
        IntentError: they are malformed or not acceptable.
        PipelineError: two objects claim the same flow.
    """
    accepted = accept(documents, tenant=tenant)
    store = MemoryStore(clock=lambda: 0.0)
    try:
        edits = [
            edit_of(one, origin=f"document {n}") for n, one in enumerate(accepted.manifests, 1)
        ]
        store.apply(edits, author="offline")
        store.bind(_bindings(store.snapshot()))
    except IntentError as error:
        raise accepted.told(error) from None
    snapshot = store.snapshot()
    compiler = compile_alone(snapshot)
    if compiler.clashes:
        raise PipelineError("; ".join(str(clash) for clash in compiler.clashes))
    hosted = _hosted(snapshot, accepted.hosted)
    return OfflineResult(snapshot, compiler, accepted.notes, hosted)


def _hosted(snapshot: Snapshot, pods: Sequence[Hosted]) -> dict[str, IPAddress]:
    """Where pods on the networks of their nodes are; a node of its own where nothing says which."""
    nodes = {
        key.name: stored.spec.tunnel_addresses
        for key, stored in snapshot.objects.items()
        if key.kind == "Host"
    }
    taken = {text for addresses in nodes.values() for text in addresses}
    free = (address for address in UNDERLAY.hosts() if str(address) not in taken)
    found: dict[str, IPAddress] = {}
    for pod in pods:
        texts = pod.addresses or nodes.get(pod.node, ())
        found[pod.name] = ip_address(texts[0]) if texts else next(free)
    return found


def _bindings(snapshot: Snapshot) -> list[Binding]:
    ports: dict[str, int] = {}
    found = []
    for sequence, key in enumerate(sorted(k for k in snapshot.objects if k.kind == "Endpoint"), 1):
        if binding := _of_lab(snapshot, key, sequence):
            found.append(binding)
            continue
        host = snapshot.objects[key].spec.host
        if host is None:
            continue
        if Key("Host", "", host) not in snapshot.objects:
            message = f"there is no Host {host} among the manifests"
            raise IntentError(Problem(str(key), "spec.host", "UnknownReference", message))
        ports[host] = ports.get(host, 0) + 1
        found.append(Binding(key, host, f"port{ports[host]}", ports[host], sequence))
    return found


def _of_lab(snapshot: Snapshot, endpoint: Key, sequence: int) -> Binding | None:
    """Where an endpoint is whose interface id names an interface of a host without a database."""
    stored = snapshot.objects[endpoint]
    host, _, interface = (stored.spec.interface_id or "").partition("/")
    there = snapshot.objects.get(Key("Host", "", host))
    ofport = guess(interface)
    if stored.spec.host or there is None or there.spec.ovsdb or ofport is None:
        return None
    return Binding(endpoint, host, interface, ofport, sequence)
