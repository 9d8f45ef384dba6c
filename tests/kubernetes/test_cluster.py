# SPDX-License-Identifier: Apache-2.0
"""Workloads without a cluster, and what stands in for the cluster itself."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.errors import IntentError
from vneter_sdn.kubernetes.cluster import stand_in
from vneter_sdn.kubernetes.door import native
from vneter_sdn.model.snapshot import Key


def workload(kind: str = "Deployment", name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec.pop("pod", {"containers": []})}
    version = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "x"},
        "spec": {"template": template, **spec},
    }


def pod(name: str, owner: tuple[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    metadata = {"name": name, "namespace": "x", "ownerReferences": owners}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **parts}


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def names(*manifests: Any, kind: str = "Endpoint") -> list[str]:
    return [one["metadata"]["name"] for one in native(manifests).manifests if one["kind"] == kind]


@pytest.mark.parametrize(
    ("kind", "spec", "wanted"),
    [
        ("Deployment", {}, ["x.web-0"]),
        ("Deployment", {"replicas": 2}, ["x.web-0", "x.web-1"]),
        ("Deployment", {"replicas": 0}, []),
        ("StatefulSet", {"replicas": 2, "ordinals": {"start": 5}}, ["x.web-5", "x.web-6"]),
        ("ReplicaSet", {"replicas": 1}, ["x.web-0"]),
        ("ReplicationController", {"selector": {"app": "web"}}, ["x.web-0"]),
        ("Job", {"parallelism": 2}, ["x.web-0", "x.web-1"]),
        ("DaemonSet", {}, ["x.web-0"]),
    ],
)
def test_pods_of_workloads(kind: str, spec: dict[str, Any], wanted: list[str]) -> None:
    assert names(workload(kind, **spec)) == wanted


def test_a_daemon_set_has_a_pod_on_every_node_it_selects() -> None:
    given = workload("DaemonSet", pod={"nodeSelector": {"disk": "ssd"}})
    made = native([given, node("n1", disk="ssd"), node("n2", disk="ssd"), node("n3")]).manifests
    placed = {one["metadata"]["name"]: one["spec"]["host"] for one in made if "host" in one["spec"]}
    assert placed == {"x.web-n1": "n1", "x.web-n2": "n2"}


def test_pods_that_are_given_are_not_made_again() -> None:
    given = workload(replicas=3)
    between = workload("ReplicaSet", "web-5f", replicas=3)
    owner = {"kind": "Deployment", "name": "web", "controller": True}
    between["metadata"]["ownerReferences"] = [owner]
    own = pod("web-5f-abc", ("ReplicaSet", "web-5f"))
    assert names(given, between, own) == ["x.web-5f-abc"]
    assert names(given, own, between) == ["x.web-5f-abc"]
    assert len(names(given, between)) == 3, "the Deployment's, not the ReplicaSet's"
    assert names(between) == ["x.web-5f-0", "x.web-5f-1", "x.web-5f-2"]


def test_pods_that_do_not_say_who_made_them_are_known_by_their_labels() -> None:
    given = workload(replicas=3, selector={"matchLabels": {"app": "web"}})
    loose = pod("a")
    loose["metadata"]["labels"] = {"app": "web"}
    assert names(given, loose) == ["x.a"]
    other = {"metadata": {"name": "a", "namespace": "y", "labels": {"app": "web"}}}
    assert len(names(given, loose | other)) == 4
    owned = pod("a", ("ReplicaSet", "web-5f"))
    owned["metadata"]["labels"] = {"app": "web"}
    assert len(names(given, owned)) == 4


def test_an_only_owner_need_not_say_that_it_is_the_controller() -> None:
    own = pod("a", ("Deployment", "web"))
    del own["metadata"]["ownerReferences"][0]["controller"]
    assert names(workload(replicas=3), own) == ["x.a"]
    own["metadata"]["ownerReferences"][0]["controller"] = False
    assert len(names(workload(replicas=3), own)) == 4


@pytest.mark.parametrize("how", ["Complete", "Failed"])
def test_a_job_that_is_over_has_no_pods(how: str) -> None:
    over = {"status": {"conditions": [{"type": how, "status": "True"}]}}
    result = native([workload("Job") | over])
    assert not result.manifests
    assert "it is over" in result.notes[0]
    assert names(workload("Job") | {"status": {"conditions": [{"type": how}]}}) == ["x.web-0"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": 10**9}, "spec.replicas"),
        ({"replicas": -1}, "spec.replicas"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.selector"),
        ({"template": None}, "spec.template.spec"),
    ],
)
def test_workloads_that_are_refused(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(IntentError) as caught:
        native([workload(**spec)])
    assert [one.field for one in caught.value.problems] == [field]


def whole(*manifests: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in stand_in(native(manifests).manifests):
        found.setdefault(one["kind"], []).append(one)
    return found


def test_pods_alone_get_everything_they_need() -> None:
    made = whole(pod("a"), pod("b"))
    assert [one["metadata"]["name"] for one in made["Tenant"]] == ["cluster"]
    assert [one["metadata"]["name"] for one in made["Namespace"]] == ["x"]
    (network,) = made["Network"]
    assert network["metadata"]["name"] == "pods"
    assert network["spec"]["prefixes"] == ["10.244.0.0/16", "fd00:10:244::/56"]
    (host,) = made["Host"]
    assert {one["spec"]["host"] for one in made["Endpoint"]} == {host["metadata"]["name"]}


def test_pods_are_spread_over_nodes_the_same_way_every_time() -> None:
    given = [node("n2"), node("n1"), pod("a"), pod("b"), pod("c", spec={"nodeName": "n1"})]
    made = whole(*given)
    places = {one["metadata"]["name"]: one["spec"]["host"] for one in made["Endpoint"]}
    assert places == {"x.a": "n2", "x.b": "n1", "x.c": "n1"}
    again = whole(*reversed(given))
    assert places == {one["metadata"]["name"]: one["spec"]["host"] for one in again["Endpoint"]}


def test_a_pod_that_is_on_no_node_is_on_none_whose_address_is_known() -> None:
    at = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}
    made = whole(node("node") | at, pod("a"), pod("b", spec={"nodeName": "node"}))
    places = {one["metadata"]["name"]: one["spec"]["host"] for one in made["Endpoint"]}
    assert places == {"x.a": "node-2", "x.b": "node"}
    addresses = {one["metadata"]["name"]: one["spec"]["tunnelAddresses"] for one in made["Host"]}
    assert addresses == {"node": ["192.0.2.1"], "node-2": ["198.19.0.1"]}


def test_a_node_that_nobody_declared_is_a_host_all_the_same() -> None:
    made = whole(pod("a", spec={"nodeName": "n7"}), node("n1"))
    hosts = {one["metadata"]["name"]: one["spec"] for one in made["Host"]}
    assert set(hosts) == {"n1", "n7"}
    addresses = [spec["tunnelAddresses"][0] for spec in hosts.values()]
    assert len(set(addresses)) == 2


def test_a_host_that_was_made_up_before_is_room_for_pods_to_come() -> None:
    before = stand_in(native([pod("a")]).manifests)
    (host,) = [one for one in before if one["kind"] == "Host"]
    later = stand_in([*before, *native([pod("b")]).manifests])
    assert [one for one in later if one["kind"] == "Host"] == [host]


def test_where_a_node_is_that_nobody_declared_its_pods_say() -> None:
    at = {"podIP": "10.0.0.5", "hostIP": "192.0.2.7", "hostIPs": [{"ip": "2001:db8::7"}]}
    lone = pod("c", spec={"nodeName": "n9"}, status={"podIP": "10.0.0.7", "hostIP": "192.0.2.7"})
    odd = pod("d", spec={"nodeName": "n8"}, status={"podIP": "10.0.0.8", "hostIP": "nowhere"})
    silent = pod("0", spec={"nodeName": "n7"})
    first = pod("a", spec={"nodeName": "n7"}, status=at)
    result = compile_manifests([silent, first, pod("b"), lone, odd])
    hosts = {
        key.name: stored.spec.tunnel_addresses
        for key, stored in result.snapshot.objects.items()
        if key.kind == "Host"
    }
    assert hosts == {
        "n7": ("192.0.2.7", "2001:db8::7"),
        "n8": ("198.19.0.1",),
        "n9": ("198.19.0.2",),
    }, "no two are at the same address"
    assert result.snapshot.objects[Key("Endpoint", "cluster", "x.b")].spec.host != "n7"


def test_addresses_of_pods_and_nodes_make_the_network() -> None:
    at = {"status": {"podIP": "192.168.3.1", "podIPs": [{"ip": "fd01::1"}]}}
    ranged = node("n1") | {"spec": {"podCIDR": "192.168.64.0/24"}}
    (network,) = whole(pod("a", **at), ranged)["Network"]
    four, six = map(ip_network, network["spec"]["prefixes"])
    assert ip_address("192.168.3.1") in four
    assert ip_network("192.168.64.0/24").subnet_of(four)  # type: ignore[arg-type]
    assert ip_address("fd01::1") in six
    gateways = [ip_address(text) for text in network["spec"]["gateways"]]
    assert gateways[0] in four
    assert gateways[1] not in {ip_address("fd01::1"), six.network_address}


def test_the_gateway_is_no_pods_address() -> None:
    first = [pod(f"p{n}", status={"podIP": f"10.244.0.{n}"}) for n in (1, 2, 4)]
    (network,) = whole(*first)["Network"]
    assert network["spec"]["gateways"][0] == "10.244.255.254", "the next pods are not there either"
    (other,) = whole(pod("p", status={"podIP": "10.244.0.9"}))["Network"]
    assert other["spec"]["gateways"][0] == "10.244.0.1"


def test_addresses_from_everywhere_are_in_several_networks() -> None:
    far = [pod("a", status={"podIP": "10.0.0.5"}), pod("b", status={"podIP": "200.0.0.5"})]
    made = whole(*far, pod("c"))
    prefixes = {one["metadata"]["name"]: one["spec"]["prefixes"][0] for one in made["Network"]}
    assert prefixes == {"pods": "10.0.0.0/24", "pods-2": "200.0.0.0/24"}
    networks = {one["metadata"]["name"]: one["spec"]["network"] for one in made["Endpoint"]}
    assert networks == {"x.a": "pods", "x.b": "pods-2", "x.c": "pods"}


def test_pods_of_ipv6_only_are_given_nothing_else() -> None:
    (network,) = whole(pod("a", status={"podIP": "fd00::5"}))["Network"]
    assert network["spec"]["prefixes"] == ["fd00::/64"]


def test_addresses_that_no_networks_hold_are_refused() -> None:
    far = [
        pod("a", status={"podIPs": [{"ip": "10.0.0.5"}, {"ip": "fd00::1"}]}),
        pod("b", status={"podIPs": [{"ip": "200.0.0.5"}, {"ip": "fd00::2"}]}),
    ]  # Of one range of IPv6, and so of one network.
    with pytest.raises(IntentError, match="too wide"):
        whole(*far)


def test_what_is_declared_stays_as_it_is() -> None:
    def ours(kind: str, name: str, spec: Any, tenant: str | None = None) -> dict[str, Any]:
        metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
        return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}

    declared = [
        ours("Tenant", "cluster", {"description": "mine"}),
        ours("Network", "pods", {"prefixes": ["10.9.0.0/16"]}, "cluster"),
        ours("Namespace", "x", {}, "cluster"),
        ours("Host", "h", {"ovsdb": "unix:/x", "tunnelAddresses": ["192.0.2.9"]}),
    ]
    made = whole(*declared, pod("a"))
    for one in declared:
        assert made[one["kind"]] == [one]


def test_a_namespace_of_its_own_has_a_network_of_its_own() -> None:
    own = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "x", "annotations": {"vneter.io/tenant": "own"}},
    }
    made = whole(own, pod("a"), pod("b") | {"metadata": {"name": "b", "namespace": "y"}})
    tenants = [one["metadata"]["tenant"] for one in made["Network"]]
    assert tenants == ["cluster", "x"]


def test_networks_of_one_tenant_do_not_overlap() -> None:
    fast = pod("b")
    fast["metadata"]["annotations"] = {"vneter.io/network": "fast"}
    made = whole(pod("a"), fast)
    prefixes = {one["metadata"]["name"]: one["spec"]["prefixes"] for one in made["Network"]}
    assert prefixes == {
        "pods": ["10.244.0.0/16", "fd00:10:244::/56"],
        "fast": ["10.245.0.0/16", "fd00:10:244:100::/56"],
    }


@pytest.mark.parametrize("address", ["192.168.3.0", "192.168.3.255", "192.168.3.1"])
def test_every_pods_address_is_usable(address: str) -> None:
    (network,) = whole(pod("a", status={"podIP": address}))["Network"]
    prefix = ip_network(network["spec"]["prefixes"][0])
    assert ip_address(address) not in {prefix.network_address, prefix.broadcast_address}
    assert network["spec"]["gateways"][0] != address


@pytest.mark.parametrize("broken", [None, [], {"metadata": 1}, {"kind": {}}, {"kind": "Endpoint"}])
def test_what_is_malformed_is_left_for_admission(broken: Any) -> None:
    given = {"apiVersion": "vneter.io/v1", "kind": "Tenant", **(broken or {})}
    assert any(one.get("kind") == given["kind"] for one in stand_in([given]))


def test_it_compiles() -> None:
    given = [node("n1"), node("n2"), pod("a"), pod("b"), workload(replicas=3)]
    result = compile_manifests(stand_in(native(given).manifests))
    assert set(result.bridges) == {"n1", "n2"}
    endpoints = [key for key in result.snapshot.objects if key.kind == "Endpoint"]
    assert len(endpoints) == 5
    assert set(result.snapshot.bindings) == set(endpoints)
