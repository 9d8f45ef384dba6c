# SPDX-License-Identifier: Apache-2.0
"""Ports as the NetworkPolicies of Kubernetes and Antrea have them, and blocks of addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import field

from vneter_sdn.kubernetes import syntax
from vneter_sdn.kubernetes.reading import Strict, at_most
from vneter_sdn.policy import prefixes
from vneter_sdn.policy.findings import Findings

PROTOCOLS = ("TCP", "UDP", "SCTP")
MOST_EXCEPT = 256
"""Prefixes that one block leaves out."""


class PolicyPort(Strict, frozen=True, kw_only=True):
    """networking.k8s.io/v1 NetworkPolicyPort, which Antrea's is too, with source ports."""

    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class IpBlock(Strict, frozen=True, kw_only=True):
    """networking.k8s.io/v1 IPBlock, and Antrea's."""

    cidr: str
    except_: tuple[str, ...] | None = field(default=None, name="except")


def protocol(given: str | None, path: str, findings: Findings) -> str:
    """``tcp`` for ``TCP`` and for nothing."""
    word = "TCP" if given is None else given
    if word not in PROTOCOLS:
        near = f"; write {word.upper()}" if word.upper() in PROTOCOLS else ""
        text = f"{word[:64]!r} is none of {', '.join(PROTOCOLS)}{near}"
        findings.add(f"{path}.protocol", "UnknownProtocol", text)
    return word.lower()


def number(given: int, path: str, findings: Findings) -> bool:
    """Whether a number is a port; noted when not."""
    try:
        syntax.port_number(given)
    except ValueError as error:
        findings.add(path, "BadPort", str(error))
        return False
    return True


def port(given: PolicyPort, path: str, findings: Findings) -> dict[str, Any]:
    """One entry of ``ports``, as ours have it."""
    result: dict[str, Any] = {"protocol": protocol(given.protocol, path, findings)}
    if given.port is None:
        if given.end_port is not None:
            text = "is the last of a range that begins with port; give port too"
            findings.add(f"{path}.endPort", "WithoutPort", text)
        return result
    result["port"] = given.port
    if isinstance(given.port, str):
        findings.reading(f"{path}.port", "BadPort", syntax.port_name, given.port)
        if given.end_port is not None:
            shown = given.port[:64]
            text = f"a range begins with a number, and {shown!r} is the name of a port; remove it"
            findings.add(f"{path}.endPort", "NamedRange", text)
        return result
    sound = number(given.port, f"{path}.port", findings)
    if given.end_port is not None and number(given.end_port, f"{path}.endPort", findings):
        result["endPort"] = given.end_port
        if sound and given.end_port < given.port:
            text = (
                f"{given.end_port} is below port {given.port}; a range ends at or above its "
                "beginning"
            )
            findings.add(f"{path}.endPort", "BelowPort", text)
    return result


def cidr(text: str, path: str, findings: Findings) -> str:
    """A prefix, as it is usually written; bits beyond its length are dropped."""
    found = findings.reading(path, "BadPrefix", prefixes.parse, text)
    return text if found is None else str(found)


def block(given: IpBlock, path: str, findings: Findings) -> dict[str, Any]:
    """A block of addresses, as ours have it; what is left out is smaller than the whole."""
    whole = findings.reading(f"{path}.cidr", "BadPrefix", prefixes.parse, given.cidr)
    result: dict[str, Any] = {"cidr": given.cidr if whole is None else str(whole)}
    excluded = []
    at_most(given.except_ or (), MOST_EXCEPT, f"{path}.except", findings, "write smaller blocks")
    for position, text in enumerate(given.except_ or ()):
        at = f"{path}.except[{position}]"
        hole = findings.reading(at, "BadPrefix", prefixes.parse, text)
        if hole is None or whole is None:
            continue
        if hole == whole:
            message = f"{hole} is all of the block, so nothing would be left; remove the peer"
            findings.add(at, "OutsideBlock", message)
        elif not prefixes.within(hole, whole):
            message = f"{hole} is not within {whole}, which it is to be left out of"
            findings.add(at, "OutsideBlock", message)
        excluded.append(str(hole))
    return {**result, "excluded": excluded} if excluded else result


def some(given: Sequence[Any] | None) -> Sequence[Any]:
    """A list that may be absent or null."""
    return given or ()
