# SPDX-License-Identifier: Apache-2.0
"""Manifests, snapshots and YAML: what is written is read back the same."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.admission.manifest import parse
from vneter_sdn.errors import IntentError
from vneter_sdn.model import jsontext
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Allocation, Binding, Condition, Key, Object, Snapshot, Status
from vneter_sdn.northbound import exports, manifests, resources

_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_NUMBERS = st.integers(1, 2**24 - 1)
_SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.just("app"), st.text("aZ09", max_size=9)),
        "matchExpressions": st.just([{"key": "app", "operator": "In", "values": ["web"]}]),
    },
)
_WHOM = st.one_of(
    st.fixed_dictionaries({"namespaces": _SELECTORS}, optional={"endpoints": _SELECTORS}),
    st.just({"cidr": "10.0.0.0/8", "excluded": ["10.1.0.0/16"]}),
    st.fixed_dictionaries({"group": _NAMES}),
)
_PORTS = st.sampled_from(
    [{"port": 80}, {"port": "web"}, {"protocol": "udp", "port": 1, "endPort": 9}]
)
_RULES = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["allow", "drop", "reject", "pass"]),
        "peers": st.lists(_WHOM, max_size=2),
        "ports": st.lists(_PORTS, max_size=2),
        "log": st.booleans(),
    },
)
_POLICY = {
    "priority": st.integers(0, 9),
    "appliesTo": st.lists(_WHOM, max_size=2),
    "ingress": st.lists(_RULES, max_size=2),
    "established": st.sampled_from(["keep", "reevaluate"]),
}
_END = st.fixed_dictionaries({}, optional={"tenant": _NAMES, "endpoints": _SELECTORS})
_SPECS = {
    "Namespace": st.fixed_dictionaries({}, optional={"description": _TEXT}),
    "Tier": st.fixed_dictionaries({"priority": st.integers(0, 249)}),
    "Group": st.fixed_dictionaries({"members": st.lists(_WHOM, max_size=3)}),
    "Policy": st.fixed_dictionaries({}, optional=_POLICY),
    "ClusterPolicy": st.fixed_dictionaries(
        {}, optional={**_POLICY, "tenants": st.lists(_NAMES, max_size=2)}
    ),
    "Assertion": st.fixed_dictionaries(
        {"source": _END, "target": _END}, optional={"expect": st.just("denied")}
    ),
    "Tenant": st.fixed_dictionaries({}, optional={"description": _TEXT}),
    "Network": st.fixed_dictionaries(
        {"prefixes": st.just(["10.0.0.0/24"])},
        optional={"vni": _NUMBERS, "mtu": st.integers(1280, 65000), "gateways": st.just([])},
    ),
    "Endpoint": st.fixed_dictionaries(
        {"network": _NAMES},
        optional={
            "host": _NAMES,
            "namespace": _NAMES,
            "interfaceId": st.text("ab/é", min_size=1, max_size=9),
        },
    ),
    "Host": st.fixed_dictionaries(
        {"ovsdb": st.just("unix:/x")}, optional={"site": _TEXT, "underlayMtu": st.just(1500)}
    ),
    "PathPolicy": st.fixed_dictionaries(
        {},
        optional={
            "priority": st.integers(0, 65535),
            "tenants": st.lists(_NAMES, max_size=3),
            "networks": st.lists(st.builds("{}/{}".format, _NAMES, _NAMES), max_size=3),
            "sourceLabels": st.dictionaries(st.just("app"), st.text("aZ09", max_size=9)),
            "ports": st.just(["tcp/443", "udp/5000-5010"]),
            "objective": st.sampled_from(["hops", "latency", {"cost": 1.0, "price": 0.5}]),
            "constraints": st.fixed_dictionaries(
                {}, optional={"maxHops": st.integers(1, 64), "encrypted": st.booleans()}
            ),
        },
    ),
    "Reservation": st.fixed_dictionaries(
        {"tenant": _NAMES, "source": _NAMES, "target": _NAMES, "rateMbps": st.floats(0.5, 1e9)},
        optional={"between": st.just("hosts"), "start": st.just("2026-01-01T00:00:00Z")},
    ),
    "Demand": st.fixed_dictionaries(
        {"source": _NAMES, "target": _NAMES, "mbps": st.floats(0, 1e9)}
    ),
    "Link": st.fixed_dictionaries(
        {"source": _NAMES, "target": _NAMES},
        optional={"cost": _NUMBERS, "disabled": st.booleans()},
    ),
}
_LABEL_KEYS = st.from_regex(
    r"([a-z]{1,3}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True
)
_LABELS = st.dictionaries(_LABEL_KEYS, st.text("aZ09", max_size=9), max_size=3)
_ANNOTATIONS = st.dictionaries(_LABEL_KEYS, _TEXT, max_size=3)


@st.composite
def _manifests(draw):
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    metadata = {"name": draw(_NAMES), "labels": draw(_LABELS), "annotations": draw(_ANNOTATIONS)}
    if kind.tenanted:
        metadata["tenant"] = draw(_NAMES)
    return {
        "apiVersion": "vneter.io/v1",
        "kind": kind.name,
        "metadata": metadata,
        "spec": draw(_SPECS[kind.name]),
    }


def _subset(small, large):
    if isinstance(small, dict):
        return all(name in large and _subset(value, large[name]) for name, value in small.items())
    if isinstance(small, list):
        return len(small) == len(large) and all(map(_subset, small, large))
    return small == large


@settings(max_examples=150, deadline=None)
@given(_manifests())
def test_a_manifest_survives_storing(manifest):
    edit = resources.edit_of(manifest)
    stored, _ = parse(edit.key, edit.manifest)
    stored = msgspec.structs.replace(stored, uid="u", revision=3, created="2026-01-01T00:00:00Z")
    written = json.loads(json.dumps(resources.manifest_of(stored)))

    asked = {**manifest, "metadata": {k: v for k, v in manifest["metadata"].items() if v}}
    assert _subset(asked, written)
    assert resources.object_of(written) == stored
    again, revision = parse(edit.key, written)
    assert (again.spec, again.labels, revision) == (stored.spec, stored.labels, 3)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_TEXT.filter(bool), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_TEXT.filter(bool), _JSON, min_size=1))
def test_yaml_survives_writing(value):
    (document,) = manifests.read_bytes(manifests.write(value).encode(), "x.yaml")
    assert document.value == value


@settings(max_examples=100, deadline=None)
@given(_JSON)
def test_json_survives_strict_reading(value):
    assert jsontext.parse(json.dumps(value).encode()) == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | _TEXT.map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    for read in (jsontext.parse, lambda given: manifests.read_bytes(given, "x.yaml")):
        with contextlib.suppress(IntentError):
            read(data)


def test_a_snapshot_survives_exporting():
    network, endpoint = Key("Network", "red", "web"), Key("Endpoint", "red", "a")
    spec = msgspec.convert({"prefixes": ["10.0.0.0/24"]}, KINDS["Network"].spec)
    condition = Condition("Ready", "True", "Done", "", "2026-01-01T00:00:00Z")
    snapshot = Snapshot(
        revision=9,
        objects={network: Object(key=network, spec=spec, labels={"a": "b"}, uid="u", revision=4)},
        allocations={("vni", "7"): Allocation("vni", "7", str(network), 12.5)},
        bindings={endpoint: Binding(endpoint, "h1", "veth0", 5, 3)},
        statuses={network: Status(network, 4, (condition,), {"digest": "abc", "n": [1]})},
    )
    document = json.loads(json.dumps(exports.export(snapshot)))
    assert exports.snapshot_from(document) == snapshot


@pytest.mark.parametrize("word", ["Network", "networks", "NET", "network"])
def test_a_kind_has_many_names(word):
    assert resources.find_kind(word) is KINDS["Network"]


def test_an_unknown_kind_names_the_known():
    with pytest.raises(IntentError, match="Host, Link, Tenant, Namespace, Network, Endpoint"):
        resources.find_kind("pod")
