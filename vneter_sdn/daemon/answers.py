# SPDX-License-Identifier: Apache-2.0
"""Answers of DNS to endpoints under rules about names: held back until the rules know the names.

::

    bridge ── copy ──► read ──► wanted by a rule? ── no ──────────────────────► out of the port
                                      └─ yes ─► engine ─► flows ─► barrier ──► out of the port

A bridge sends the answer out itself as soon as nobody here keeps it from doing so: that takes a
flow which goes by itself after `LEASE` seconds and is written anew each `RENEWAL`. So a controller
that is away, stopped or overwhelmed costs names that were not known before, not all of DNS.
What waits here is bounded in number and time; what would be too much goes out at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Protocol

from vneter_sdn.compile.features.police import ANSWERED, HELD
from vneter_sdn.daemon.directory import Directory
from vneter_sdn.engine.names import NamesAnswered
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import FlowKey, Output, match
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.tables import table
from vneter_sdn.policy.domains import matches
from vneter_sdn.southbound.openflow import dns, flowmod
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    BridgeEvent,
    Bridges,
)

LEASE, RENEWAL = 3, 1.0
"""Seconds."""
PATIENCE = 1.0
"""Seconds that an answer waits at most; resolvers ask again after 5 (resolv.conf(5))."""
SETTLING = 0.05
"""Seconds between a bridge's confirmation and the answer: its datapath forgets what it concluded
from the flows before, a drop for want of them above all, a little after they changed."""
MOST, MOST_TO_ONE = 2048, 64
"""Answers that wait at most, and those of them for one endpoint."""
_XID = 0x8000_0000
_PASSING = FlowKey(table(ANSWERED[0]).id, ANSWERED[1], match(**ANSWERED[2]))

Later = Callable[[float, Callable[[], None]], object]
_Held = tuple[Hashable, Callable[[], None]]
"""To whom an answer goes, and what lets it go."""


class Sending(Bridges, Protocol):
    """Bridges that take whole messages."""

    def send_message(self, dpid: int, data: bytes) -> bool:
        """Send one; False when it was dropped."""
        ...


class Answers:
    """Holds answers back, for one process.

    Args:
        bridges: OpenFlow.
        directory: names of tenants.
        wanted: names that rules of a tenant are about.
        name: takes what endpoints were answered; must not block.
        later: calls a function after so many seconds.
        now: seconds, of a clock that only goes forward.
    """

    def __init__(
        self,
        bridges: Sending,
        directory: Directory,
        wanted: Callable[[str], Iterable[str]],
        name: Callable[[NamesAnswered], None],
        later: Later,
        now: Callable[[], float],
    ) -> None:
        self._bridges, self._wanted, self._name = bridges, wanted, name
        self._later, self._now = later, now
        self._directory = directory
        self._hosts: Mapping[int, str] = {}
        self._versions: dict[int, int] = {}
        self._leased: dict[int, float] = {}
        """By datapath id: when the lease was renewed last."""
        self._waiting: dict[int, _Held] = {}
        self._to: Counter[Hashable] = Counter()
        """By whom they are for: answers that wait."""
        self._last = 0
        self.counts: Counter[str] = Counter()
        """What became of answers, in a word each."""
        bridges.subscribe(self._heard)

    def stored(self, hosts: Mapping[int, str]) -> None:
        """The intent changed. ``hosts``: names by datapath id."""
        self._hosts = hosts

    # -- leases ---------------------------------------------------------------------------------

    def renew(self) -> None:
        """Renew the lease of each bridge that sends answers here. O(bridges)."""
        for dpid, version in self._versions.items():
            observed = self._bridges.observed(dpid)
            if observed is None or _PASSING not in observed.flows:
                continue
            lease = flowmod.flow_mod(HELD, flowmod.ADD, version, _XID, seconds=LEASE)
            if self._bridges.send_message(dpid, lease):
                self._leased[dpid] = self._now()

    def _heard(self, event: BridgeEvent) -> None:
        if isinstance(event, BridgeConnected):
            self._versions[event.dpid] = event.version
        elif isinstance(event, BridgeDisconnected):
            self._versions.pop(event.dpid, None)
            self._leased.pop(event.dpid, None)

    def _holds(self, dpid: int) -> bool:
        """Whether a bridge keeps answers; one too many does no harm, so in doubt it does."""
        return self._now() < self._leased.get(dpid, -LEASE) + LEASE + RENEWAL

    # -- answers --------------------------------------------------------------------------------

    def answered(self, dpid: int, reason: punts.Names, frame: bytes, total: int) -> None:
        """An answer of DNS goes to an endpoint. ``total``: length of the frame."""
        if len(frame) < total:
            self.counts["too long"] += 1
            return
        tenant, host = self._directory.tenant(reason.tenant), self._hosts.get(dpid)
        let_go = partial(self._send, dpid, reason.port, frame)
        try:
            message = dns.message_of(frame)
        except DecodeError:
            self.counts["unreadable"] += 1
            let_go()
            return
        self._held((dpid, reason.port), let_go, tenant, host, message)

    def ours(self, endpoint: Key, host: str, message: bytes, let_go: Callable[[], None]) -> None:
        """An answer that the edge gives itself, to an endpoint on a host; ``let_go`` sends it."""
        self._held(endpoint, let_go, endpoint.tenant, host, message)

    def _held(
        self,
        whose: Hashable,
        let_go: Callable[[], None],
        tenant: str | None,
        host: str | None,
        message: bytes | None,
    ) -> None:
        """Hold an answer back until rules know what it says; otherwise let it go."""
        said = self._read(tenant, host, message)
        if said is None:
            let_go()
        elif len(self._waiting) >= MOST or self._to[whose] >= MOST_TO_ONE:
            self.counts["too many"] += 1
            self._name(said)
            let_go()
        else:
            self._hold((whose, let_go), said)

    def _read(
        self, tenant: str | None, host: str | None, message: bytes | None
    ) -> NamesAnswered | None:
        """What it says of names that rules are about; None for nothing."""
        try:
            found = dns.resolved(message) if message else {}
        except DecodeError:
            self.counts["unreadable"] += 1
            return None
        if tenant is None or host is None or not found:
            self.counts["nothing said"] += 1
            return None
        patterns = tuple(self._wanted(tenant))
        names = {n: one for n, one in found.items() if any(matches(p, n) for p in patterns)}
        if not names:
            self.counts["not asked about"] += 1
            return None
        return NamesAnswered(tenant, names, host)

    def _hold(self, held: _Held, said: NamesAnswered) -> None:
        self._last = ticket = self._last + 1
        self._waiting[ticket] = held
        self._to[held[0]] += 1
        self._later(PATIENCE, partial(self._release, ticket, "late"))
        done = partial(self._done, ticket)
        self._name(NamesAnswered(said.tenant, said.names, said.host, done))

    def _done(self, ticket: int, changed: bool) -> None:
        if changed:
            self._later(SETTLING, partial(self._release, ticket, "held"))
        else:
            self._release(ticket, "known")

    def _release(self, ticket: int, why: str) -> None:
        held = self._waiting.pop(ticket, None)
        if held is None:
            return
        whose, let_go = held
        self._to[whose] -= 1
        if not self._to[whose]:
            del self._to[whose]
        self.counts[why] += 1
        let_go()

    def _send(self, dpid: int, port: int, frame: bytes) -> None:
        if self._holds(dpid) and not self._bridges.packet_out(dpid, frame, (Output(port),)):
            self.counts["lost"] += 1
