# SPDX-License-Identifier: Apache-2.0
"""Sends what gateways advertise though nobody asked: a greenthread of its own beside the engine."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import eventlet

from vneter_sdn.edge.advertising import Face
from vneter_sdn.edge.announcing import Announcing, Group, Ports
from vneter_sdn.edge.ledger import Ledger
from vneter_sdn.model.flow import Output
from vneter_sdn.model.snapshot import Delta, Key, Snapshot
from vneter_sdn.southbound.openflow.bridges import Bridges

LOOK = 1.0
"""Seconds between two looks for what is due."""


class Advertiser:
    """Advertises, for one process.

    Args:
        bridges: OpenFlow.
        ledger: gateways.
    """

    def __init__(self, bridges: Bridges, ledger: Ledger) -> None:
        self._bridges, self._ledger = bridges, ledger
        self._announcing = Announcing(random.uniform)
        self._snapshot, self._stale = Snapshot(), False
        self._dpids: Mapping[str, int] = {}
        self.counts: Counter[str] = Counter()
        """Advertisements by what became of them, in a word each."""

    def stored(self, snapshot: Snapshot, delta: Delta | None, hosts: Mapping[int, str]) -> None:
        """The store is at this. ``delta``: what changed, None for all; ``hosts``: by datapath."""
        self._snapshot, self._dpids = snapshot, {name: dpid for dpid, name in hosts.items()}
        told = delta is None or any(key.kind != "Endpoint" for key in delta.objects)
        if delta is None or told or delta.bindings or delta.allocations:
            self._stale = True

    def run(self) -> None:
        """Advertise, for ever."""
        while True:
            self.look(time.monotonic())
            eventlet.sleep(LOOK)

    def look(self, now: float) -> None:
        """Send what is due at some second of a clock that only goes forward."""
        if self._stale:
            self._stale = False
            faces = {face.network: face for face in self._faces()}
            self._announcing.stored(faces.values(), self._groups(faces), now)
        for host, ports, frame in self._announcing.due(now):
            dpid = self._dpids.get(host)
            actions = tuple(Output(port) for port in ports)
            sent = dpid is not None and self._bridges.packet_out(dpid, frame, actions)
            self.counts["sent" if sent else "lost"] += 1

    def _faces(self) -> Iterator[Face]:
        """Gateways that have something to say of IPv6."""
        for key, stored in self._snapshot.objects.items():
            if key.kind == "Network" and stored.spec.ra is not None:
                face = self._face(key)
                if face is not None:
                    yield face

    def _face(self, network: Key) -> Face | None:
        mac = self._ledger.gateway_mac(network)
        if mac is None:
            return None
        spec = self._snapshot.objects[network].spec
        domain = self._ledger.domain(network.tenant)
        return Face(network, spec, domain, mac, self._ledger.addresses(network))

    def _groups(self, faces: Mapping[Key, Face]) -> Mapping[Group, Ports]:
        """Ports of endpoints behind some gateways. O(endpoints that are anywhere)."""
        found: dict[Group, list[int]] = {}
        for key, bound in self._snapshot.bindings.items() if faces else ():
            stored = self._snapshot.objects.get(key)
            network = stored and Key("Network", key.tenant, stored.spec.network)
            if network in faces and bound.host in self._dpids and bound.ofport > 0:
                found.setdefault(Group(network, bound.host), []).append(bound.ofport)
        return {group: tuple(sorted(set(ports))) for group, ports in found.items()}
