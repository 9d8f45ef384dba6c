# SPDX-License-Identifier: Apache-2.0
"""Injects a marked packet where an endpoint sends, and collects where bridges saw it.

One packet at a time, one a second. Every bridge that is looked at holds a few flows for it while it
is under way (`southbound.openflow.injection`); whatever happens they go by themselves after
`traced.HOLD` seconds, as they do when this process dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any

import eventlet

from vneter_sdn.errors import Conflict, IntentError, NotFound, Problem
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6, PROTO_SCTP, PROTO_TCP, PROTO_UDP
from vneter_sdn.model.flow import Output
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound.schemas import Injection
from vneter_sdn.pipeline import traced
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.simulate.attempts import Wanted, first_packet
from vneter_sdn.simulate.meaning import Meaning, Station, meaning_of
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import packet_text, value_of
from vneter_sdn.southbound.openflow import encode, injection
from vneter_sdn.southbound.openflow.bridges import BridgeEvent, OpenFlowBridges, PacketArrived
from vneter_sdn.southbound.openflow.flowmod import EXACT_COOKIE
from vneter_sdn.southbound.openflow.wire import HEADER, U16, Type

EVERY = 1.0
"""Seconds from one packet to the next, at least."""
MOST = 64
"""Bridges that are looked at, at most."""
PREPARING, QUIET, DELIVERED, TIDYING = 2.0, 1.5, 0.25, 1.0
"""Seconds: for bridges to take the flows; without news until a packet counts as gone, and as
delivered; for bridges to give the flows back. Together with `LONGEST` less than `traced.HOLD`."""
LONGEST = 4.0
"""Seconds that news may go on coming, from a packet that goes in circles."""
MANY = 1000
"""Sightings that are kept."""
_STEP = 0.01
_TABLE = 0xFFFFFFF9
"""OFPP_TABLE: through the tables, as if it had come in by its port."""
_FIRST_PORT, _LAST_PORT = 61000, 65535
"""Source ports: above those that hosts give their own connections (``ip_local_port_range``)."""
_XID = 0xF000_0000
_PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP, "sctp": PROTO_SCTP}


@dataclass(slots=True)
class _Trace:
    """The packet under way."""

    number: int
    known_by: bytes
    packet: Packet
    waiting: set[int] = field(default_factory=set)
    """Bridges whose barrier is out."""
    failed: dict[int, str] = field(default_factory=dict)
    seen: list[tuple[int, injection.Sighting]] = field(default_factory=list)

    @property
    def xid(self) -> int:
        return _XID | self.number & 0x0FFF_FFFF


class Injector:
    """Injects, for one process.

    Args:
        bridges: OpenFlow.
        chance: where numbers come from that nobody may guess.
    """

    def __init__(self, bridges: OpenFlowBridges, chance: SystemRandom | None = None) -> None:
        self._bridges, self._chance = bridges, chance or SystemRandom()
        self._snapshot: Snapshot | None = None
        self._hosts: Mapping[int, str] = {}
        self._trace: _Trace | None = None
        self._last = -EVERY
        bridges.subscribe(self._heard)
        bridges.tap(self._answered)

    def stored(self, snapshot: Snapshot, hosts: Mapping[int, str]) -> None:
        """The intent changed. ``hosts``: names by datapath id."""
        self._snapshot, self._hosts = snapshot, hosts

    def concerns(self, frame: bytes) -> bool:
        """Whether a punted frame is the packet under way: nobody is to be answered it."""
        return self._trace is not None and self._trace.known_by in frame

    def inject(self, asked: Injection) -> dict[str, Any]:
        """Inject a packet, wait until nothing more is heard of it, and tell where it was seen.

        Raises:
            NotFound: there is no such endpoint.
            IntentError: an endpoint is not attached, or a bridge is not connected.
            Conflict: another packet is under way, or was a moment ago.
        """
        with self._turn():
            snapshot = self._snapshot
            if snapshot is None:
                raise Conflict("the controller has not read its store yet; try again")
            near, packet = self._packet(snapshot, asked)
            dpids = {host: dpid for dpid, host in self._hosts.items()}
            source = dpids.get(near.host)
            if source is None or self._bridges.observed(source) is None:
                raise _refused(asked.source, "NotConnected", f"the bridge of {near.host} is away")
            looked = self._looked_at(near.host, asked.hosts)
            known_by = os.urandom(16)
            number = int.from_bytes(known_by[:4], "big")
            self._trace = trace = _Trace(number, known_by, packet)
            try:
                began = time.monotonic()
                self._follow(trace, looked)
                if time.monotonic() - began > traced.HOLD / 2:  # flows may be gone before it is
                    raise _refused(asked.source, "TooBusy", "the controller is too busy for it now")
                if source in trace.failed:
                    why = f"the bridge of {near.host} {trace.failed[source]}"
                    raise _refused(asked.source, "NotFollowed", why)
                frame = injection.frame(packet, known_by)
                if not self._bridges.packet_out(source, frame, (Output(_TABLE),), near.port):
                    why = f"the bridge of {near.host} does not take packets now"
                    raise _refused(asked.source, "NotInjected", why)
                self._watch(trace)
            finally:
                self._tidy(trace, looked)
                self._trace = None
            return self._told(trace, near, looked, snapshot)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        now = time.monotonic()
        if self._trace is not None or now - self._last < EVERY:
            raise Conflict("another packet is traced just now; one a second, one at a time")
        self._last = now
        try:
            yield
        finally:
            self._last = time.monotonic()

    def _packet(self, snapshot: Snapshot, asked: Injection) -> tuple[Station, Packet]:
        meaning = meaning_of(snapshot)
        near = _station(snapshot, meaning, asked.tenant, asked.source)
        far = _station(snapshot, meaning, asked.target_tenant or asked.tenant, asked.target)
        packet = first_packet(meaning, near, far, _wanted(asked))
        if packet is None:
            raise _refused(asked.source, "NoSuchAddress", "the two share no address of one family")
        changes = {"ip_dscp": traced.DSCP}
        if asked.protocol in _PROTOCOLS:
            port = self._chance.randint(_FIRST_PORT, _LAST_PORT)
            changes[f"{asked.protocol}_src"] = port
        return near, packet.with_(**changes)

    def _looked_at(self, source: str, wished: Sequence[str]) -> dict[int, str]:
        """Connected bridges: the sender's, those that are asked for, then any."""
        first = dict.fromkeys((source, *wished))
        ranks = {host: rank for rank, host in enumerate(first)}
        there = [dpid for dpid in self._hosts if self._bridges.observed(dpid) is not None]
        there.sort(key=lambda d: (ranks.get(self._hosts[d], len(ranks)), self._hosts[d]))
        return {dpid: self._hosts[dpid] for dpid in there[:MOST]}

    def _follow(self, trace: _Trace, looked: Mapping[int, str]) -> None:
        """Have bridges hold the flows, and wait until they do."""
        flows = tuple(injection.flows(trace.packet, trace.number))
        for dpid in looked:
            version = self._bridges.version(dpid)
            mods = (
                encode.flow_mod(flow, encode.ADD, version, trace.xid, seconds=traced.HOLD)
                for flow in flows
            )
            self._ask(trace, dpid, b"".join(mods), version)
        _until(lambda: not trace.waiting, PREPARING)
        for dpid in trace.waiting:
            trace.failed.setdefault(dpid, "did not take the flows in time")
        trace.waiting.clear()

    def _ask(self, trace: _Trace, dpid: int, messages: bytes, version: int) -> None:
        barrier = encode.barrier_request(version, trace.xid)
        trace.waiting.add(dpid)
        if not self._bridges.send_message(dpid, messages + barrier):
            trace.waiting.discard(dpid)
            trace.failed[dpid] = "takes no messages now"

    def _watch(self, trace: _Trace) -> None:
        """Wait until it has come out, or there is no news of it for long enough."""
        quiet = spent = 0.0
        known, arrived = 0, False
        while quiet < (DELIVERED if arrived else QUIET) and spent < LONGEST and known < MANY:
            rested = _rest()
            spent += rested
            quiet = quiet + rested if len(trace.seen) == known else 0.0
            known = len(trace.seen)
            arrived = any(one.table == injection.LAST_TABLE for _, one in trace.seen)

    def _tidy(self, trace: _Trace, looked: Mapping[int, str]) -> None:
        """Take the flows back, and have bridges forget the connection that the packet began."""
        zones = {(dpid, injection.zone_of(one)) for dpid, one in trace.seen}
        for dpid in looked:
            if self._bridges.observed(dpid) is None:
                continue
            version = self._bridges.version(dpid)
            messages = encode.flow_delete_all(
                version, trace.xid, traced.cookie(trace.number), EXACT_COOKIE
            )
            messages += b"".join(
                injection.forget(trace.packet, trace.known_by, zone, version, trace.xid)
                for where, zone in sorted(zones)
                if where == dpid and zone
            )
            self._ask(trace, dpid, messages, version)
        _until(lambda: not trace.waiting, TIDYING)

    def _heard(self, event: BridgeEvent) -> None:
        trace = self._trace
        if not isinstance(event, PacketArrived) or trace is None:
            return
        seen = injection.sighting(event.packet)
        known = seen is not None and trace.known_by in event.packet.data
        if seen is not None and known and seen.number == trace.number and len(trace.seen) < MANY:
            trace.seen.append((event.dpid, seen))

    def _answered(self, dpid: int, _version: int, raw: bytes) -> None:
        """A barrier's answer, or a refusal."""
        trace = self._trace
        _, kind, _, xid = HEADER.unpack_from(raw)
        if trace is None or xid != trace.xid:
            return
        if kind == Type.BARRIER_REPLY:
            trace.waiting.discard(dpid)
        elif kind == Type.ERROR and not trace.seen:
            code = (U16.unpack_from(raw, 8)[0], U16.unpack_from(raw, 10)[0])
            trace.failed[dpid] = f"refuses the flows: OpenFlow error {code}"

    def _told(
        self, trace: _Trace, near: Station, looked: Mapping[int, str], snapshot: Snapshot
    ) -> dict[str, Any]:
        packet, name = trace.packet, f"{_transport(trace.packet)}_src"
        return {
            "packet": packet_text(packet),
            "sourcePort": packet.get(name, 0),
            "dscp": traced.DSCP,
            "revision": snapshot.revision,
            "host": near.host,
            "port": near.port,
            "looked": sorted(host for dpid, host in looked.items() if dpid not in trace.failed),
            "unlooked": {
                **dict.fromkeys(self._away(looked), "is not connected"),
                **{looked[dpid]: why for dpid, why in trace.failed.items() if dpid in looked},
            },
            "seen": [
                {
                    "host": self._hosts.get(dpid, f"{dpid:016x}"),
                    "port": one.port,
                    "table": BY_ID[one.table].name if one.table in BY_ID else str(one.table),
                    "place": one.seen,
                    "fields": {
                        name: value_of(name, value)
                        for name, value in sorted(one.fields.items())
                        if name not in ("in_port", traced.SEEN)
                    },
                }
                for dpid, one in trace.seen
            ],
        }

    def _away(self, looked: Mapping[int, str]) -> list[str]:
        away = [host for dpid, host in self._hosts.items() if dpid not in looked]
        return sorted(away) if len(looked) < MOST else []


def _until(done: Callable[[], bool], seconds: float) -> None:
    """Wait; what this process itself is held up for counts little: news may be waiting by then."""
    spent = 0.0
    while not done() and spent < seconds:
        spent += _rest()


def _rest() -> float:
    """Let others run, and packets come in; how long that counts for."""
    began = time.monotonic()
    eventlet.sleep(_STEP)
    return min(time.monotonic() - began, 2 * _STEP)


def _transport(packet: Mapping[str, int]) -> str:
    names = {number: name for name, number in _PROTOCOLS.items()}
    return names.get(packet["ip_proto"], "")


def _station(snapshot: Snapshot, meaning: Meaning, tenant: str, name: str) -> Station:
    key = Key("Endpoint", tenant, name)
    if key not in snapshot.objects:
        raise NotFound(f"there is no {key}")
    found = meaning.stations.get(key)
    if found is None:
        raise _refused(name, "NotAttached", f"{key} is behind no port of a bridge")
    return found


def _wanted(asked: Injection) -> Wanted:
    if asked.protocol == "icmp":
        return Wanted(PROTO_ICMPV6, icmp_type=128) if asked.six else Wanted(PROTO_ICMP)
    return Wanted(_PROTOCOLS[asked.protocol], asked.port, version=6 if asked.six else None)


def _refused(name: str, reason: str, message: str) -> IntentError:
    return IntentError(Problem(f"trace from {name}", "", reason, message))
