# SPDX-License-Identifier: Apache-2.0
"""Bad input: where it is, what is wrong with it, and all of it at once."""

from typing import Any

import pytest
from one_rule import ALLOW, CLUSTERED, NAMES, acnp, annp, anp, chosen, cnp, np, peer, port

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.door import native


def problems(*manifests: Any) -> tuple[Problem, ...]:
    with pytest.raises(IntentError) as caught:
        native(list(manifests))
    return caught.value.problems


def cluster_group(spec: Any) -> dict[str, Any]:
    version = "crd.antrea.io/v1beta1"
    return {"apiVersion": version, "kind": "ClusterGroup", **CLUSTERED, "spec": spec}


PEER, PORT = "spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"
TO = "spec.egress[0].to[0]"


@pytest.mark.parametrize(
    ("manifest", "field", "reason"),
    [
        (peer({}), PEER, "Missing"),
        (peer({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}), PEER, "TooMany"),
        (peer({"ipBlock": {}}), f"{PEER}.ipBlock.cidr", "Missing"),
        (peer({"ipBlock": {"cidr": "10.0.0.0/33"}}), f"{PEER}.ipBlock.cidr", "BadPrefix"),
        (peer({"ipBlock": {"cidr": "10.0.0.1"}}), f"{PEER}.ipBlock.cidr", "BadPrefix"),
        (
            peer({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}),
            f"{PEER}.ipBlock.except[0]",
            "OutsideBlock",
        ),
        (
            peer({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}),
            f"{PEER}.ipBlock.except[0]",
            "OutsideBlock",
        ),
        (
            peer({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/16"]}}),
            f"{PEER}.ipBlock.except[0]",
            "OutsideBlock",
        ),
        (peer({"podSelecter": {}}), f"{PEER}.podSelecter", "UnknownField"),
        (peer(None), PEER, "WrongType"),
        (port({"port": 0}), f"{PORT}.port", "BadPort"),
        (port({"port": 65536}), f"{PORT}.port", "BadPort"),
        (port({"port": -1}), f"{PORT}.port", "BadPort"),
        (port({"port": 80, "endPort": 79}), f"{PORT}.endPort", "BelowPort"),
        (port({"port": 80, "endPort": 0}), f"{PORT}.endPort", "BadPort"),
        (port({"port": "web", "endPort": 80}), f"{PORT}.endPort", "NamedRange"),
        (port({"endPort": 80}), f"{PORT}.endPort", "WithoutPort"),
        (port({"port": "80"}), f"{PORT}.port", "BadPort"),
        (port({"port": "Web"}), f"{PORT}.port", "BadPort"),
        (port({"port": "a--b"}), f"{PORT}.port", "BadPort"),
        (port({"port": "x" * 16}), f"{PORT}.port", "BadPort"),
        (port({"port": 80.5}), f"{PORT}.port", "WrongType"),
        (port({"port": True}), f"{PORT}.port", "WrongType"),
        (port({"protocol": "tcp"}), f"{PORT}.protocol", "UnknownProtocol"),
        (port({"protocol": "ICMP"}), f"{PORT}.protocol", "UnknownProtocol"),
        (np({"podSelector": {}, "policyTypes": ["ingress"]}), "spec.policyTypes[0]", "Unknown"),
        (np({"podSelector": {}, "policyTypes": ["Ingress"] * 3}), "spec.policyTypes", "TooMany"),
        (np({"podSelector": {}, "ingress": {}}), "spec.ingress", "WrongType"),
        (np([]), "spec", "WrongType"),
        (chosen({"app": "web"}), "spec.podSelector.app", "UnknownField"),
        (chosen({"matchLabels": {"a": 1}}), "spec.podSelector.matchLabels.a", "WrongType"),
        (chosen({"matchLabels": {"a": None}}), "spec.podSelector.matchLabels.a", "WrongType"),
        (chosen({"matchLabels": {"a b": "c"}}), "spec.podSelector.matchLabels.a b", "BadLabel"),
        (chosen({"matchLabels": {"A/b": "c"}}), "spec.podSelector.matchLabels.A/b", "BadLabel"),
        (chosen({"matchLabels": {"a": "-"}}), "spec.podSelector.matchLabels.a", "BadLabel"),
        (chosen({"matchLabels": {"a": "x" * 64}}), "spec.podSelector.matchLabels.a", "BadLabel"),
        (
            chosen({"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}),
            "spec.podSelector.matchExpressions[0].operator",
            "UnknownOperator",
        ),
        (
            chosen({"matchExpressions": [{"key": "a", "operator": "In"}]}),
            "spec.podSelector.matchExpressions[0].values",
            "Missing",
        ),
        (
            chosen({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
            "spec.podSelector.matchExpressions[0].values",
            "NotHere",
        ),
        (
            chosen({"matchExpressions": [{"operator": "Exists"}]}),
            "spec.podSelector.matchExpressions[0].key",
            "Missing",
        ),
        (anp({**ALLOW, "to": []}), "spec.egress[0].to", "Missing"),
        (anp(ALLOW), "spec.egress[0].to", "Missing"),
        (anp({**ALLOW, "to": [{}]}), TO, "Missing"),
        (anp({**ALLOW, "to": [{"namespaces": {}, "nodes": {}}]}), TO, "TooMany"),
        (
            anp({**ALLOW, "to": [{"namespaces": {}}], "ports": []}),
            "spec.egress[0].ports",
            "Missing",
        ),
        (
            anp({**ALLOW, "to": [{"namespaces": {}}], "ports": [{}]}),
            "spec.egress[0].ports[0]",
            "Missing",
        ),
        (
            anp({**ALLOW, "to": [{"nodes": {}}], "ports": [{"namedPort": "web"}]}),
            TO,
            "NamedPort",
        ),
        (anp({"action": "Accept", "to": [{"namespaces": {}}]}), "spec.egress[0].action", "Unknown"),
        (anp({**ALLOW, "to": [{"networks": ["10.0.0.0"]}]}), f"{TO}.networks[0]", "BadPrefix"),
        (
            anp({"action": "Deny", "to": [{"domainNames": ["a.b"]}]}),
            f"{TO}.domainNames",
            "NotHere",
        ),
        (
            anp({**ALLOW, "to": [{"domainNames": ["a*.b.c"]}]}),
            f"{TO}.domainNames[0]",
            "BadDomain",
        ),
        (
            anp({**ALLOW, "from": [{"namespaces": {}}], "to": [{"namespaces": {}}]}),
            "spec.egress[0].from",
            "UnknownField",
        ),
        (
            anp(
                {
                    **ALLOW,
                    "to": [{"namespaces": {}}],
                    "ports": [{"portRange": {"start": 9, "end": 8}}],
                }
            ),
            "spec.egress[0].ports[0].portRange.end",
            "BelowPort",
        ),
        (anp({**ALLOW, "to": [{"namespaces": {}}]}, priority=1001), "spec.priority", "BadPriority"),
        (anp({**ALLOW, "to": [{"namespaces": {}}]}, subject={}), "spec.subject", "Missing"),
        (
            {
                "apiVersion": "policy.networking.k8s.io/v1alpha1",
                "kind": "BaselineAdminNetworkPolicy",
                **CLUSTERED,
                "spec": {"subject": {"namespaces": {}}},
            },
            "metadata.name",
            "BadName",
        ),
        (
            cnp(
                {
                    "action": "Accept",
                    "to": [{"namespaces": {}}],
                    "protocols": [{"tcp": {"destinationPort": {"range": {"start": 8, "end": 8}}}}],
                }
            ),
            "spec.egress[0].protocols[0].tcp.destinationPort.range.end",
            "BelowPort",
        ),
        (
            cnp({"action": "Accept", "to": [{"namespaces": {}}]}, tier="admin"),
            "spec.tier",
            "UnknownTier",
        ),
        (
            cnp({"action": "Accept", "to": [{"namespaces": {}}] * 26}),
            "spec.egress[0].to",
            "TooMany",
        ),
        (acnp({"action": "Permit"}), "spec.egress[0].action", "UnknownAction"),
        (acnp({"ports": []}), "spec.egress[0].action", "Missing"),
        (acnp({"action": "Pass"}, tier="baseline"), "spec.egress[0].action", "NotHere"),
        (acnp(ALLOW, priority=0), "spec.priority", "BadPriority"),
        (acnp(ALLOW, appliedTo=[]), "spec.appliedTo", "Missing"),
        (
            acnp({**ALLOW, "appliedTo": [{"podSelector": {}}]}),
            "spec.appliedTo",
            "TooMany",
        ),
        (acnp({**ALLOW, "to": [{}]}), TO, "Missing"),
        (acnp({**ALLOW, "to": [{"group": "g", "podSelector": {}}]}), TO, "TooMany"),
        (acnp({**ALLOW, "to": [{"namespaces": {}}]}), f"{TO}.namespaces", "Missing"),
        (
            acnp({**ALLOW, "to": [{"namespaces": {"match": "Other"}}]}),
            f"{TO}.namespaces.match",
            "UnknownMatch",
        ),
        (acnp({**ALLOW, "to": [{"fqdn": "(a+)+$"}]}), f"{TO}.fqdn", "BadDomain"),
        (acnp({**ALLOW, "to": [{"fqdn": "*a*a*a*a*a*a*b"}]}), f"{TO}.fqdn", "BadDomain"),
        (
            acnp({**ALLOW, "from": [{"fqdn": "a.b"}]}, "ingress"),
            "spec.ingress[0].from[0].fqdn",
            "OnlyEgress",
        ),
        (
            acnp({**ALLOW, "to": [{"podSelector": {}, "scope": "ClusterSet"}]}),
            f"{TO}.scope",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "to": [{"externalEntitySelector": {}}]}),
            f"{TO}.externalEntitySelector",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "toServices": [{"name": "s", "namespace": "x"}]}),
            "spec.egress[0].toServices[0]",
            "UnknownReference",
        ),
        (
            acnp({**ALLOW, "l7Protocols": [{"http": {}}]}),
            "spec.egress[0].l7Protocols",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "ports": [{"sourcePort": 1}]}),
            "spec.egress[0].ports[0].sourcePort",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "ports": [{"port": 1, "sourceEndPort": 2}]}),
            "spec.egress[0].ports[0].sourceEndPort",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "toServices": [{"name": "s"}]}),
            "spec.egress[0].toServices[0].namespace",
            "Missing",
        ),
        (
            annp(ALLOW, appliedTo=[{"serviceAccount": {"name": "s", "namespace": "y"}}]),
            "spec.appliedTo[0].serviceAccount.namespace",
            "NotHere",
        ),
        (
            acnp({**ALLOW, "protocols": [{"igmp": {}}]}),
            "spec.egress[0].protocols[0].igmp",
            "NotSupported",
        ),
        (
            acnp({**ALLOW, "protocols": [{"icmp": {"icmpType": 256}}]}),
            "spec.egress[0].protocols[0].icmp.icmpType",
            "BadIcmp",
        ),
        (
            acnp(ALLOW, appliedTo=[{"nodeSelector": {}}]),
            "spec.appliedTo[0].nodeSelector",
            "NotSupported",
        ),
        (
            acnp(ALLOW, appliedTo=[{"service": {"name": "s"}}]),
            "spec.appliedTo[0].service",
            "NotSupported",
        ),
        (
            annp(ALLOW, appliedTo=[{"namespaceSelector": {}}]),
            "spec.appliedTo[0].namespaceSelector",
            "NotHere",
        ),
        (
            annp({**ALLOW, "to": [{"namespaces": {"match": "Self"}}]}),
            f"{TO}.namespaces",
            "NotHere",
        ),
    ],
)
def test_refused(manifest: dict[str, Any], field: str, reason: str) -> None:
    (found,) = problems(manifest)
    assert found.field == field, found
    assert found.reason.startswith(reason), found
    assert found.message
    assert found.object.startswith(manifest["kind"])


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (
            peer({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] * 257}}),
            f"{PEER}.ipBlock.except",
        ),
        (
            chosen({"matchExpressions": [{"key": "a", "operator": "Exists"}] * 65}),
            "spec.podSelector.matchExpressions",
        ),
        (
            chosen({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"] * 257}]}),
            "spec.podSelector.matchExpressions[0].values",
        ),
        (
            acnp({**ALLOW, "to": [{"namespaces": {"sameLabels": ["a"] * 17}}]}),
            f"{TO}.namespaces.sameLabels",
        ),
        (cluster_group({"ipBlocks": [{"cidr": "10.0.0.0/8"}] * 1025}), "spec.ipBlocks"),
        (cluster_group({"childGroups": ["g"] * 1025}), "spec.childGroups"),
    ],
)
def test_lists_that_are_too_long_are_told_as_they_were_written(
    manifest: dict[str, Any], field: str
) -> None:
    (found,) = problems(manifest)
    assert (found.field, found.reason) == (field, "TooMany")
    assert "at most" in found.message


def test_all_problems_are_told_at_once() -> None:
    spec = {
        "podSelector": {"matchLabels": {"a b": "c"}},
        "policytypes": ["Ingress"],
        "ingress": [
            {"from": [{}, {"ipBlock": {"cidr": "x/8"}}], "ports": [{"port": 0}]},
            {"ports": [{"port": 9, "endPort": 8}]},
        ],
    }
    found = problems(np(spec), {"apiVersion": "v1", "kind": "Pod", "metadata": {}})
    assert [one.field for one in found] == [
        "spec.policytypes",
        "spec.podSelector.matchLabels.a b",
        "spec.ingress[0].from[0]",
        "spec.ingress[0].from[1].ipBlock.cidr",
        "spec.ingress[0].ports[0].port",
        "spec.ingress[1].ports[0].endPort",
        "metadata.name",
    ]
    assert found[-1].object == "Pod in document 2"


def test_of_many_unknown_fields_some_are_told() -> None:
    many = {f"field{number}": 1 for number in range(1000)}
    assert len(problems(np({"podSelector": many} | many) | many)) < 200


def test_a_policy_applies_to_no_group_that_reaches_beyond_its_namespace() -> None:
    group = {"apiVersion": "crd.antrea.io/v1beta1", "kind": "Group", **NAMES}
    (found,) = problems(
        group | {"spec": {"namespaceSelector": {}, "podSelector": {}}},
        annp(ALLOW, appliedTo=[{"group": "p"}]),
    )
    assert (found.field, found.reason) == ("spec.appliedTo[0].group", "NotHere")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"spec": {"nodeName": "Node 1"}}, "spec.nodeName"),
        ({"spec": {"serviceAccountName": "-"}}, "spec.serviceAccountName"),
        (
            {"spec": {"containers": [{"ports": [{"containerPort": 0}]}]}},
            "spec.containers[0].ports[0].containerPort",
        ),
        (
            {"spec": {"containers": [{"ports": [{"name": "W", "containerPort": 1}]}]}},
            "spec.containers[0].ports[0].name",
        ),
        ({"status": {"podIP": "10.0.0.300"}}, "status.podIP"),
        ({"status": {"podIPs": [{"ip": "x"}]}}, "status.podIPs[0].ip"),
        ({"spec": {"containers": {}}}, "spec.containers"),
    ],
)
def test_pods_that_are_refused(parts: dict[str, Any], field: str) -> None:
    (found,) = problems({"apiVersion": "v1", "kind": "Pod", **NAMES, **parts})
    assert (found.object, found.field) == ("Pod x/p", field)


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_text_that_no_store_keeps(text: str) -> None:
    for manifest in (chosen({"matchLabels": {text: "a"}}), np({text: 1})):
        (found,) = problems(manifest)
        assert found.reason == "InvalidText"


def test_a_message_says_what_to_do() -> None:
    (found,) = problems(peer({"podSelecter": {}}))
    assert str(found) == (
        "NetworkPolicy x/p: spec.ingress[0].from[0].podSelecter: there is no field 'podSelecter'; "
        "did you mean 'podSelector'?"
    )
    (found,) = problems(port({"port": "80"}))
    assert str(found).endswith("'80' in quotes is the name of a port; write 80 plain")
    (found,) = problems(port({"port": 80.0}))
    assert found.message.endswith("got the number 80.0; write 80")
    (found,) = problems(acnp(ALLOW, priority="5"))
    assert found.message.endswith("got the text '5'; write it without quotes")
    (found,) = problems(acnp(ALLOW | {"enableLogging": 1}))
    assert found.message.endswith("expected true or false, got the number 1")
    (found,) = problems(chosen({"matchLabels": {"a": 1}}))
    assert (
        found.message == "expected text, got the number 1; if it is meant as text, put it in quotes"
    )


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"name": "P"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"name": "p", "namespace": "a.b"}, "metadata.namespace"),
        ({"generateName": "p-"}, "metadata.name"),
        ({"name": "p", "labels": {"a": "b c"}}, "metadata.labels.a"),
        ({"name": "p", "lables": {}}, "metadata.lables"),
        ({"name": "p", "annotations": {"-": "x"}}, "metadata.annotations.-"),
        ({"name": 1}, "metadata.name"),
        ([], "metadata"),
    ],
)
def test_bad_metadata(metadata: Any, field: str) -> None:
    found = problems(np({}) | {"metadata": metadata})
    assert found[0].field == field
