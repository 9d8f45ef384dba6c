# SPDX-License-Identifier: Apache-2.0
"""Groups of Antrea's that no policy can be about: of nodes, and of pods of other namespaces."""

from typing import Any

import pytest
from one_rule import acnp, annp

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.door import native

DROP = {"action": "Drop"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "y"},
    "spec": {"selector": {"app": "web"}},
}


def group(name: str, spec: Any, namespace: str = "x") -> dict[str, Any]:
    version = "crd.antrea.io/v1beta1"
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind = "Group" if namespace else "ClusterGroup"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def problems(*manifests: Any) -> tuple[Problem, ...]:
    with pytest.raises(IntentError) as caught:
        native(list(manifests))
    return caught.value.problems


@pytest.mark.parametrize(
    "wide",
    [
        [group("p", {"namespaceSelector": {}, "podSelector": {}})],
        [group("p", {"childGroups": ["q"]}), group("q", {"namespaceSelector": {}})],
        [
            group("p", {"childGroups": ["q"]}),
            group("q", {"childGroups": ["p", "r"]}),
            group("r", {"namespaceSelector": {}}),
        ],
        [group("p", {"serviceReference": {"name": "web", "namespace": "y"}}), SERVICE],
    ],
)
def test_of_pods_of_other_namespaces(wide: list[dict[str, Any]]) -> None:
    (found,) = problems(*wide, annp(DROP, appliedTo=[{"group": "p"}]))
    assert (found.field, found.reason) == ("spec.appliedTo[0].group", "NotHere")
    (found,) = problems(annp(DROP | {"appliedTo": [{"group": "p"}]}, appliedTo=[]), *wide)
    assert (found.field, found.reason) == ("spec.egress[0].appliedTo[0].group", "NotHere")
    native([*wide, annp({"action": "Drop", "to": [{"group": "p"}]})])  # as peers they are welcome


@pytest.mark.parametrize(
    "nodes",
    [
        [group("p", {"nodeSelector": {}}, "")],
        [group("p", {"childGroups": ["q"]}, ""), group("q", {"nodeSelector": {}}, "")],
    ],
)
def test_of_nodes(nodes: list[dict[str, Any]]) -> None:
    (found,) = problems(*nodes, acnp(DROP, appliedTo=[{"group": "p"}]))
    assert (found.field, found.reason) == ("spec.appliedTo[0].group", "NotSupported")
    native([*nodes, acnp({"action": "Drop", "to": [{"group": "p"}]})])


def test_of_the_same_name_elsewhere() -> None:
    native(
        [
            group("p", {"podSelector": {}}),
            group("p", {"namespaceSelector": {}}, "y"),
            group("p", {"nodeSelector": {}}, ""),
            group("q", {"childGroups": ["p", "none"]}),
            annp(DROP, appliedTo=[{"group": "p"}, {"group": "q"}]),
        ]
    )


@pytest.mark.parametrize("spec", [[], "x", {"childGroups": {"a": 1}}, {"childGroups": [[]]}])
def test_malformed(spec: Any) -> None:
    for one in (spec, {"childGroups": ["p"], "serviceReference": spec, "nodeSelector": spec}):
        assert problems(group("p", one), annp(DROP, appliedTo=[{"group": "p"}]))
