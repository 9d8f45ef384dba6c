# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a policy, group or assertion by itself, whatever else there is."""

from __future__ import annotations

from collections.abc import Sequence

from vneter_sdn.model.policy_kinds import (
    AssertedEnd,
    AssertionSpec,
    Direction,
    GroupSpec,
    PolicyRule,
    PolicySpec,
    PortMatch,
    Requirement,
    Selector,
    Who,
    Window,
)
from vneter_sdn.policy import domains, prefixes
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.rule import Stage
from vneter_sdn.policy.schedule import instant
from vneter_sdn.policy.tiers import KUBERNETES, stage_of

_FORMS = "namespaces and endpoints, group, cidr, domain, sameLabels, notSameLabels, or hosts"


def check_policy(spec: PolicySpec, findings: Findings) -> None:
    """Note every problem of a policy."""
    stage = stage_of(spec.tier)
    if spec.isolates and stage is not Stage.ISOLATION:
        text = f"only policies of tier {KUBERNETES} isolate; end with a rule that drops instead"
        findings.add("spec.isolates", "NotIsolating", text)
    if len(set(spec.isolates)) != len(spec.isolates):
        findings.add("spec.isolates", "Duplicate", "a direction is given twice; remove one")
    for position, who in enumerate(spec.applies_to):
        _check_applied(who, f"spec.appliesTo[{position}]", findings)
    for position, window in enumerate(spec.schedule):
        _check_window(window, f"spec.schedule[{position}]", findings)
    both: tuple[tuple[Direction, Sequence[PolicyRule]], ...] = (
        ("ingress", spec.ingress),
        ("egress", spec.egress),
    )
    for direction, rules in both:
        for position, rule in enumerate(rules):
            _check_rule(rule, f"spec.{direction}[{position}]", stage, direction, findings)


def check_group(spec: GroupSpec, findings: Findings) -> None:
    """Note every problem of a group, circles aside."""
    for position, who in enumerate(spec.members):
        _check_who(who, f"spec.members[{position}]", findings)
        for field, labels in (
            ("sameLabels", who.same_labels),
            ("notSameLabels", who.not_same_labels),
        ):
            if labels is not None:
                text = f"a group is the same for whoever it is used on; write {field} in the policy"
                findings.add(f"spec.members[{position}].{field}", "NotHere", text)


def check_assertion(spec: AssertionSpec, findings: Findings) -> None:
    """Note every problem of an assertion."""
    for field, end in (("source", spec.source), ("target", spec.target)):
        _check_end(end, f"spec.{field}", findings)
    outside = [end.cidr for end in (spec.source, spec.target) if end.cidr is not None]
    if len(outside) == 2:
        text = "one end at least is endpoints, for others pass no bridge of ours"
        findings.add("spec.target.cidr", "NoEndpoints", text)
    for position, port in enumerate(spec.ports):
        _check_port(port, f"spec.ports[{position}]", findings)
    why = "what is denied takes no way at all; expect allowed" if spec.expect == "denied" else ""
    if outside:
        why = "what is from or to addresses outside leaves our bridges at once; name endpoints"
    for field, given in (("waypoints", spec.waypoints), ("regions", spec.regions)):
        if given and why:
            findings.add(f"spec.{field}", "NotHere", f"{why}, or remove {field}")


def _check_end(end: AssertedEnd, path: str, findings: Findings) -> None:
    named = end.tenant is not None or end.namespaces is not None or end.endpoints is not None
    if end.cidr is not None and named:
        text = "addresses that are no endpoint's have no tenant or labels; give cidr alone"
        findings.add(f"{path}.cidr", "TooMany", text)
    if end.cidr is not None:
        findings.reading(f"{path}.cidr", "BadPrefix", prefixes.parse, end.cidr)
    for field, selector in (("namespaces", end.namespaces), ("endpoints", end.endpoints)):
        if selector is not None:
            _check_selector(selector, f"{path}.{field}", findings)


def _check_rule(
    rule: PolicyRule, path: str, stage: Stage, direction: Direction, findings: Findings
) -> None:
    if stage is Stage.ISOLATION and rule.action != "allow":
        text = (
            f"rules of tier {KUBERNETES} only allow, for they have no order; write a policy of "
            f"another tier to {rule.action}"
        )
        findings.add(f"{path}.action", "OnlyAllow", text)
    for position, who in enumerate(rule.applies_to or ()):
        _check_applied(who, f"{path}.appliesTo[{position}]", findings)
    for position, who in enumerate(rule.peers or ()):
        at = f"{path}.peers[{position}]"
        _check_who(who, at, findings)
        if who.domain is not None and direction == "ingress":
            text = "who begins a connection is known by address only; name domains in egress"
            findings.add(f"{at}.domain", "OnlyEgress", text)
    for position, port in enumerate(rule.ports or ()):
        _check_port(port, f"{path}.ports[{position}]", findings)


def _check_applied(who: Who, path: str, findings: Findings) -> None:
    _check_who(who, path, findings)
    for field, given in (
        ("cidr", who.cidr),
        ("domain", who.domain),
        ("sameLabels", who.same_labels),
        ("notSameLabels", who.not_same_labels),
        ("hosts", who.hosts),
    ):
        if given is not None:
            text = "a policy applies to endpoints: give namespaces, endpoints or a group of them"
            findings.add(f"{path}.{field}", "NotEndpoints", text)


def _check_who(who: Who, path: str, findings: Findings) -> None:
    given = [
        name
        for name, value in (
            ("group", who.group),
            ("cidr", who.cidr),
            ("domain", who.domain),
            ("sameLabels", who.same_labels),
            ("notSameLabels", who.not_same_labels),
            ("hosts", who.hosts),
            ("namespaces", who.namespaces),
            ("endpoints", None if who.same_labels or who.not_same_labels else who.endpoints),
        )
        if value is not None
    ]
    if not given:
        findings.add(path, "Missing", f"says nobody; give one of {_FORMS}")
    elif len(given) > 1 and given != ["namespaces", "endpoints"]:
        text = f"{' and '.join(given)} do not go together; give one of {_FORMS}, and each by itself"
        findings.add(path, "TooMany", text)
    for field, selector in (
        ("namespaces", who.namespaces),
        ("endpoints", who.endpoints),
        ("hosts", who.hosts),
    ):
        if selector is not None:
            _check_selector(selector, f"{path}.{field}", findings)
    _check_block(who, path, findings)
    if who.domain is not None:
        findings.reading(f"{path}.domain", "BadDomain", domains.canonical, who.domain)


def _check_block(who: Who, path: str, findings: Findings) -> None:
    if who.cidr is None:
        if who.excluded:
            text = "there is no cidr to leave them out of; give it, or remove them"
            findings.add(f"{path}.excluded", "WithoutCidr", text)
        return
    whole = findings.reading(f"{path}.cidr", "BadPrefix", prefixes.parse, who.cidr)
    for position, text in enumerate(who.excluded):
        at = f"{path}.excluded[{position}]"
        hole = findings.reading(at, "BadPrefix", prefixes.parse, text)
        if whole is not None and hole is not None and not prefixes.within(hole, whole):
            message = f"{hole} is not within {whole}, which it is to be left out of"
            findings.add(at, "OutsideBlock", message)


def _check_selector(selector: Selector, path: str, findings: Findings) -> None:
    for position, requirement in enumerate(selector.match_expressions):
        _check_requirement(requirement, f"{path}.matchExpressions[{position}].values", findings)


def _check_requirement(requirement: Requirement, path: str, findings: Findings) -> None:
    wants = requirement.operator in {"In", "NotIn"}
    if wants and not requirement.values:
        text = f"{requirement.operator} needs at least one value to compare with"
        findings.add(path, "Missing", text)
    if not wants and requirement.values:
        text = f"{requirement.operator} asks for the label only; remove the values"
        findings.add(path, "NotHere", text)


def _check_port(port: PortMatch, path: str, findings: Findings) -> None:
    if port.protocol.startswith("icmp"):
        if port.port is not None or port.end_port is not None:
            text = f"{port.protocol} has no ports; give icmpType and icmpCode, or neither"
            findings.add(f"{path}.port", "NoPorts", text)
        return
    if port.icmp_type is not None or port.icmp_code is not None:
        text = f"{port.protocol} has no ICMP types; write protocol icmp or icmpv6"
        findings.add(f"{path}.icmpType", "NoIcmpTypes", text)
    if port.end_port is None:
        return
    if port.port is None:
        text = "is the last of a range that begins with port; give port too"
        findings.add(f"{path}.endPort", "WithoutPort", text)
    elif isinstance(port.port, str):
        text = f"a range begins with a number, and {port.port!r} is the name of a port; remove it"
        findings.add(f"{path}.endPort", "NamedRange", text)
    elif port.end_port < port.port:
        text = f"{port.end_port} is below port {port.port}; a range ends at or above its beginning"
        findings.add(f"{path}.endPort", "BelowPort", text)


def _check_window(window: Window, path: str, findings: Findings) -> None:
    start = end = None
    if window.start is not None:
        start = findings.reading(f"{path}.start", "BadTime", instant, window.start)
    if window.end is not None:
        end = findings.reading(f"{path}.end", "BadTime", instant, window.end)
    if start is not None and end is not None and end <= start:
        text = f"{window.end} is not after the start {window.start}; it would never be in force"
        findings.add(f"{path}.end", "EndsBeforeStart", text)
