# SPDX-License-Identifier: Apache-2.0
"""The door: what foreign manifests become."""

from typing import Any

import msgspec
import pytest

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.door import is_foreign, native
from vneter_sdn.model.policy_kinds import ClusterPolicySpec, GroupSpec, PolicySpec, TierSpec
from vneter_sdn.northbound.foreign import accept

SPECS: dict[str, Any] = {
    "Policy": PolicySpec,
    "ClusterPolicy": ClusterPolicySpec,
    "Group": GroupSpec,
    "Tier": TierSpec,
}


def made(*manifests: Any, **options: Any) -> list[dict[str, Any]]:
    """What manifests become; specs of policies are checked against our own kinds."""
    found = list(native(list(manifests), **options).manifests)
    for one in found:
        if one["kind"] in SPECS:
            msgspec.convert(one["spec"], SPECS[one["kind"]])
    return found


def problems(*manifests: Any) -> tuple[Problem, ...]:
    with pytest.raises(IntentError) as caught:
        native(list(manifests))
    return caught.value.problems


def np(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "x", **metadata},
        "spec": {"podSelector": {}} if spec is None else spec,
    }


def pod(name: str = "a", **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", **parts.pop("metadata", {})},
        "spec": {"containers": [{"name": "c"}], **parts.pop("spec", {})},
        **parts,
    }


OWN = {"matchLabels": {"kubernetes.io/metadata.name": "x"}}


def test_a_network_policy_becomes_a_policy() -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [
            {
                "from": [
                    {"podSelector": {"matchLabels": {"app": "web"}}},
                    {"namespaceSelector": {}},
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                ],
                "ports": [{"port": 5432}, {"protocol": "UDP", "port": 1, "endPort": 9}],
            }
        ],
    }
    (policy,) = made(np(spec, labels={"team": "red"}))
    assert policy == {
        "apiVersion": "vneter.io/v1",
        "kind": "Policy",
        "metadata": {
            "name": "x.p",
            "tenant": "cluster",
            "labels": {"team": "red"},
            "annotations": {"vneter.io/origin": "networking.k8s.io/v1/NetworkPolicy x/p"},
        },
        "spec": {
            "tier": "kubernetes",
            "appliesTo": [{"namespaces": OWN, "endpoints": {"matchLabels": {"app": "db"}}}],
            "isolates": ["ingress"],
            "ingress": [
                {
                    "peers": [
                        {"namespaces": OWN, "endpoints": {"matchLabels": {"app": "web"}}},
                        {"namespaces": {}},
                        {"cidr": "10.0.0.0/8", "excluded": ["10.1.0.0/16"]},
                    ],
                    "ports": [
                        {"protocol": "tcp", "port": 5432},
                        {"protocol": "udp", "port": 1, "endPort": 9},
                    ],
                }
            ],
        },
    }


def test_a_pod_becomes_an_endpoint() -> None:
    ports = [
        {"name": "web", "containerPort": 80},
        {"name": "web", "containerPort": 81},
        {"containerPort": 9},
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    ]
    given = pod(
        metadata={
            "labels": {"app": "web"},
            "annotations": {"vneter.io/network": "fast", "other.example/x": "y"},
        },
        spec={"nodeName": "n1", "containers": [{"name": "c", "ports": ports}]},
        status={"podIP": "10.244.0.5", "podIPs": [{"ip": "10.244.0.5"}, {"ip": "FD00::5"}]},
    )
    (endpoint,) = made(given)
    assert endpoint["metadata"] == {
        "name": "x.a",
        "tenant": "cluster",
        "labels": {"app": "web", "vneter.io/service-account": "default"},
        "annotations": {"vneter.io/network": "fast", "vneter.io/origin": "v1/Pod x/a"},
    }
    assert endpoint["spec"] == {
        "network": "fast",
        "namespace": "x",
        "ports": [
            {"name": "web", "protocol": "tcp", "port": 80},
            {"name": "dns", "protocol": "udp", "port": 53},
        ],
        "addresses": ["10.244.0.5", "fd00::5"],
        "host": "n1",
    }


def test_pods_that_are_on_no_network_are_left_out_with_a_note() -> None:
    result = native(
        [
            pod("over", status={"phase": "Succeeded"}),
            pod("failed", status={"phase": "Failed"}),
            pod("host", spec={"hostNetwork": True}),
            pod("runs", status={"phase": "Running"}),
        ]
    )
    assert [one["metadata"]["name"] for one in result.manifests] == ["x.runs"]
    assert len(result.notes) == 3
    assert "hostNetwork" in result.notes[2]


def test_a_node_becomes_a_host() -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "n1",
            "labels": {"zone": "a"},
            "annotations": {"vneter.io/ovsdb": "ssl:192.0.2.1:6640"},
        },
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24", "fd00:1::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.1"},
                {"type": "InternalIP", "address": "2001:db8::1"},
                {"type": "ExternalIP", "address": "203.0.113.1"},
                {"type": "Hostname", "address": "n1"},
            ]
        },
    }
    (host,) = made(node)
    assert host["kind"] == "Host"
    assert host["metadata"]["labels"] == {"zone": "a"}
    assert host["metadata"]["annotations"]["vneter.io/pod-cidrs"] == "10.244.0.0/24,fd00:1::/64"
    assert host["spec"] == {
        "tunnelAddresses": ["192.0.2.1", "2001:db8::1"],
        "ovsdb": "ssl:192.0.2.1:6640",
    }
    del node["metadata"]["annotations"]["vneter.io/ovsdb"]
    (nowhere,) = made(node)
    assert nowhere["spec"]["tunnelAddresses"][2:] == ["203.0.113.1"], "for policies about nodes"
    known = native([node], hosts=["n1"])
    assert known.manifests == ()
    assert "already" in known.notes[0]
    ours = {"apiVersion": "vneter.io/v1", "kind": "Host", "metadata": {"name": "n1"}, "spec": {}}
    assert native([node, ours]).manifests == (ours,)


def test_a_namespace_may_be_a_tenant_of_its_own_or_in_another() -> None:
    def namespace(name: str, **annotations: str) -> dict[str, Any]:
        metadata = {"name": name, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    own = namespace("x", **{"vneter.io/tenant": "own"})
    assert {one["metadata"]["tenant"] for one in made(own, pod(), np())} == {"x"}
    other = namespace("x", **{"vneter.io/tenant": "red"})
    assert {one["metadata"]["tenant"] for one in made(pod(), np(), other)} == {"red"}
    assert made(pod(), tenants={"x": "blue"})[0]["metadata"]["tenant"] == "blue"
    back = made(namespace("x"), pod(), tenants={"x": "blue"}, tenant="k")
    assert {one["metadata"]["tenant"] for one in back} == {"k"}
    anp = {
        "apiVersion": "policy.networking.k8s.io/v1alpha1",
        "kind": "AdminNetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {"priority": 1, "subject": {"namespaces": {}}},
    }
    assert made(other, anp)[1]["spec"]["tenants"] == ["cluster", "red"]


def test_lists_stand_for_their_items() -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": [pod("a"), pod("b")]}
    several = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod("c")]}
    names = [one["metadata"]["name"] for one in made(items, several)]
    assert names == ["x.a", "x.b", "x.c"]
    ours = {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": "red"}}
    for some in ([], [ours], [ours, pod()]):
        assert len(made({"apiVersion": "v1", "kind": "List", "items": some})) == len(some)
    nested = {"apiVersion": "v1", "kind": "List", "items": [items, pod("d")]}
    assert [one.reason for one in problems(nested)] == ["NestedList"]


def test_a_list_of_one_kind_says_for_its_items_what_they_are() -> None:
    bare = {key: value for key, value in pod("b").items() if key in {"metadata", "spec"}}
    pods = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [bare, pod("c")]}
    none = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": None}
    assert is_foreign(pods)
    assert [one["metadata"]["name"] for one in made(pods, none)] == ["x.b", "x.c"]
    assert accept([none, pods]).notes
    mixed = {"apiVersion": "v1", "kind": "List", "items": [bare]}
    assert not is_foreign(mixed)


def test_manifests_without_a_name_are_called_by_their_place() -> None:
    nameless = {"apiVersion": "v1", "kind": "Pod", "metadata": {}}
    with pytest.raises(IntentError, match=r"Pod in net\.yaml document 2"):
        native([pod(), nameless], places=["net.yaml document 1", "net.yaml document 2"])


def test_our_own_manifests_go_through_as_they_are() -> None:
    ours = {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": "red"}, "x": 1}
    assert native([ours, pod()]).manifests[0] == ours
    assert not is_foreign(ours)


@pytest.mark.parametrize(
    ("manifest", "wanted"),
    [
        ({"apiVersion": "v1", "kind": "Pod"}, True),
        ({"apiVersion": "crd.antrea.io/v1beta1", "kind": "Tier"}, True),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, True),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, True),
        ({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}, True),
        ({"apiVersion": "vneter.io/v2", "kind": "Namespace"}, False),
        ({"apiVersion": "v1", "kind": "Tenant"}, False),
        ({"apiVersion": "nonsense", "kind": "Pod"}, False),
        ({"kind": "Pod"}, True),
        ({"apiVersion": 1, "kind": "Pod"}, False),
        ({"apiVersion": "v1", "kind": "List", "items": []}, False),
        ({"apiVersion": "v1", "kind": "List", "items": [pod()]}, True),
        (None, False),
        ([], False),
    ],
)
def test_what_is_foreign(manifest: Any, wanted: bool) -> None:
    assert is_foreign(manifest) is wanted


def test_what_a_namespace_says_of_logging_is_noted() -> None:
    said = {"networkpolicy.antrea.io/enable-logging": "true"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
    assert not native([space]).notes
    space["metadata"] |= {"annotations": said}
    (note,) = native([space]).notes
    assert "enable-logging is without effect" in note


def test_a_version_of_the_same_group_is_advised() -> None:
    (found,) = problems(
        {"apiVersion": "crd.antrea.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}}
    )
    assert found.message.endswith("write crd.antrea.io/v1beta1 or crd.antrea.io/v1alpha1")


def test_a_service_is_given_once() -> None:
    """Policies refer to it, so which of two is meant matters."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    native([service, service])
    (found,) = problems(service, service | {"spec": {"selector": {"app": "web"}}})
    assert (found.object, found.field, found.reason) == ("document 2", "metadata.name", "Repeated")


def test_other_kinds_are_left_out_with_a_note_but_not_policies() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    result = native([service, pod()])
    assert len(result.manifests) == 1
    assert "Service" in result.notes[0]
    for version, kind in (
        ("cilium.io/v2", "CiliumNetworkPolicy"),
        ("projectcalico.org/v3", "GlobalNetworkPolicy"),
    ):
        (found,) = problems({"apiVersion": version, "kind": kind, "metadata": {"name": "p"}})
        assert found.reason == "UnknownKind"
    (typo,) = problems({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicys"})
    assert "did you mean 'NetworkPolicy'" in typo.message


def test_kinds_of_others_that_are_called_like_ours_are_left_out_with_a_note() -> None:
    for version, kind in (
        ("longhorn.io/v1beta2", "Node"),
        ("user.openshift.io/v1", "Group"),
        ("apps.kruise.io/v1beta1", "StatefulSet"),
    ):
        result = native([{"apiVersion": version, "kind": kind, "metadata": {"name": "n"}}, pod()])
        assert [one["kind"] for one in result.manifests] == ["Endpoint"]
        assert f"{kind} of {version} is left out" in result.notes[0]


@pytest.mark.parametrize(
    ("version", "kind", "right"),
    [
        ("extensions/v1beta1", "NetworkPolicy", "networking.k8s.io/v1"),
        ("projectcalico.org/v3", "NetworkPolicy", "networking.k8s.io/v1"),
        ("crd.antrea.io/v1alpha2", "Tier", "crd.antrea.io/v1beta1"),
        ("v2", "Pod", "v1"),
        ("policy.networking.k8s.io/v1beta1", "AdminNetworkPolicy", "v1alpha1"),
        ("apps/v1beta1", "Deployment", "apps/v1"),
        ("core/v1", "Pod", "v1"),
        ("apps.k8s.io/v1", "Deployment", "apps/v1"),
        ("security.antrea.tanzu.vmware.com/v1alpha1", "Tier", "crd.antrea.io/v1beta1"),
    ],
)
def test_versions_that_are_not_understood(version: str, kind: str, right: str) -> None:
    found = problems({"apiVersion": version, "kind": kind, "metadata": {"name": "p"}})
    assert found[0].field == "apiVersion"
    assert right in found[0].message


def test_names_that_are_too_long_end_in_a_hash() -> None:
    long = "a" * 200
    one, other = made(pod(long + "1"), pod(long + "2"))
    names = [one["metadata"]["name"], other["metadata"]["name"]]
    assert all(len(name) == 63 for name in names)
    assert names[0] != names[1]
    assert one["metadata"]["annotations"]["vneter.io/origin"] == f"v1/Pod x/{long}1"


def test_the_same_name_from_different_sources_is_told() -> None:
    antrea = {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "x"},
        "spec": {"priority": 1, "appliedTo": [{"podSelector": {}}]},
    }
    assert len(made(antrea, np())) == 2
    (found,) = problems(antrea, np(name="p.antrea"))
    assert (found.object, found.reason) == ("Policy cluster/x.p.antrea", "NameInUse")
    (twice,) = problems(np(), np())
    assert (twice.object, twice.reason) == ("NetworkPolicy x/p", "Repeated")


def test_what_the_api_server_fills_in_is_passed_over() -> None:
    metadata = {
        "uid": "1",
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": "2027-01-01T00:00:00Z",
        "managedFields": [{}],
        "selfLink": "/",
        "finalizers": [],
    }
    given = np(**metadata) | {"status": {"conditions": []}}
    assert len(made(given)) == 1


def test_rules_of_a_direction_that_is_left_out_are_noted() -> None:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "ingress": [{}]}
    result = native([np(spec)])
    assert "ingress" not in result.manifests[0]["spec"]
    assert "ingress rules have no effect" in result.notes[0]


def test_ten_thousand_rules() -> None:
    rules = [
        {"from": [{"ipBlock": {"cidr": f"10.{n >> 8}.{n & 255}.0/24"}}], "ports": [{"port": 1 + n}]}
        for n in range(10_000)
    ]
    (policy,) = made(np({"podSelector": {}, "ingress": rules}))
    assert len(policy["spec"]["ingress"]) == 10_000


def test_antrea_tiers() -> None:
    def tier(name: str, priority: int) -> dict[str, Any]:
        metadata = {"name": name}
        spec = {"priority": priority}
        return {
            "apiVersion": "crd.antrea.io/v1beta1",
            "kind": "Tier",
            "metadata": metadata,
            "spec": spec,
        }

    result = native([tier("emergency", 50), tier("mine", 3), tier("admin", 4)])
    assert [one["metadata"]["name"] for one in result.manifests] == ["mine", "admin.antrea"]
    assert "built in" in result.notes[0]
    assert [one.reason for one in problems(tier("emergency", 51))] == ["BuiltIn"]
    assert [one.reason for one in problems(tier("mine", 250))] == ["BadPriority"]


def test_antrea_deny_is_drop_with_a_note() -> None:
    given = {
        "apiVersion": "crd.antrea.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "priority": 1,
            "appliedTo": [{"podSelector": {}}],
            "ingress": [{"action": "Deny", "enableLogging": True, "name": "n", "logLabel": "l"}],
        },
    }
    result = native([given])
    assert result.manifests[0]["spec"]["ingress"] == [
        {"action": "drop", "name": "n (l)", "log": True}
    ]
    assert "Deny is taken as Drop" in result.notes[0]


def test_a_kind_without_a_version_is_told_which() -> None:
    (found,) = problems({"kind": "NetworkPolicy", "metadata": {"name": "p"}})
    assert (found.object, found.field) == ("NetworkPolicy default/p", "apiVersion")
    assert "networking.k8s.io/v1" in found.message
    assert not is_foreign({"kind": "Tier", "metadata": {"name": "p"}})
