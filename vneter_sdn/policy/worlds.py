# SPDX-License-Identifier: Apache-2.0
"""From objects to what the plain evaluator looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from vneter_sdn.model.kinds import EndpointSpec, HostSpec, TenantSpec
from vneter_sdn.model.policy_kinds import NamespaceSpec
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.evaluate import Party, PortName, World
from vneter_sdn.policy.rules import PROTOCOLS, rule_book


def world_of(
    objects: Iterable[Object],
    *,
    addresses: Mapping[Key, Sequence[str]] | None = None,
    places: Mapping[Key, str] | None = None,
    domains: Mapping[str, tuple[str, ...]] | None = None,
    at: datetime | None = None,
) -> World:
    """The state that decisions about these objects depend on.

    Args:
        objects: of every kind.
        addresses: of endpoints; those that they ask for, where there are none.
        places: host of each endpoint; where it is expected, where there is none.
        domains: addresses that DNS names have been seen to stand for.
        at: policies that are not in force then are left out; all are in when None.

    Raises:
        IntentError: with every problem of every policy, group and tier.
    """
    stored = list(objects)
    return World(
        parties=tuple(
            _party(one, one.spec, addresses or {}, places or {})
            for one in stored
            if isinstance(one.spec, EndpointSpec)
        ),
        namespaces={
            (one.key.tenant, one.key.name): one.labels
            for one in stored
            if isinstance(one.spec, NamespaceSpec)
        },
        book=rule_book(stored, at),
        defaults={
            one.key.name: (one.spec.default_ingress, one.spec.default_egress)
            for one in stored
            if isinstance(one.spec, TenantSpec)
        },
        hosts={
            one.key.name: one.spec.tunnel_addresses
            for one in stored
            if isinstance(one.spec, HostSpec)
        },
        domains=domains or {},
    )


def _party(
    stored: Object,
    spec: EndpointSpec,
    addresses: Mapping[Key, Sequence[str]],
    places: Mapping[Key, str],
) -> Party:
    return Party(
        key=stored.key,
        namespace=spec.namespace or "",
        labels=stored.labels,
        ports=tuple(PortName(one.name, PROTOCOLS[one.protocol], one.port) for one in spec.ports),
        addresses=tuple(addresses.get(stored.key, spec.addresses)),
        host=places.get(stored.key, spec.host or ""),
    )
