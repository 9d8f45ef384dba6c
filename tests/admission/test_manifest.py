# SPDX-License-Identifier: Apache-2.0
"""Manifests: everything wrong with one is said, by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.admission.manifest import Malformed, parse
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key

NET = Key("Network", "red", "web")
GOOD: dict[str, Any] = {
    "apiVersion": "vneter.io/v1",
    "kind": "Network",
    "metadata": {"name": "web", "tenant": "red", "labels": {"a": "b"}},
    "spec": {"prefixes": ["10.0.0.0/24"]},
}


def problems(key: Key, manifest: Any) -> dict[str, str]:
    with pytest.raises(Malformed) as caught:
        parse(key, manifest)
    return {problem.field: problem.reason for problem in caught.value.problems}


def test_good_manifest_fills_defaults() -> None:
    stored, revision = parse(NET, {**GOOD, "status": {"anything": 1}})
    assert stored.spec.mtu == 1400
    assert stored.labels == {"a": "b"}
    assert revision is None


def test_every_problem_is_named_by_field() -> None:
    spec = {"prefixs": [], "prefixes": ["10.0.0.0/24", 7], "mtu": "big", "vni": 1 << 24}
    found = problems(NET, {**GOOD, "spec": spec, "extra": 1})
    assert found == {
        "extra": "UnknownField",
        "spec.prefixs": "UnknownField",
        "spec.prefixes[1]": "WrongType",
        "spec.mtu": "WrongType",
        "spec.vni": "InvalidValue",
    }


def test_unknown_field_suggests_the_nearest() -> None:
    with pytest.raises(Malformed) as caught:
        parse(NET, {**GOOD, "spec": {"prefixes": ["10.0.0.0/24"], "gatewys": []}})
    assert "did you mean 'gateways'?" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"apiVersion": "v2"}, "apiVersion", "UnsupportedVersion"),
        ({"kind": "Tenant"}, "kind", "KindMismatch"),
        ({"metadata": {"name": "db", "tenant": "red"}}, "metadata.name", "NameMismatch"),
        ({"metadata": {"name": "web"}}, "metadata.tenant", "Missing"),
        ({"metadata": {"name": "web", "tenant": "blue"}}, "metadata.tenant", "NameMismatch"),
        ({"metadata": {"name": "W B", "tenant": "red"}}, "metadata.name", "InvalidValue"),
        ({"metadata": 3}, "metadata", "WrongType"),
        ({"spec": None}, "spec", "WrongType"),
        ({"spec": {}}, "spec.prefixes", "Missing"),
        ({"spec": {"prefixes": ["a\0"]}}, "spec.prefixes[0]", "BadText"),
        ({"spec": {"prefixes": ["\ud800"]}}, "spec.prefixes[0]", "BadText"),
        ({"spec": {1: 2}}, "spec", "WrongType"),
    ],
)
def test_each_fault(change: dict[str, Any], field: str, reason: str) -> None:
    assert problems(NET, {**GOOD, **change})[field] == reason


def test_untenanted_kinds_refuse_a_tenant() -> None:
    manifest = {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": "t"}}
    assert parse(Key("Tenant", "", "t"), manifest)[0].spec.description == ""
    manifest["metadata"] = {"name": "t", "tenant": "red"}
    assert problems(Key("Tenant", "", "t"), manifest) == {"metadata.tenant": "NotTenanted"}


def test_unknown_kind_and_no_object() -> None:
    assert problems(Key("Netwrk", "red", "web"), GOOD) == {"kind": "UnknownKind"}
    assert problems(NET, ["no"]) == {"": "WrongType"}


def test_nesting_is_bounded() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert "TooDeep" in problems(NET, {**GOOD, "spec": deep}).values()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "name", "prefixes", "metadata", "mtu", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(KINDS)), JSON, JSON)
def test_total(kind: str, metadata: Any, spec: Any) -> None:
    """Whatever the input, an object or a list of problems, never another exception."""
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    found: list[Any] = []
    try:
        parse(Key(kind, "", "x"), manifest)
    except Malformed as malformed:
        found = malformed.problems or [None]
    for problem in found:
        str(problem).encode()
        assert problem is not None
