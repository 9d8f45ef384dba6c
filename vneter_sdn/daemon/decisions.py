# SPDX-License-Identifier: Apache-2.0
"""What bridges tell of policies' decisions: senders are answered, lines are written.

An answer to what egress rejected goes straight to the port it came by. One to what ingress rejected
enters the pipeline as what its target would have sent, after everything that asks endpoints
whether they may: registers say so, which no packet of an endpoint can write. From there it
finds its way like any other, and is part of the connection for whoever asks at the sender's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from vneter_sdn.daemon.directory import Directory
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Action, Output, Resubmit
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, SOURCE, TENANT, Source
from vneter_sdn.pipeline.tables import table
from vneter_sdn.policy.rule import Rule
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.bridges import Bridges
from vneter_sdn.southbound.openflow.refusal import refusal
from vneter_sdn.telemetry.audit import Line

Rules = Callable[[str], Mapping[int, Rule]]


class Decisions:
    """Answers and writes, for one process.

    Args:
        bridges: OpenFlow.
        rules: rules of a tenant by number.
        write: takes lines of the audit log; must not block.
        traced: whether a frame is one that we sent ourselves, to follow it.
    """

    def __init__(
        self,
        bridges: Bridges,
        rules: Rules,
        write: Callable[[Line], None],
        traced: Callable[[bytes], bool] = lambda frame: False,
    ) -> None:
        self._bridges, self._rules, self._write = bridges, rules, write
        self._traced = traced
        self.directory = Directory()
        """Who has which address."""
        self._hosts: Mapping[int, str] = {}
        self.counts: Counter[str] = Counter()
        """What became of packets, in a word each."""

    def stored(self, snapshot: Snapshot, hosts: Mapping[int, str]) -> None:
        """The intent changed. ``hosts``: names by datapath id."""
        self.directory.stored(snapshot)
        self._hosts = hosts

    def decided(self, dpid: int, port: int, reason: punts.Decided, frame: bytes) -> None:
        """A policy decided about a packet. Of one that nobody sent, nobody is told."""
        if self._traced(frame):
            self.counts["traced"] += 1
            return
        if reason.answer:
            self.counts[
                "answered" if self._answer(dpid, port, reason, frame) else "unanswered"
            ] += 1
        if reason.log:
            self._log(dpid, reason, frame)

    def _answer(self, dpid: int, port: int, reason: punts.Decided, frame: bytes) -> bool:
        answer = refusal(frame)
        if answer is None:
            return False
        if reason.way == "egress":
            return bool(port) and self._bridges.packet_out(dpid, answer, (Output(port),))
        actions = self._as_target(reason, frame)
        return actions is not None and self._bridges.packet_out(dpid, answer, actions)

    def _as_target(self, reason: punts.Decided, frame: bytes) -> tuple[Action, ...] | None:
        """What makes a packet one that the target of a frame sent and may send."""
        packet = punt.decode(frame).network
        tenant = self.directory.tenant(reason.tenant)
        if not isinstance(packet, punt.Ip) or tenant is None:
            return None
        target = self.directory.owner(tenant, packet.target)
        vni = None if target is None else self.directory.vni(target.network)
        if vni is None:
            return None
        return (
            SOURCE.load(Source.ENDPOINT),
            NETWORK.load(vni),
            ORIGIN.load(vni),
            TENANT.load(reason.tenant),
            Resubmit(table("switch").id),
        )

    def _log(self, dpid: int, reason: punts.Decided, frame: bytes) -> None:
        try:
            seen = punt.decode(frame)
        except DecodeError:
            self.counts["unreadable"] += 1
            return
        tenant = self.directory.tenant(reason.tenant)
        if not isinstance(seen.network, punt.Ip) or tenant is None:
            self.counts["unreadable"] += 1
            return
        packet = seen.network
        rule = self._rules(tenant).get(reason.rule)
        self._write(
            Line(
                tenant=tenant,
                source=str(packet.source),
                target=str(packet.target),
                source_endpoint=self._endpoint(tenant, str(packet.source)),
                target_endpoint=self._endpoint(tenant, str(packet.target)),
                protocol=packet.protocol,
                transport=seen.transport,
                decision=reason,
                rule=rule,
                host=self._hosts.get(dpid, f"{dpid:016x}"),
            )
        )

    def _endpoint(self, tenant: str, address: str) -> str:
        owner = self.directory.owner(tenant, ip_address(address))
        return "" if owner is None else owner.key.name
