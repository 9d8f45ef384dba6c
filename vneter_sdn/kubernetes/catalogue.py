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

POLICIES: dict[str, Translate] = {
    "networking.k8s.io/v1/NetworkPolicy": network_policy,
    "policy.networking.k8s.io/v1alpha1/AdminNetworkPolicy": admin_network_policy,
    "policy.networking.k8s.io/v1alpha1/BaselineAdminNetworkPolicy": baseline_admin_network_policy,
    "policy.networking.k8s.io/v1alpha2/ClusterNetworkPolicy": cluster_network_policy,
    "crd.antrea.io/v1beta1/ClusterNetworkPolicy": antrea.cluster_policy,
    "crd.antrea.io/v1beta1/NetworkPolicy": antrea.namespaced_policy,
    "crd.antrea.io/v1beta1/Tier": antrea.tier,
    "crd.antrea.io/v1beta1/ClusterGroup": group,
    "crd.antrea.io/v1beta1/Group": group,
}
"""Kinds about who may speak to whom, by version and kind."""
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
