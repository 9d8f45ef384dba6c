# SPDX-License-Identifier: Apache-2.0
"""Which foreign kinds are understood, in which versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vneter_sdn.kubernetes import antrea
from vneter_sdn.kubernetes.admin import (
    admin_network_policy,
    baseline_admin_network_policy,
    cluster_network_policy,
)
from vneter_sdn.kubernetes.antrea_peers import group
from vneter_sdn.kubernetes.naming import Cluster, Subject
from vneter_sdn.kubernetes.networking import network_policy
from vneter_sdn.policy.findings import Findings

Translate = Callable[[Subject, Any, Cluster, Findings], list[dict[str, Any]]]
"""From a ``spec`` to manifests of ours."""

_NETWORK = "policy.networking.k8s.io"
_ANTREA = "crd.antrea.io"
_KINDS: tuple[tuple[str, tuple[str, ...], str, Translate], ...] = (
    ("networking.k8s.io", ("v1",), "NetworkPolicy", network_policy),
    (_NETWORK, ("v1alpha1", "v1alpha2"), "AdminNetworkPolicy", admin_network_policy),
    (
        _NETWORK,
        ("v1alpha1", "v1alpha2"),
        "BaselineAdminNetworkPolicy",
        baseline_admin_network_policy,
    ),
    (_NETWORK, ("v1alpha2", "v1alpha1"), "ClusterNetworkPolicy", cluster_network_policy),
    (_ANTREA, ("v1beta1", "v1alpha1"), "ClusterNetworkPolicy", antrea.cluster_policy),
    (_ANTREA, ("v1beta1", "v1alpha1"), "NetworkPolicy", antrea.namespaced_policy),
    (_ANTREA, ("v1beta1", "v1alpha1"), "Tier", antrea.tier),
    (_ANTREA, ("v1beta1", "v1alpha3", "v1alpha2"), "ClusterGroup", group),
    (_ANTREA, ("v1beta1", "v1alpha3"), "Group", group),
)
"""Group, versions that are written the same as far as they go, kind."""
POLICIES: dict[str, Translate] = {
    f"{name}/{version}/{kind}": translate
    for name, versions, kind, translate in _KINDS
    for version in versions
}
"""How to translate kinds about who may speak to whom, by version and kind."""
USUAL = tuple(f"{name}/{versions[0]}/{kind}" for name, versions, kind, _ in _KINDS)
"""The same, each in the version that it is best written in."""
WORKLOADS: dict[str, tuple[str, ...]] = {
    "Deployment": ("apps/v1",),
    "StatefulSet": ("apps/v1",),
    "ReplicaSet": ("apps/v1",),
    "DaemonSet": ("apps/v1",),
    "Job": ("batch/v1",),
    "ReplicationController": ("v1",),
}
"""Kinds that make pods, and their versions."""
VERSIONS: dict[str, tuple[str, ...]] = {
    "Namespace": ("v1",),
    "Pod": ("v1",),
    "Node": ("v1",),
    **WORKLOADS,
}
"""Versions of each kind that is understood."""
for _name in POLICIES:
    _version, _, _kind = _name.rpartition("/")
    VERSIONS[_kind] = (*VERSIONS.get(_kind, ()), _version)

CLUSTERED = frozenset(
    {
        "Namespace",
        "Node",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "ClusterNetworkPolicy",
        "Tier",
        "ClusterGroup",
    }
)
"""Kinds whose objects are in no namespace."""
