# SPDX-License-Identifier: Apache-2.0
"""The audit log: one line of JSON for each new connection that a policy decided about. Pure.

What anybody may cause is bounded: bridges send at most so many packets a second, and of these at
most so many become lines. What does not is counted, and said in a line of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from vneter_sdn.model.fields import (
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
)
from vneter_sdn.pipeline.punts import Decided
from vneter_sdn.pipeline.registers import ISOLATED
from vneter_sdn.policy.rule import Rule
from vneter_sdn.southbound.openflow.punt import Icmp, Ports

_NAMES = {
    PROTO_TCP: "tcp",
    PROTO_UDP: "udp",
    PROTO_SCTP: "sctp",
    PROTO_ICMP: "icmp",
    PROTO_ICMPV6: "icmpv6",
}
_PRIORITY = 16 * 8 + 6
"""Facility local0, severity informational (RFC 5424 §6.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One decision."""

    tenant: str
    source: str
    """Address."""
    target: str
    source_endpoint: str
    """Name; empty for an address that is no endpoint's."""
    target_endpoint: str
    protocol: int
    transport: Icmp | Ports | None
    decision: Decided
    rule: Rule | None
    host: str

    def told(self, now: str) -> dict[str, Any]:
        """What is written: ``from`` and ``to`` are endpoints, or addresses that are none's."""
        found: dict[str, Any] = {
            "time": now,
            "tenant": self.tenant,
            "from": self.source_endpoint or self.source,
            "to": self.target_endpoint or self.target,
            "source": self.source,
            "target": self.target,
            "protocol": _NAMES.get(self.protocol, str(self.protocol)),
        }
        match self.transport:
            case Ports(source=source, target=target):
                found |= {"sourcePort": source, "targetPort": target}
            case Icmp(type=kind, code=code):
                found |= {"type": kind, "code": code}
        verdict = {"allow": "allowed", "drop": "dropped", "reject": "rejected"}
        return found | {
            "verdict": verdict[self.decision.verdict],
            "rule": self._rule,
            "policy": str(self.rule.policy) if self.rule else "",
            "direction": self.decision.way,
            "host": self.host,
        }

    @property
    def _rule(self) -> str:
        if self.rule is not None:
            return self.rule.title
        why = "isolation" if self.decision.rule == ISOLATED else "default"
        # A rule that was changed since has another number, and nobody knows this one any more.
        return f"{self.decision.way} {why}" if self.decision.rule < 16 else ""


def text(told: dict[str, Any]) -> str:
    """One line, without its end."""
    return json.dumps(told, separators=(",", ":"), ensure_ascii=True)


def syslog(line: str, now: str, host: str) -> bytes:
    """A message of RFC 5424 §6 around a line."""
    return f"<{_PRIORITY}>1 {now} {host or '-'} vneter - audit - {line}".encode()


class Limit:
    """A token bucket that counts what it refuses.

    Args:
        rate: lines a second.
    """

    def __init__(self, rate: float) -> None:
        self._most = max(rate, 1.0) if rate > 0 else 0.0
        """A second's lines at once, or one."""
        self._rate, self._tokens, self._at = rate, self._most, 0.0
        self.dropped = 0
        """Refused since `settled`."""

    def may(self, now: float) -> bool:
        """Whether one more line may be written. Seconds of a clock that only goes forward."""
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.dropped += 1
            return False
        self._tokens -= 1
        return True

    def settled(self) -> int:
        """How many were refused since this was asked last."""
        dropped, self.dropped = self.dropped, 0
        return dropped
