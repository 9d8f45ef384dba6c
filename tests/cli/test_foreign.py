# SPDX-License-Identifier: Apache-2.0
"""Manifests of Kubernetes in the commands that take manifests: apply, delete, compile."""

from __future__ import annotations

import pytest

from vneter_sdn.model.snapshot import Key

SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: shop, labels: {app: web}}
  spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: shop}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - ports: [{port: http}]
"""
POLICY = Key("Policy", "cluster", "shop.deny")


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP, "utf-8")
    return path


def test_apply_takes_them_as_they_are(server, store, vneterctl, shop):
    ended = vneterctl("apply", "-f", shop)
    assert ended.code == 0, ended.err
    assert "policy/cluster/shop.deny created" in ended.out
    assert f"note: {shop}:12: Service of v1 is left out" in ended.err
    assert (
        "note: made up, as nothing declares it: Tenant cluster, Network cluster/pods" in ended.err
    )
    objects = store.snapshot().objects
    assert objects[Key("Endpoint", "cluster", "shop.web")].spec.namespace == "shop"
    assert objects[POLICY].annotations["vneter.io/origin"].endswith("NetworkPolicy shop/deny")
    again = vneterctl("apply", "-f", shop)
    assert "created" not in again.out
    assert "made up" not in again.err


def test_what_is_left_out_again_and_again_is_told_once(vneterctl, shop, tmp_path):
    more = tmp_path / "more.yaml"
    kinds = ["Secret"] * 3 + ["ConfigMap"] * 40
    each = "apiVersion: v1\nkind: {}\nmetadata: {{name: n{}}}\n---\n"
    more.write_text("".join(each.format(*one) for one in zip(kinds, range(43), strict=True)))
    ended = vneterctl("reachability", "--offline", shop, more)
    assert ended.code == 0, ended.err
    told = [line.split(": ", 2)[1:] for line in ended.err.splitlines() if str(more) in line]
    secret, config = (f"{kind} of v1 is left out; no network is in it" for kind in kinds[2:4])
    assert told == [
        [f"{more}:1", secret],
        [f"{more}:5", secret],
        [f"{more}:9", secret],
        [f"{more}:13", f"{config} (and 39 more)"],
    ]


def test_a_dry_run_writes_nothing(server, store, vneterctl, shop):
    assert vneterctl("apply", "--dry-run", "-f", shop).code == 0
    assert not store.snapshot().objects


def test_a_namespace_of_another_tenant_stays_there(server, store, vneterctl, shop):
    own = SHOP.replace("labels: {team: a}", "annotations: {vneter.io/tenant: own}")
    shop.write_text(own, "utf-8")
    assert vneterctl("apply", "-f", shop).code == 0
    policy = "---\n".join(SHOP.split("---\n")[2:])
    assert vneterctl("apply", "-f", "-", stdin=policy.encode()).code == 0
    assert Key("Policy", "shop", "shop.deny") in store.snapshot().objects
    assert POLICY not in store.snapshot().objects


@pytest.fixture
def ask(server, store, vneterctl, tmp_path):
    """Runs a command that takes manifests; those that are refused leave nothing."""

    def call(command, path):
        words = ("-o", tmp_path / "out") if command == "compile" else ()
        ended = vneterctl(command, "-f", path, *words)
        assert ended.code == 0 or not store.snapshot().objects
        return ended

    return call


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("podSelector: {}", "podSelectr: {}", ":20: NetworkPolicy shop/deny: spec.podSelectr: "),
        ("port: http", "port: 0", ":22: NetworkPolicy shop/deny: spec.ingress[0].ports[0].port: "),
        ("name: deny, ", "", ":18: NetworkPolicy in document 3: metadata.name: "),
        ("containerPort: 80", "containerPort: x", ":11: Pod shop/web: spec.containers[0].ports"),
        ("kind: NetworkPolicy", "kind: NetworkPolicies", ":17: document 3: kind: "),
    ],
)
@pytest.mark.parametrize("command", ["apply", "compile"])
def test_what_is_wrong_is_said_of_what_was_written(ask, shop, command, was, becomes, said):
    assert was in SHOP
    shop.write_text(SHOP.replace(was, becomes), "utf-8")
    ended = ask(command, shop)
    assert ended.code == 1
    assert f"error: {shop}{said}" in ended.err, ended.err


def test_what_admission_refuses_is_said_of_what_was_written(server, vneterctl, shop):
    there = SHOP.replace("spec: {containers", "spec: {nodeName: far, containers")
    shop.write_text(there, "utf-8")
    ended = vneterctl("apply", "-f", shop)
    assert ended.code == 1
    assert f"error: {shop}:11: Pod shop/web: spec.host: Host far" in ended.err


def test_ours_beside_them_are_ours(server, store, vneterctl, shop, red):
    both = vneterctl("apply", "-f", shop, "-f", red)
    assert both.code == 0, both.err
    assert Key("Endpoint", "red", "a") in store.snapshot().objects
    red.write_text(red.read_text("utf-8").replace("10.0.0.0/24", "10.0.0/24"), "utf-8")
    ended = vneterctl("apply", "-f", shop, "-f", red)
    assert f"error: {red}:11: Network red/web: spec.prefixes[0]: " in ended.err
    red.write_text("apiVersion: vneter.io/v1\nkind: Tenant\nmetadata: {}\n", "utf-8")
    ended = vneterctl("apply", "-f", red, "-f", shop)
    assert f"error: {red}:3: document 1: metadata.name: " in ended.err


def test_delete_takes_them_too(server, store, vneterctl, shop):
    assert vneterctl("apply", "-f", shop).code == 0
    policy = ("---\n".join(SHOP.split("---\n")[2:])).encode()
    ended = vneterctl("delete", "-f", "-", stdin=policy)
    assert ended.code == 0, ended.err
    assert "policy/cluster/shop.deny deleted" in ended.out
    assert POLICY not in store.snapshot().objects
    gone = vneterctl("delete", "-f", "-", stdin=policy)
    assert gone.code == 3
    assert "NetworkPolicy shop/deny" in gone.err
    assert vneterctl("delete", "--ignore-not-found", "-f", "-", stdin=policy).code == 0


def test_compile_needs_nothing_else(vneterctl, shop, tmp_path):
    ended = vneterctl("compile", "-f", shop.parent, "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert (tmp_path / "out" / "node.flows").exists()
    assert "Host node" in ended.err
    assert "Policy cluster/shop.deny" in (tmp_path / "out" / "node.flows").read_text("utf-8")


def test_what_is_given_twice_word_for_word_counts_once(vneterctl, shop, tmp_path):
    (tmp_path / "copy.yml").write_text(SHOP, "utf-8")
    ended = vneterctl("compile", "-f", tmp_path, "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert f"note: {shop}:1: the same as {tmp_path / 'copy.yml'}:1" in ended.err


def test_the_tenant_of_the_cluster_is_a_setting(vneterctl, shop, tmp_path, monkeypatch):
    words = ("compile", "-f", shop, "-o", tmp_path / "out")
    assert "Tenant prod" in vneterctl(*words, "--cluster-tenant", "prod").err
    monkeypatch.setenv("VNETER_CLUSTER_TENANT", "stage")
    assert "Tenant stage" in vneterctl(*words).err
