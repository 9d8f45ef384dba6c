# SPDX-License-Identifier: Apache-2.0
"""The survey of links on eventlet: a greenthread of its own beside the engine.

It takes what bridges and databases say as it comes, whatever the engine is at, and gives the engine
the few sightings that follow. Frames that are not believed are counted, and written to the log now
and then.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import product

import eventlet

from vneter_sdn.config import Settings
from vneter_sdn.engine.bindings import unlabelled
from vneter_sdn.engine.links import wire_of
from vneter_sdn.engine.port import Event, LinksDue, Ports, Tunnel
from vneter_sdn.graph.topology import tunnel_edge, tunnel_port, wire_edge
from vneter_sdn.model.flow import Output
from vneter_sdn.model.kinds import LinkSpec
from vneter_sdn.model.links import is_found
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    OpenFlowBridges,
    PortChanged,
)
from vneter_sdn.southbound.openflow.discovery import Discovery, Pace, Purpose
from vneter_sdn.southbound.openflow.measurements import Echoed, Measurement, PortsCounted
from vneter_sdn.southbound.openflow.probes import Place, Refusal
from vneter_sdn.southbound.openflow.tally import Complaints
from vneter_sdn.telemetry.smoothing import probe_rate
from vneter_sdn.telemetry.survey import PortsSeen, Sighting, Survey
from vneter_sdn.telemetry.surveyed import TunnelEnd

_log = logging.getLogger(__name__)
SECRET_OCTETS = 40
PINGS = 2
"""Ticks between two echo requests to each bridge."""
MOST_ADDRESSES = 16
"""Of one host (`HostSpec.tunnel_addresses`)."""
_QUIET = frozenset({Refusal.FOREIGN, Refusal.UNKNOWN, Refusal.ENDPOINT})
"""Reasons that ordinary workloads and switches give; not written above DEBUG."""


class Watch:
    """Surveys links on the bridges of a process.

    Args:
        bridges: OpenFlow.
        settings: whether to look for wires, and how often.
        deliver: takes events for the engine; must not block.
    """

    def __init__(
        self, bridges: OpenFlowBridges, settings: Settings, deliver: Callable[[Event], None]
    ) -> None:
        self._bridges, self._deliver = bridges, deliver
        self._pace = Pace(interval=settings.probe_interval)
        self._probing, self._count_interval = settings.discovery, settings.count_interval
        secret = secrets.token_bytes(SECRET_OCTETS)
        probes = probe_rate(settings.bfd_interval_ms)
        self._survey = Survey(
            Discovery(self._pace, secret, random.random),
            self._sighted,
            probes,
            settings.damping_half_life,
        )
        self._plain: set[str] = set()
        """Hosts without a database."""
        self._complaints = Complaints(_log)
        self._ticks = 0
        self._next_count = self._next_report = 0.0
        bridges.subscribe(self._heard)
        bridges.measure(self._measured)

    @property
    def refusals(self) -> Mapping[Refusal, int]:
        """Discovery frames that were not believed, by reason."""
        return self._survey.refusals

    # -- from the fabric ------------------------------------------------------------------------

    def manage(self, host: str, dpid: int, *, database: bool) -> None:
        """A host, the datapath id of its bridge, and whether a database tells of its interfaces."""
        (self._plain.discard if database else self._plain.add)(host)
        self._survey.manage(host, dpid, database, time.monotonic())

    def release(self, host: str) -> None:
        """A host is no more."""
        self._survey.release(host, time.monotonic())

    def interfaces(self, host: str, purposes: Mapping[str, Purpose]) -> None:
        """What a host's interfaces are for, tunnels apart."""
        self._survey.interfaces(host, purposes, time.monotonic())

    def tunnels(self, host: str, tunnels: Mapping[str, Tunnel]) -> None:
        """The tunnel ports of a host, by name."""
        ends = {
            name: TunnelEnd(edge_of_tunnel(host, tunnel.peer, name), tunnel.peer, tunnel.works)
            for name, tunnel in tunnels.items()
        }
        self._survey.tunnels(host, ends, time.monotonic())

    def stored(self, snapshot: Snapshot, changed: Iterable[Key] | None) -> None:
        """The intent changed: what links declare. ``changed``: keys, None for all."""
        if changed is not None and not any(key.kind in ("Link", "Host") for key in changed):
            return
        links = [o for key, o in snapshot.objects.items() if key.kind == "Link"]
        self._survey.declare(dict(c for o in links for c in capacities(snapshot, o.spec)))
        wires = {wire_of(o.spec): is_found(o) for o in links}
        self._survey.expect({wire: found for wire, found in wires.items() if wire})

    def _sighted(self, sighting: Sighting) -> None:
        """Tell the engine; ports of hosts without a database are also those of endpoints."""
        self._deliver(sighting)
        if isinstance(sighting, PortsSeen) and sighting.host in self._plain:
            ofports = {name: port.ofport for name, port in sighting.ports.items()}
            self._deliver(Ports(sighting.host, unlabelled(sighting.host, ofports)))

    # -- from bridges ---------------------------------------------------------------------------

    def connected(self, bridge: BridgeConnected) -> None:
        """A bridge of a host that was declared after it connected."""
        self._survey.connected(bridge.dpid, bridge.ports, time.monotonic())

    def _heard(self, event: BridgeEvent) -> None:
        now = time.monotonic()
        match event:
            case BridgeConnected():
                self.connected(event)
            case BridgeDisconnected(dpid=dpid):
                self._survey.disconnected(dpid)
            case PortChanged(dpid=dpid, reason=reason, port=port):
                self._survey.port_changed(dpid, reason, port, now)
            case _:
                pass

    def _measured(self, measurement: Measurement) -> None:
        match measurement:
            case Echoed(dpid=dpid, sent=sent, seconds=seconds):
                self._survey.echoed(dpid, sent, seconds)
            case PortsCounted(dpid=dpid, at=at, counters=counters):
                self._survey.counted(dpid, at, counters)

    def frame_arrived(self, dpid: int, port: int, frame: bytes, at: float) -> None:
        """A discovery frame was punted."""
        if not self._probing:
            return
        refusal = self._survey.arrived(dpid, port, frame, at)
        if refusal is not None:
            level = logging.DEBUG if refusal in _QUIET else logging.WARNING
            place = f"port {port} of {dpid:016x}"
            self._complaints.say(place, refusal, "a discovery frame was not believed", level)

    def workload(self, dpid: int, port: int) -> None:
        """Somebody was heard by a port who is no bridge."""
        self._survey.workload(dpid, port)

    # -- time -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Probe, judge, count and report, for ever."""
        planned = time.monotonic()
        while True:
            self.tick(time.monotonic())
            planned = max(planned + self._pace.fast, time.monotonic())
            eventlet.sleep(planned - time.monotonic())

    def tick(self, now: float) -> None:
        """What is due now; to be called every `Pace.fast` seconds."""
        self._survey.tick(now, self._send if self._probing else None)
        self._ticks += 1
        if self._probing and self._ticks % PINGS == 0:
            for dpid in self._survey.bridges():
                self._bridges.ping(dpid)
        if now >= self._next_count:
            self._next_count = now + self._count_interval
            for dpid in self._survey.bridges():
                self._bridges.count_ports(dpid)
        if now >= self._next_report:
            self._next_report = now + self._count_interval
            self._deliver(LinksDue())

    def _send(self, place: Place, frame: bytes) -> bool:
        return self._bridges.packet_out(place.dpid, frame, (Output(place.port),))


@lru_cache(1 << 16)
def edge_of_tunnel(host: str, peer: str, interface: str) -> str:
    """The edge that a tunnel port of ours is the beginning of; its name says which."""
    ranks = product(range(MOST_ADDRESSES), repeat=2)
    found = next((pair for pair in ranks if tunnel_port(peer, pair) == interface), (0, 0))
    return tunnel_edge(host, peer, found)


def capacities(snapshot: Snapshot, spec: LinkSpec) -> Iterable[tuple[str, float]]:
    """Capacities in Mbit/s that a link declares, by edge."""
    if spec.capacity_mbps is None:
        return
    if spec.medium == "wire":
        if spec.source_port and spec.target_port:
            near, far = (spec.source, spec.source_port), (spec.target, spec.target_port)
            yield wire_edge(*near, *far), spec.capacity_mbps
            yield wire_edge(*far, *near), spec.capacity_mbps
        return
    ends = ((spec.source, spec.source_address), (spec.target, spec.target_address))
    near_rank, far_rank = (_rank(snapshot, host, address) for host, address in ends)
    yield tunnel_edge(spec.source, spec.target, (near_rank, far_rank)), spec.capacity_mbps
    yield tunnel_edge(spec.target, spec.source, (far_rank, near_rank)), spec.capacity_mbps


def _rank(snapshot: Snapshot, host: str, address: str | None) -> int:
    stored = snapshot.objects.get(Key("Host", "", host))
    known = () if stored is None else stored.spec.tunnel_addresses
    return known.index(address) if address in known else 0
