# SPDX-License-Identifier: Apache-2.0
"""Ports as the Network Policy API writes them, in v1alpha1 and in v1alpha2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vneter_sdn.kubernetes import syntax
from vneter_sdn.kubernetes.ports import number, protocol
from vneter_sdn.kubernetes.reading import Strict
from vneter_sdn.policy.findings import Findings


class AdminPortNumber(Strict, frozen=True, kw_only=True):
    """Port of v1alpha1."""

    protocol: str | None = None
    port: int


class AdminPortRange(Strict, frozen=True, kw_only=True):
    """PortRange of v1alpha1."""

    protocol: str | None = None
    start: int
    end: int


class AdminPort(Strict, frozen=True, kw_only=True):
    """AdminNetworkPolicyPort: exactly one of its fields."""

    port_number: AdminPortNumber | None = None
    port_range: AdminPortRange | None = None
    named_port: str | None = None


class Range(Strict, frozen=True, kw_only=True):
    """PortRange of v1alpha2."""

    start: int
    end: int


class DestinationPort(Strict, frozen=True, kw_only=True):
    """Port of v1alpha2: exactly one of its fields."""

    number: int | None = None
    range: Range | None = None


class Transport(Strict, frozen=True, kw_only=True):
    """ClusterNetworkPolicyProtocolTCP and its like."""

    destination_port: DestinationPort | None = None


class ClusterProtocol(Strict, frozen=True, kw_only=True):
    """ClusterNetworkPolicyProtocol: exactly one of its fields.

    ``namedPort`` is what ``destinationNamedPort`` was called before.
    """

    tcp: Transport | None = None
    udp: Transport | None = None
    sctp: Transport | None = None
    destination_named_port: str | None = None
    named_port: str | None = None


def admin(given: Sequence[AdminPort], path: str, findings: Findings) -> list[dict[str, Any]]:
    """Ports of v1alpha1, as ours."""
    result: list[dict[str, Any]] = []
    for position, port in enumerate(given):
        at = f"{path}[{position}]"
        fields = (port.port_number, port.port_range, port.named_port)
        if not _one(fields, at, "portNumber, portRange or namedPort", findings):
            continue
        if port.port_number is not None:
            one, below = port.port_number, f"{at}.portNumber"
            number(one.port, f"{below}.port", findings)
            word = protocol(one.protocol, below, findings)
            result.append({"protocol": word, "port": one.port})
        elif port.port_range is not None:
            several, below = port.port_range, f"{at}.portRange"
            word = protocol(several.protocol, below, findings)
            result.append({"protocol": word, **_range(several, below, findings, least=0)})
        else:
            result += _named(port.named_port or "", f"{at}.namedPort", findings)
    return result


def cluster(
    given: Sequence[ClusterProtocol], path: str, findings: Findings
) -> list[dict[str, Any]]:
    """Protocols of v1alpha2, as ports of ours."""
    result: list[dict[str, Any]] = []
    for position, one in enumerate(given):
        at = f"{path}[{position}]"
        fields = (one.tcp, one.udp, one.sctp, one.destination_named_port, one.named_port)
        if not _one(fields, at, "tcp, udp, sctp or destinationNamedPort", findings):
            continue
        for word, transport in (("tcp", one.tcp), ("udp", one.udp), ("sctp", one.sctp)):
            if transport is not None:
                result.append({"protocol": word, **_transport(transport, f"{at}.{word}", findings)})
        for field, name in (
            ("destinationNamedPort", one.destination_named_port),
            ("namedPort", one.named_port),
        ):
            if name is not None:
                result += _named(name, f"{at}.{field}", findings)
    return result


def _one(fields: Sequence[Any], path: str, names: str, findings: Findings) -> bool:
    count = sum(field is not None for field in fields)
    if count != 1:
        text = "gives none" if not count else "gives several"
        reason = "TooMany" if count else "Missing"
        findings.add(path, reason, f"{text}; give exactly one of {names}")
    return count == 1


def _transport(given: Transport, path: str, findings: Findings) -> dict[str, Any]:
    port = given.destination_port
    if port is None:
        return {}  # The API's overview: all ports then. Its schema wants something in there.
    at = f"{path}.destinationPort"
    if not _one((port.number, port.range), at, "number or range", findings):
        return {}
    if port.range is not None:
        return _range(port.range, f"{at}.range", findings, least=1)
    if port.number is not None:
        number(port.number, f"{at}.number", findings)
    return {"port": port.number}


def _range(
    given: AdminPortRange | Range, path: str, findings: Findings, least: int
) -> dict[str, Any]:
    """A range whose end is at least so much above its start."""
    sound = [
        number(given.start, f"{path}.start", findings),
        number(given.end, f"{path}.end", findings),
    ]
    if all(sound) and given.end < given.start + least:
        text = f"{given.end} is not above {given.start}; a range ends above its start"
        findings.add(f"{path}.end", "BelowPort", text)
    return {"port": given.start, "endPort": given.end}


def _named(name: str, path: str, findings: Findings) -> list[dict[str, Any]]:
    """A named port of any protocol."""
    findings.reading(path, "BadPort", syntax.port_name, name)
    return [{"protocol": word, "port": name} for word in ("tcp", "udp", "sctp")]
