# SPDX-License-Identifier: Apache-2.0
"""From manifests to what the plain evaluator looks at."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vneter_sdn.kubernetes.door import native
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.policy_kinds import ClusterPolicySpec, GroupSpec, PolicySpec, TierSpec
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.evaluate import Party, PortName, World
from vneter_sdn.policy.rules import PROTOCOLS, rule_book

SPECS = {
    "Policy": PolicySpec,
    "ClusterPolicy": ClusterPolicySpec,
    "Group": GroupSpec,
    "Tier": TierSpec,
    "Host": HostSpec,
}


def world_of(manifests: Iterable[Mapping[str, Any]], domains: Mapping[str, Any] = {}) -> World:
    """Foreign and own manifests, translated and normalised."""
    made = native(list(manifests)).manifests
    objects = [_object(one) for one in made if one["kind"] in SPECS]
    return World(
        parties=tuple(_party(one) for one in made if one["kind"] == "Endpoint"),
        namespaces={
            (one["metadata"]["tenant"], one["metadata"]["name"]): one["metadata"].get("labels", {})
            for one in made
            if one["kind"] == "Namespace"
        },
        book=rule_book(objects),
        hosts={
            one.key.name: one.spec.tunnel_addresses for one in objects if one.key.kind == "Host"
        },
        domains=domains,
    )


def key_of(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return Key(manifest["kind"], metadata.get("tenant", ""), metadata["name"])


def _object(manifest: Mapping[str, Any]) -> Object:
    spec = msgspec.convert(manifest["spec"], SPECS[manifest["kind"]])
    labels = manifest["metadata"].get("labels", {})
    return Object(key=key_of(manifest), spec=spec, labels=labels)


def _party(manifest: Mapping[str, Any]) -> Party:
    spec = manifest["spec"]
    return Party(
        key=key_of(manifest),
        namespace=spec["namespace"],
        labels=manifest["metadata"].get("labels", {}),
        ports=tuple(
            PortName(port["name"], PROTOCOLS[port["protocol"]], port["port"])
            for port in spec.get("ports", ())
        ),
        addresses=tuple(spec.get("addresses", ())),
        host=spec.get("host", ""),
    )
