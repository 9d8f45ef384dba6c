# SPDX-License-Identifier: Apache-2.0
"""The ``status`` that people read: allocations, binding and what the engine reported, merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from vneter_sdn.admission import allocation
from vneter_sdn.admission.draft import Draft
from vneter_sdn.admission.facts import interface_id, network_of, pools_of, prefixes_of
from vneter_sdn.admission.link_rules import edge_asked
from vneter_sdn.admission.needs import Need, gateways_of
from vneter_sdn.admission.views import View
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.links import link_name, ranks
from vneter_sdn.model.snapshot import Condition, Key, Object, Pools, Snapshot

Fields = dict[str, Any]


def status_of(snapshot: Snapshot, key: Key) -> Fields:
    """The status of an object as plain JSON values; empty when there is no such object.

    Links that were found have one without being declared.

    O(size of the answer) for an `IndexedSnapshot`, which is what stores hand out.
    """
    if isinstance(snapshot, View):
        visible = key in snapshot.objects or key in snapshot.statuses
        return status_of(snapshot.whole, key) if visible else {}
    stored = snapshot.objects.get(key)
    if stored is None:
        return _found(snapshot, key)
    draft = Draft(snapshot, 0.0)
    held = allocation.held_by(draft, str(key))
    reported = snapshot.statuses.get(key)
    fields: Fields = dict(reported.details) if reported else {}
    if key.kind == "Link":
        seen = snapshot.statuses.get(seen_as(draft, stored))
        if seen is not None and seen is not reported:
            fields |= {**seen.details, "origin": "declared"}
        fields.setdefault("origin", "declared")
    view = _VIEWS.get(key.kind)
    if view is not None:
        fields.update(view(draft, stored, held))
    fields["observedRevision"] = reported.observed_revision if reported else 0
    fields["conditions"] = [_json(condition) for condition in conditions_of(snapshot, key)]
    return fields


def _found(snapshot: Snapshot, key: Key) -> Fields:
    """The status of a link that was found and not declared: what was reported, and no more."""
    reported = snapshot.statuses.get(key) if key.kind == "Link" else None
    if reported is None:
        return {}
    told = [_json(condition) for condition in reported.conditions]
    if not any(condition.type == "Ready" for condition in reported.conditions):
        told = [_json(Condition("Ready", "Unknown", "Pending", "not yet reported")), *told]
    ends = _addresses(snapshot, reported.details)
    return {**reported.details, **ends, "observedRevision": 0, "conditions": told}


def _addresses(snapshot: Snapshot, details: Mapping[str, Any]) -> Fields:
    """The addresses of a tunnel other than the first between its hosts: what declares it."""
    which = ranks(str(details.get("edge", "")))
    found: Fields = {}
    for end, rank in zip(("source", "target"), which or (), strict=False):
        host = snapshot.objects.get(Key("Host", "", str(details.get(end))))
        addresses = host.spec.tunnel_addresses if host else ()
        if rank < len(addresses):
            found[f"{end}Address"] = addresses[rank]
    return found


def found_links(snapshot: Snapshot) -> list[Key]:
    """Links that were found and not declared, sorted; declared ones under whatever name.

    O(statuses + links).
    """
    if isinstance(snapshot, View):
        return [key for key in found_links(snapshot.whole) if key in snapshot.statuses]
    draft = Draft(snapshot, 0.0)
    links = [key for key, _ in draft.lookup.members("kind", "Link")]
    declared = {seen_as(draft, snapshot.objects[key]) for key in links} | set(links)
    return sorted(k for k in snapshot.statuses if k.kind == "Link" and k not in declared)


def seen_as(draft: Draft, stored: Object) -> Key:
    """The key under which a declared link is reported: the name that it would have if found."""
    edge = edge_asked(draft, stored.spec)
    return Key("Link", "", link_name(edge)) if edge else stored.key


def conditions_of(snapshot: Snapshot, key: Key) -> tuple[Condition, ...]:
    """Ready, Allocated, and whatever else was reported of an object.

    Ready is what the engine reported, ``Unknown`` before it did, and ``False`` for want of
    allocations.
    """
    reported = snapshot.statuses.get(key)
    others = {condition.type: condition for condition in (reported.conditions if reported else ())}
    if key.kind == "Link" and key in snapshot.objects:
        seen = snapshot.statuses.get(seen_as(Draft(snapshot, 0.0), snapshot.objects[key]))
        others = {c.type: c for c in (seen.conditions if seen else ())} | others
    allocated = allocation_conditions(snapshot, key)
    ready = others.pop("Ready", Condition("Ready", "Unknown", "Pending", "not yet reported"))
    others.pop("Allocated", None)
    if allocated.status == "False":
        ready = Condition("Ready", "False", allocated.reason, allocated.message, ready.changed)
    return (ready, allocated, *others.values())


def allocation_conditions(snapshot: Snapshot, key: Key) -> Condition:
    """The condition Allocated: whether an object has every number and address that it needs."""
    draft = Draft(snapshot, 0.0)
    stored = draft.object(key)
    missing = allocation.unmet(draft, stored) if stored else []
    if not missing:
        return Condition("Allocated", "True", "Allocated")
    reasons = [_reason(draft, need) for need in missing]
    message = "; ".join(message for _, message in reasons)
    return Condition("Allocated", "False", reasons[0][0], f"{message}; retried every few seconds")


def _reason(draft: Draft, need: Need) -> tuple[str, str]:
    pool, _, path = need.pool.partition("/")
    if need.wanted is not None and draft.allocation(need.pool, need.wanted):
        text = f"{need.wanted} was released a moment ago and rests before it is reused"
        return "AddressResting" if pool == "address" else "ValueResting", text
    if pool == "address":
        prefix = path.split("/", 2)[2]
        return "PrefixExhausted", f"{prefix} has no free address; delete endpoints or use a larger"
    return "PoolExhausted", f"no free {pool} is left"


def _json(condition: Condition) -> Fields:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "changed": condition.changed,
    }


def _number(held: dict[str, str], pool: str) -> int | None:
    return int(held[pool]) if pool in held else None


def _tenant(_: Draft, __: Object, held: dict[str, str]) -> Fields:
    return {"tenantId": _number(held, Pools.TENANT)}


def _host(_: Draft, stored: Object, held: dict[str, str]) -> Fields:
    number = _number(held, Pools.BRIDGE)
    dpid = None if number is None else f"{datapath_of(stored.spec, number):016x}"
    return {"bridgeId": number, "datapathId": dpid}


def _policy(_: Draft, __: Object, held: dict[str, str]) -> Fields:
    return {"policyId": _number(held, Pools.POLICY)}


def _network(draft: Draft, stored: Object, held: dict[str, str]) -> Fields:
    key = stored.key
    blocks = [
        {"host": owner.removeprefix("Host "), "prefix": block}
        for prefix in prefixes_of(stored.spec)
        for block, owner in draft.lookup.members("live", Pools.block(key, str(prefix)))
    ]
    return {
        "vni": _number(held, Pools.VNI),
        "gateways": _gateways(draft, key),
        "gatewayMac": held.get(Pools.mac(key)),
        "slot": _number(held, Pools.SLOT),
        "endpoints": draft.lookup.count("refers", key),
        "blocks": sorted(blocks, key=lambda block: _block_order(block["prefix"])),
    }


def _block_order(prefix: str) -> tuple[int, int]:
    network = ip_network(prefix)
    return network.version, int(network.network_address)


def _gateways(draft: Draft, network: Key) -> list[str]:
    """The gateways of a network that are its own by now, with prefix lengths."""
    spec = draft.network(network)
    if spec is None:
        return []
    pools = pools_of(network, spec)
    told = ((p, pools[p], _text(gateway)) for p, gateway in gateways_of(spec).items())
    return [f"{text}/{p.prefixlen}" for p, pool, text in told if draft.owner(pool, text) == network]


@lru_cache(maxsize=4096)
def _text(address: IPAddress) -> str:
    return str(address)


def _endpoint(draft: Draft, stored: Object, held: dict[str, str]) -> Fields:
    at = network_of(stored.key, stored.spec)
    network, binding = draft.network(at), draft.snapshot.bindings.get(stored.key)
    pools = pools_of(at, network) if network else {}
    addresses = {prefix: held[pool] for prefix, pool in pools.items() if pool in held}
    mac = held.get(Pools.mac(at))
    return {
        "addresses": list(addresses.values()),
        "mac": mac,
        "slot": _number(held, Pools.SLOT),
        "host": binding.host if binding else None,
        "port": binding.ofport if binding else None,
        "interface": {
            "addresses": [f"{address}/{prefix.prefixlen}" for prefix, address in addresses.items()],
            "gateways": [gateway.partition("/")[0] for gateway in _gateways(draft, at)],
            "mtu": network.mtu if network else None,
            "mac": mac,
            "interfaceId": interface_id(stored.key, stored.spec),
        },
    }


_VIEWS: dict[str, Callable[[Draft, Object, dict[str, str]], Fields]] = {
    "Tenant": _tenant,
    "Host": _host,
    "PathPolicy": _policy,
    "Network": _network,
    "Endpoint": _endpoint,
}
