# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in, there is an answer: manifests or problems, and never anything else."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_rule import ALLOW, NAMES, acnp, annp, anp, cnp, peer, port

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.catalogue import POLICIES, VERSIONS
from vneter_sdn.kubernetes.cluster import stand_in
from vneter_sdn.kubernetes.door import is_foreign, native

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELDS = """
podSelector namespaceSelector ipBlock cidr except from to ports port endPort protocol action
matchLabels matchExpressions key operator values ingress egress subject namespaces pods tier
priority appliedTo group template replicas selector containers name labels metadata spec networks
domainNames nodes fqdn childGroups ipBlocks sameLabels match icmp protocols tcp destinationPort
range number portNumber status podIPs ip addresses podCIDRs items
"""
WORDS = st.sampled_from(FIELDS.split())
NEAR = st.recursive(
    JSON
    | WORDS
    | st.sampled_from(["10.0.0.0/8", "TCP", "Allow", "In", "x", 80, 0, -1, 2**70, "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)
KINDS = sorted({(version, kind) for kind, some in VERSIONS.items() for version in some})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            JSON,
            st.builds(
                lambda kind, metadata, spec, status: {
                    "apiVersion": kind[0],
                    "kind": kind[1],
                    "metadata": metadata,
                    "spec": spec,
                    "status": status,
                },
                st.sampled_from(KINDS),
                st.just({"name": "p"}) | NEAR,
                NEAR,
                NEAR,
            ),
        ),
        max_size=3,
    )
)
def test_whatever_comes_in_there_is_an_answer(manifests: list[Any]) -> None:
    answer(manifests)


SOUND = [
    peer({"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {}}),
    peer({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}),
    port({"protocol": "UDP", "port": 1, "endPort": 2}),
    anp({**ALLOW, "to": [{"networks": ["10.0.0.0/8"]}], "ports": [{"portNumber": {"port": 1}}]}),
    cnp({"action": "Deny", "to": [{"pods": {"podSelector": {}, "namespaceSelector": {}}}]}),
    acnp({"action": "Drop", "to": [{"fqdn": "*.a.b"}, {"group": "g"}], "ports": [{"port": "web"}]}),
    annp({"action": "Reject", "to": [{"podSelector": {}}], "protocols": [{"icmp": {}}]}),
    {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        **NAMES,
        "spec": {"replicas": 2, "ordinals": {"start": 1}, "template": {"spec": {}}},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        **NAMES,
        "spec": {"containers": [{"ports": [{"name": "web", "containerPort": 80}]}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    },
]


def changed(value: Any, path: list[int], new: Any) -> Any:
    """A copy of a value with another one somewhere in it."""
    if not path or not value or not isinstance(value, dict | list):
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = keys[path[0] % len(keys)]
    copy = value.copy()
    copy[place] = changed(value[place], path[1:], new)
    return copy


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SOUND), st.lists(st.integers(0, 7), min_size=1, max_size=9), NEAR)
def test_one_thing_wrong_in_a_sound_manifest_has_an_answer(
    manifest: dict[str, Any], path: list[int], new: Any
) -> None:
    answer([manifest])
    answer([changed(manifest, path, new)])


def answer(manifests: list[Any]) -> None:
    """What the door says: manifests or problems, and never anything else."""
    for one in manifests:
        assert isinstance(is_foreign(one), bool)
    found: tuple[Problem, ...] = ()
    try:
        made = native(manifests)
        stand_in(made.manifests)
    except IntentError as error:
        found = error.problems
    else:
        assert isinstance(made.manifests, tuple)
        return
    assert found
    for problem in found:
        assert problem.message
        assert str(problem).encode()


def test_every_kind_is_known_by_its_versions() -> None:
    assert set(POLICIES) <= {f"{version}/{kind}" for version, kind in KINDS}
