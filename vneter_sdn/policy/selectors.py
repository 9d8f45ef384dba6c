# SPDX-License-Identifier: Apache-2.0
"""Label selectors, with exactly the meaning that Kubernetes gives them."""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.model.policy_kinds import Requirement, Selector

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that every namespace has, with its name."""


def named(namespace: str) -> Selector:
    """The selector of one namespace."""
    return Selector(match_labels={NAMESPACE_NAME: namespace})


def holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Whether labels meet a requirement; NotIn and DoesNotExist hold where there is no label."""
    if requirement.operator == "In":
        return requirement.key in labels and labels[requirement.key] in requirement.values
    if requirement.operator == "NotIn":
        return requirement.key not in labels or labels[requirement.key] not in requirement.values
    if requirement.operator == "Exists":
        return requirement.key in labels
    return requirement.key not in labels


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether every condition of a selector holds for labels; those of an empty one always do."""
    for key, value in selector.match_labels.items():
        if labels.get(key) != value:
            return False
    return all(holds(requirement, labels) for requirement in selector.match_expressions)


def labels_of_namespace(name: str, given: Mapping[str, str] | None) -> Mapping[str, str]:
    """The labels that a namespace counts as having.

    Args:
        name: of the namespace; empty for endpoints that are in none, which count as being in one
            without labels.
        given: the labels of its Namespace object; None when there is no such object.
    """
    return {**(given or {}), NAMESPACE_NAME: name} if name else {}
