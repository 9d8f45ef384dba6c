# SPDX-License-Identifier: Apache-2.0
"""What admission finds in objects that were manifests of Kubernetes is said of these."""

from typing import Any

import pytest

from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.naming import EGRESS_RULES
from vneter_sdn.kubernetes.wording import (
    field_as_written,
    message_as_written,
    rule_as_written,
)

ANTREA = "crd.antrea.io/v1beta1"


def antrea(kind: str, name: str, namespace: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": ANTREA, "kind": kind, "metadata": metadata, "spec": spec}


def problems(*manifests: Any) -> tuple[Problem, ...]:
    with pytest.raises(IntentError) as caught:
        compile_manifests(list(manifests))
    return caught.value.problems


def test_circles_of_groups_are_told_by_the_names_of_groups() -> None:
    found = problems(
        antrea("ClusterGroup", "a", childGroups=["b"]),
        antrea("ClusterGroup", "b", childGroups=["a"]),
    )
    assert [(one.object, one.field) for one in found] == [
        ("ClusterGroup a", "spec.childGroups[0]"),
        ("ClusterGroup b", "spec.childGroups[0]"),
    ]
    assert "a → b → a" in found[0].message


def test_groups_that_are_not_there_are_told_where_they_are_asked_for() -> None:
    rule = {"action": "Drop", "from": [{"group": "web"}]}
    wide = antrea(
        "ClusterNetworkPolicy", "p", priority=1, appliedTo=[{"group": "db"}], ingress=[rule]
    )
    applied, peer = problems(wide)
    assert (applied.field, peer.field) == (
        "spec.appliedTo[0].group",
        "spec.ingress[0].from[0].group",
    )
    assert "ClusterGroup db" in applied.message
    near = antrea("NetworkPolicy", "p", "x", priority=1, appliedTo=[{"group": "db"}], egress=[])
    (one,) = problems(near)
    assert "Group x/db" in one.message


def test_fields_of_each_kind() -> None:
    egress = "spec.egress[2].peers[0].cidr"
    assert field_as_written(egress, f"{ANTREA}/NetworkPolicy") == "spec.egress[2].to[0].cidr"
    subject = field_as_written("spec.appliesTo[0]", "policy.networking.k8s.io/v1alpha1/A")
    assert subject == "spec.subject"
    pods = field_as_written("spec.appliesTo[0].endpoints", "networking.k8s.io/v1/NetworkPolicy")
    assert pods == "spec.podSelector.endpoints"
    assert field_as_written("spec.tier", f"{ANTREA}/Tier") == "spec.tier"


def test_tiers_that_are_not_there_are_told_as_they_were_written() -> None:
    """Also those called like one that is only ours, which Antrea's policies cannot be in."""
    for name in ("gold", "kubernetes", "admin"):
        applied = [{"podSelector": {}}]
        policy = antrea("ClusterNetworkPolicy", "p", priority=1, tier=name, appliedTo=applied)
        (one,) = problems(policy)
        assert (one.field, one.reason) == ("spec.tier", "UnknownReference")
        assert f"Tier {name} does not exist" in one.message


def test_nothing_else_is_changed() -> None:
    text = "Tier gold does not exist; create it first, or in the same apply"
    assert message_as_written(text) == text


def test_rules_are_counted_as_they_were_written() -> None:
    said = {EGRESS_RULES: "0,0,2"}
    assert [rule_as_written(said, "egress", n) for n in range(5)] == [0, 0, 2, 3, 4]
    assert rule_as_written(said, "ingress", 1) == 1
    assert field_as_written("spec.egress[1].log", f"{ANTREA}/NetworkPolicy", said) == (
        "spec.egress[0].log"
    )
    for odd in ("", "x,-1,٣", "9" * 5000, None, [0]):
        assert rule_as_written({EGRESS_RULES: odd}, "egress", 2) == 2
