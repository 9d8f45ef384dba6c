# SPDX-License-Identifier: Apache-2.0
"""What all Kubernetes kinds have: metadata; and label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vneter_sdn.kubernetes import syntax
from vneter_sdn.kubernetes.reading import Loose, Strict, at_most
from vneter_sdn.model.fieldpaths import below
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.selectors import NAMESPACE_NAME

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
MOST_EXPRESSIONS, MOST_VALUES = 64, 256
"""Conditions of one selector, values of one condition."""


class Owner(Loose, frozen=True, kw_only=True):
    """metav1.OwnerReference."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class ObjectMeta(Strict, frozen=True, kw_only=True):
    """metav1.ObjectMeta; what the API server fills in is read and passed over."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None
    uid: Any = None
    resource_version: Any = None
    generation: Any = None
    creation_timestamp: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    finalizers: Any = None
    managed_fields: Any = None
    self_link: Any = None
    cluster_name: Any = None

    @property
    def controller(self) -> Owner | None:
        """Who made it, and makes it again when it is gone; an only owner need not say so."""
        owners = self.owner_references or ()
        for owner in owners:
            if owner.controller or (len(owners) == 1 and owner.controller is None):
                return owner
        return None


class Requirement(Strict, frozen=True, kw_only=True):
    """metav1.LabelSelectorRequirement."""

    key: str
    operator: str
    values: tuple[str, ...] | None = None


class LabelSelector(Strict, frozen=True, kw_only=True):
    """metav1.LabelSelector."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None


class NamespacedName(Strict, frozen=True, kw_only=True):
    """A reference to a kind that lives in namespaces."""

    name: str = ""
    namespace: str = ""


def selector(given: LabelSelector, path: str, findings: Findings) -> dict[str, Any]:
    """A selector as manifests of ours have it; what is wrong with it is noted."""
    result: dict[str, Any] = {}
    if given.match_labels:
        check_labels(given.match_labels, f"{path}.matchLabels", findings)
        result["matchLabels"] = dict(given.match_labels)
    if given.match_expressions:
        at = f"{path}.matchExpressions"
        at_most(given.match_expressions, MOST_EXPRESSIONS, at, findings, "select by fewer")
        result["matchExpressions"] = [
            _requirement(requirement, f"{path}.matchExpressions[{number}]", findings)
            for number, requirement in enumerate(given.match_expressions)
        ]
    return result


def _requirement(given: Requirement, path: str, findings: Findings) -> dict[str, Any]:
    findings.reading(f"{path}.key", "BadLabel", syntax.label_key, given.key)
    values = given.values or ()
    at_most(values, MOST_VALUES, f"{path}.values", findings, "give them a label in common")
    if given.operator not in OPERATORS:
        text = f"{given.operator[:64]!r} is none of {', '.join(OPERATORS)}"
        findings.add(f"{path}.operator", "UnknownOperator", text)
    elif given.operator in {"In", "NotIn"}:
        if not values:
            text = f"{given.operator} needs at least one value to compare with"
            findings.add(f"{path}.values", "Missing", text)
    elif values:
        text = f"{given.operator} asks for the label only; remove the values"
        findings.add(f"{path}.values", "NotHere", text)
    for number, value in enumerate(values):
        findings.reading(f"{path}.values[{number}]", "BadLabel", syntax.label_value, value)
    result: dict[str, Any] = {"key": given.key, "operator": given.operator}
    return {**result, "values": list(values)} if values else result


def check_labels(labels: Mapping[str, str], path: str, findings: Findings) -> None:
    """Note every label that is not written as Kubernetes wants it."""
    for key, value in labels.items():
        at = below(path, key[:64])
        findings.reading(at, "BadLabel", syntax.label_key, key)
        findings.reading(at, "BadLabel", syntax.label_value, value)


def own(namespace: str) -> dict[str, Any]:
    """The selector of one namespace."""
    return {"matchLabels": {NAMESPACE_NAME: namespace}}
