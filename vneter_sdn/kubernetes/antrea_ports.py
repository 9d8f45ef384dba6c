# SPDX-License-Identifier: Apache-2.0
"""Ports and protocols as Antrea's rules have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vneter_sdn.kubernetes.ports import PolicyPort, port
from vneter_sdn.kubernetes.reading import Strict
from vneter_sdn.policy.findings import Findings


class AntreaPort(PolicyPort, frozen=True, kw_only=True):
    """NetworkPolicyPort of Antrea's."""

    source_port: int | None = None
    source_end_port: int | None = None


class Icmp(Strict, frozen=True, kw_only=True):
    """ICMPProtocol."""

    icmp_type: int | None = None
    icmp_code: int | None = None


class AntreaProtocol(Strict, frozen=True, kw_only=True):
    """NetworkPolicyProtocol: exactly one of its fields."""

    icmp: Icmp | None = None
    igmp: Any = None


def connections(
    ports: Sequence[AntreaPort],
    protocols: Sequence[AntreaProtocol],
    path: str,
    findings: Findings,
) -> list[dict[str, Any]] | None:
    """The ports of a rule, as ours; None when it is about all."""
    result: list[dict[str, Any]] = []
    for number, one in enumerate(ports):
        at = f"{path}.ports[{number}]"
        for name, given in (
            ("sourcePort", one.source_port),
            ("sourceEndPort", one.source_end_port),
        ):
            if given is not None:
                text = "ports of whoever begins are not matched; remove it"
                findings.add(f"{at}.{name}", "NotSupported", text)
        result.append(port(one, at, findings))
    for number, protocol in enumerate(protocols):
        result += _protocol(protocol, f"{path}.protocols[{number}]", findings)
    return result if ports or protocols else None


def _protocol(given: AntreaProtocol, path: str, findings: Findings) -> list[dict[str, Any]]:
    if given.igmp is not None:
        text = "multicast is not routed, so IGMP is not matched; remove the rule"
        findings.add(f"{path}.igmp", "NotSupported", text)
        return []
    if given.icmp is None:
        findings.add(path, "Missing", "gives none; give icmp")
        return []
    chosen: dict[str, Any] = {}
    for field, name, value in (
        ("icmpType", "icmpType", given.icmp.icmp_type),
        ("icmpCode", "icmpCode", given.icmp.icmp_code),
    ):
        if value is None:
            continue
        if not 0 <= value <= 255:
            text = f"{str(value)[:24]} is not 0 to 255"
            findings.add(f"{path}.icmp.{field}", "BadIcmp", text)
        chosen[name] = value
    return [{"protocol": word, **chosen} for word in ("icmp", "icmpv6")]
