# SPDX-License-Identifier: Apache-2.0
"""What is seen of ports and links, in the words of hosts and interfaces. No sockets or clocks.

::

    ports, changes of ports ─► Ports      ─► PortsSeen
    probes, echoes          ─► Discovery  ─► WireFound, WireLost
    delays, losses, BFD,
    counters of ports       ─► Links      ─► LinksSeen

It lives apart from the engine: what it takes in costs the same however long a compilation takes,
and the engine hears only of what changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from vneter_sdn.graph.topology import wire_edge
from vneter_sdn.southbound.openflow.discovery import (
    Delayed,
    Discovery,
    Finding,
    Judged,
    Purpose,
    Send,
    WireDown,
    WireUp,
)
from vneter_sdn.southbound.openflow.multipart import Port, PortCounters
from vneter_sdn.southbound.openflow.ports import Ports
from vneter_sdn.southbound.openflow.probes import Place, Refusal
from vneter_sdn.telemetry.damping import HALF_LIFE
from vneter_sdn.telemetry.links import Edge, Links, LinkSeen, PortSeen
from vneter_sdn.telemetry.smoothing import DISCOVERY_RATE
from vneter_sdn.telemetry.surveyed import SurveyedBridge, TunnelEnd

GRACE = 5.0
"""Seconds that a wire found in an earlier life has to be found again."""
LOOK = 0.5
"""Seconds that one look counts for at most."""


@dataclass(frozen=True, slots=True)
class PortsSeen:
    """Every port of a host's bridge, by name of its interface."""

    host: str
    ports: Mapping[str, PortSeen]


@dataclass(frozen=True, slots=True, order=True)
class End:
    """An interface of a host's bridge."""

    host: str
    port: str


@dataclass(frozen=True, slots=True)
class WireFound:
    """Two interfaces are joined by a wire; ``one`` sorts before ``other``."""

    one: End
    other: End
    macs: tuple[int, int] = field(default=(0, 0), compare=False)
    """Ethernet addresses of the interfaces; 0 when not known."""


@dataclass(frozen=True, slots=True)
class WireLost:
    """They are not any more, as far as can be seen; ``why`` is a word for people."""

    one: End
    other: End
    why: str


@dataclass(frozen=True, slots=True)
class LinksSeen:
    """Links of which something changed, by edge; None for those that are no more."""

    links: Mapping[str, LinkSeen | None]


Sighting = PortsSeen | WireFound | WireLost | LinksSeen


class Survey:
    """Takes in what bridges and databases say; hands on what follows.

    Args:
        discovery: finds wires.
        tell: takes every sighting; must not block.
        probes: packets a second that a link carries though nobody uses it.
        half_life: seconds, of what links are left out for when they flap.
    """

    def __init__(
        self,
        discovery: Discovery,
        tell: Callable[[Sighting], None],
        probes: float = DISCOVERY_RATE,
        half_life: float = HALF_LIFE,
    ) -> None:
        self._discovery, self._tell = discovery, tell
        self._links = Links(probes, half_life)
        self._bridges: dict[int, SurveyedBridge] = {}
        self._dpids: dict[str, int] = {}
        self._present: dict[int, Ports] = {}
        """Of bridges that are connected, whether or not a host is known for them yet."""
        self._edges: dict[Place, Edge] = {}
        """By the port they begin at: wires that were found, and tunnels."""
        self._expected: dict[tuple[End, End], tuple[bool, float]] = {}
        """Whether we found it once, and for how many seconds both ends were looked at."""
        self._looked: float | None = None
        self._seen: set[str] = set()
        """Edges of wires that were found in this life."""
        self._macs: dict[WireFound, tuple[int, int]] = {}
        """By wire: of its interfaces when it was last found."""
        self.refusals: Counter[Refusal] = Counter()
        """Discovery frames that were not believed, by reason."""

    # -- hosts ----------------------------------------------------------------------------------

    def manage(self, host: str, dpid: int, database: bool, now: float) -> None:
        """A host's bridge, under the datapath id it has now.

        Args:
            host: its name.
            dpid: of its bridge.
            database: whether a database will say what its ports are for. Nothing is probed before
                that; without one, every port may be a wire's.
            now: seconds.
        """
        if self._dpids.get(host) == dpid:
            return
        before = self._bridges.get(self._dpids.get(host, -1))
        self.release(host, now)
        self._dpids[host] = dpid
        bridge = self._bridges[dpid] = SurveyedBridge(host, database, told=not database)
        if before is not None and before.database == database:
            # Its database says again only what changes.
            bridge.told, bridge.purposes = before.told, before.purposes
            self.tunnels(host, before.tunnels, now)
        if dpid in self._present:
            self._discovery.connected(dpid, True)
            bridge.ports = self._present[dpid]
            self._ports_changed(dpid, bridge, now)

    def release(self, host: str, now: float) -> None:
        """A host is no more."""
        dpid = self._dpids.pop(host, None)
        if dpid is None or self._bridges[dpid].host != host:
            return
        self._take(self._discovery.forget(dpid), now)
        del self._bridges[dpid]
        for place, edge in list(self._edges.items()):
            if host in (edge.source, edge.target):
                self._links.forget(self._edges.pop(place).name)

    def declare(self, capacities: Mapping[str, float]) -> None:
        """Declared capacities, Mbit/s, by edge."""
        self._links.declare(capacities)

    def expect(self, wires: Mapping[tuple[End, End], bool]) -> None:
        """Wires that there should be, the end that sorts first first, and whether we found them.

        One that we once found and do not see `GRACE` seconds after both ends are connected and
        up is down. One that somebody declared is down only while a port of it is.
        """
        for edge in (e for w in self._expected.keys() - wires.keys() for e in _edges(*w)):
            self._links.forget(edge.name)
        self._expected = {
            wire: (found, self._expected.get(wire, (found, 0.0))[1])
            for wire, found in wires.items()
        }

    def _look_for_expected(self, now: float, *, probing: bool) -> None:
        """Judge wires that should be there and were not seen in this life.

        Time in which we did not get to look counts for little.
        """
        passed = 0.0 if self._looked is None else min(now - self._looked, LOOK)
        self._looked = now
        for wire, (found, looked) in list(self._expected.items()):
            if any(edge.name in self._seen for edge in _edges(*wire)):
                del self._expected[wire]
                continue
            states = [self._port_works(end) for end in wire]
            if False in states:
                self._set(wire, False, now)
                self._expected[wire] = (found, 0.0)
            elif None not in states:
                self._expected[wire] = (found, looked + passed)
                lost = found and probing and looked + passed >= GRACE
                self._set(wire, False if lost else None, now)

    def _port_works(self, end: End) -> bool | None:
        """Whether a port is there and up; None while nobody says."""
        bridge = self._bridges.get(self._dpids.get(end.host, -1))
        if bridge is None or bridge.shown is None or not bridge.told:
            return None
        port = bridge.shown.get(end.port)
        return port is not None and port.up

    def _set(self, wire: tuple[End, End], works: bool | None, now: float) -> None:
        for edge in _edges(*wire):
            self._links.works(edge, works, now)

    def connected(self, dpid: int, ports: Iterable[Port], now: float) -> None:
        """A bridge connected, and has these ports."""
        self._present[dpid] = Ports(ports)
        bridge = self._bridges.get(dpid)
        if bridge is not None:
            self._discovery.connected(dpid, True)
            bridge.ports = self._present[dpid]
            self._ports_changed(dpid, bridge, now)

    def disconnected(self, dpid: int) -> None:
        """A bridge's channel is gone; what is known of its wires stands."""
        self._present.pop(dpid, None)
        if dpid in self._bridges:
            self._discovery.connected(dpid, False)

    def port_changed(self, dpid: int, reason: int, port: Port, now: float) -> None:
        """A port came, went or changed."""
        present, bridge = self._present.get(dpid), self._bridges.get(dpid)
        if present is not None and present.change(reason, port) and bridge is not None:
            self._ports_changed(dpid, bridge, now)

    def interfaces(self, host: str, purposes: Mapping[str, Purpose], now: float) -> None:
        """What a host's interfaces are for, as its database says.

        Those not named are for others; of a host without a database, they may be wires' all the
        same.
        """
        dpid = self._dpids.get(host)
        if dpid is not None:
            bridge = self._bridges[dpid]
            bridge.told, bridge.purposes = True, dict(purposes)
            self._ports_changed(dpid, bridge, now)

    def tunnels(self, host: str, tunnels: Mapping[str, TunnelEnd], now: float) -> None:
        """The tunnel ports of a host, by interface."""
        dpid = self._dpids.get(host)
        if dpid is None:
            return
        bridge = self._bridges[dpid]
        before, bridge.tunnels = bridge.tunnels, dict(tunnels)
        left = {end.edge for end in before.values()} - {end.edge for end in tunnels.values()}
        for name in left:
            self._links.forget(name)
        for port, end in tunnels.items():
            self._links.works(Edge(end.edge, host, end.peer, "tunnel", port), end.up, now)
        self._ports_changed(dpid, bridge, now)

    def workload(self, dpid: int, port: int) -> None:
        """Somebody was heard by a port who is no bridge."""
        self._discovery.workload(Place(dpid, port))

    # -- measurements ---------------------------------------------------------------------------

    def echoed(self, dpid: int, sent: float, seconds: float) -> None:
        """A bridge answered an echo request."""
        self._discovery.answered(dpid, sent, seconds)

    def counted(self, dpid: int, at: float, counters: Iterable[PortCounters]) -> None:
        """What the ports of a bridge have carried."""
        for one in counters:
            edge = self._edges.get(Place(dpid, one.port))
            if edge is not None:
                self._links.carried(edge.name, at, one.tx_bytes, one.tx_packets)

    def arrived(self, dpid: int, port: int, frame: bytes, now: float) -> Refusal | None:
        """A discovery frame came in; why it is not believed, or None."""
        refusal = self._discovery.arrived(Place(dpid, port), frame, now)
        if refusal is not None:
            self.refusals[refusal] += 1
        return refusal

    def tick(self, now: float, send: Send | None) -> None:
        """Let time pass: probes are sent and judged, and what changed of links is told.

        Without ``send`` nothing is probed, and nothing held against links that are not seen.
        """
        if send is not None:
            self._take(self._discovery.tick(now, send), now)
        self._look_for_expected(now, probing=send is not None)
        self._tell_links(now)

    def bridges(self) -> tuple[int, ...]:
        """Datapath ids of the bridges surveyed."""
        return tuple(self._bridges)

    # -- inside ---------------------------------------------------------------------------------

    def _ports_changed(self, dpid: int, bridge: SurveyedBridge, now: float) -> None:
        shown = {
            port.name: PortSeen(
                port.number, bridge.ports.up(port.number), port.mac, port.speed / 1000
            )
            for port in bridge.ports
        }
        # A database may tell of a bridge before it connects: its ports are not known then.
        if shown != bridge.shown and dpid in self._present:
            bridge.shown = shown
            self._tell(PortsSeen(bridge.host, shown))
        for name, end in bridge.tunnels.items():
            if name in shown:
                tunnel = Edge(end.edge, bridge.host, end.peer, "tunnel", name)
                self._edges[Place(dpid, shown[name].ofport)] = tunnel
        self._rediscover(dpid, bridge, now)
        for number, port in bridge.ports.by_number.items():
            edge = self._edges.get(Place(dpid, number))
            if edge is not None:
                self._links.speed(edge.name, port.speed / 1000 or None)
        self._fail_cut(dpid, bridge, now)
        self._tell_links(now)

    def _fail_cut(self, dpid: int, bridge: SurveyedBridge, now: float) -> None:
        """Doubt no longer what turns out to be cut.

        Open vSwitch first says that a port is not live, and some milliseconds later why.
        """
        for number in bridge.ports.by_number:
            edge = self._edges.get(Place(dpid, number))
            if edge and edge.medium == "wire" and self._is_cut(Place(dpid, number)):
                ends = End(edge.source, edge.port), End(edge.target, edge.target_port)
                for way in _edges(*ends):
                    self._links.fail_doubted(way.name, now)

    def _rediscover(self, dpid: int, bridge: SurveyedBridge, now: float) -> None:
        """Tell discovery of the ports; one that has another name now is another port.

        So is one with another Ethernet address where no database knows ports: a lab made anew.
        """
        purposes = bridge.purposed()
        ports = bridge.ports.by_number
        names = {n: (ports[n].name, 0 if bridge.database else ports[n].mac) for n in purposes}
        kept = {n: p for n, p in purposes.items() if bridge.names.get(n, names[n]) == names[n]}
        if len(kept) < len(purposes):
            self._take(self._discovery.ports(dpid, kept, now), now)
        bridge.names = names
        self._take(self._discovery.ports(dpid, purposes, now), now)

    def _tell_links(self, now: float) -> None:
        changes = self._links.changes(now)
        if changes:
            self._tell(LinksSeen(changes))

    def _take(self, findings: Iterable[Finding], now: float) -> None:
        for finding in findings:
            match finding:
                case WireUp(one=one, other=other):
                    self._wire_up(one, other, now)
                case WireDown(one=one, other=other, why=why):
                    self._wire_down(one, other, why, now)
                case Delayed(source=source, target=target, seconds=seconds):
                    edge = self._edge(source, target)
                    if edge is not None:
                        self._links.delayed(edge.name, seconds)
                case Judged(source=source, target=target, arrived=arrived):
                    edge = self._edge(source, target)
                    if edge is not None:
                        self._links.judged(edge.name, arrived)

    def _edge(self, source: Place, target: Place) -> Edge | None:
        """The edge that a probe went over, if it went where that edge goes."""
        edge, far = self._edges.get(source), self._bridges.get(target.dpid)
        return edge if edge and far and far.host == edge.target else None

    def _wire_up(self, one: Place, other: Place, now: float) -> None:
        near, far = self._end(one), self._end(other)
        if near is None or far is None:
            return
        ports = [self._bridges[place.dpid].ports.by_number[place.port] for place in (one, other)]
        macs = {near: ports[0].mac, far: ports[1].mac}
        first, second = sorted(macs)
        found = WireFound(first, second, (macs[first], macs[second]))
        another = self._is_another(found)
        for place, port, edge in zip((one, other), ports, _edges(near, far), strict=True):
            if another:
                self._links.forget(edge.name)
            self._edges[place] = edge
            self._seen.add(edge.name)
            self._links.works(edge, True, now)
            self._links.speed(edge.name, port.speed / 1000 or None)
        self._tell(found)

    def _is_another(self, wire: WireFound) -> bool:
        """Whether it joins other interfaces than one of these names before: of another lab.

        How often that one failed says nothing of it. A database tells interfaces by their names.
        """
        before = self._macs.get(wire, wire.macs)
        self._macs[wire] = wire.macs
        bridges = (self._bridges[self._dpids[end.host]] for end in (wire.one, wire.other))
        return before != wire.macs and not any(bridge.database for bridge in bridges)

    def _wire_down(self, one: Place, other: Place, why: str, now: float) -> None:
        found = [self._edges.get(place) for place in (one, other)]
        cut = self._is_cut(one) or self._is_cut(other)
        for edge in found:
            if edge is not None and edge.medium == "wire":
                self._links.works(edge, False, now, certain=cut)
        edge = found[0]
        if edge is not None:
            ends = (End(edge.source, edge.port), End(edge.target, edge.target_port))
            self._tell(WireLost(min(ends), max(ends), why))

    def _is_cut(self, place: Place) -> bool:
        """Whether a port is gone, down, or without carrier; not, when it hears nothing only."""
        bridge = self._bridges.get(place.dpid)
        port = bridge.ports.by_number.get(place.port) if bridge else None
        return port is None or port.down or port.link_down

    def _end(self, place: Place) -> End | None:
        bridge = self._bridges.get(place.dpid)
        port = bridge.ports.by_number.get(place.port) if bridge else None
        return End(bridge.host, port.name) if bridge and port else None


def _edges(one: End, other: End) -> tuple[Edge, Edge]:
    """Both directions of a wire."""
    return (
        Edge(
            wire_edge(one.host, one.port, other.host, other.port),
            one.host,
            other.host,
            "wire",
            one.port,
            other.port,
        ),
        Edge(
            wire_edge(other.host, other.port, one.host, one.port),
            other.host,
            one.host,
            "wire",
            other.port,
            one.port,
        ),
    )
