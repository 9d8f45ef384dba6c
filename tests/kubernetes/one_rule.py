# SPDX-License-Identifier: Apache-2.0
"""Policies of one rule, of every kind that Kubernetes and its implementations have."""

from typing import Any

NAMES = {"metadata": {"name": "p", "namespace": "x"}}
CLUSTERED = {"metadata": {"name": "p"}}
ALLOW = {"action": "Allow"}


def np(spec: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **NAMES, "spec": spec}


def peer(value: Any) -> dict[str, Any]:
    return np({"podSelector": {}, "ingress": [{"from": [value]}]})


def port(value: Any) -> dict[str, Any]:
    return np({"podSelector": {}, "ingress": [{"ports": [value]}]})


def chosen(value: Any) -> dict[str, Any]:
    return np({"podSelector": value})


def anp(rule: Any, direction: str = "egress", **spec: Any) -> dict[str, Any]:
    given = {"priority": 1, "subject": {"namespaces": {}}, direction: [rule], **spec}
    version = "policy.networking.k8s.io/v1alpha1"
    return {"apiVersion": version, "kind": "AdminNetworkPolicy", **CLUSTERED, "spec": given}


def cnp(rule: Any, **spec: Any) -> dict[str, Any]:
    given = {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "egress": [rule]}
    version = "policy.networking.k8s.io/v1alpha2"
    return {
        "apiVersion": version,
        "kind": "ClusterNetworkPolicy",
        **CLUSTERED,
        "spec": given | spec,
    }


def acnp(rule: Any, direction: str = "egress", **spec: Any) -> dict[str, Any]:
    given = {"priority": 1, "appliedTo": [{"podSelector": {}}], direction: [rule], **spec}
    version = "crd.antrea.io/v1beta1"
    return {"apiVersion": version, "kind": "ClusterNetworkPolicy", **CLUSTERED, "spec": given}


def annp(rule: Any, **spec: Any) -> dict[str, Any]:
    return acnp(rule, **spec) | {"kind": "NetworkPolicy"} | NAMES
