# SPDX-License-Identifier: Apache-2.0
"""Labs: bridges that nobody declared become hosts, and a lab begins with a tenant. Pure.

A bridge is adopted under the name of its LOCAL port, which is the bridge's own (``s1``). Labs come
and go, and datapath ids are counted from 1 in all of them: an adopted host whose bridge now has
another name is adopted anew, and a name whose bridge is away may be taken over.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from vneter_sdn.model.datapath import bridge_id
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.links import ORIGIN, is_found
from vneter_sdn.model.snapshot import Key, Object, Snapshot
from vneter_sdn.store.port import Edit

ADOPTED = "adopted"
TENANT, NETWORK = "default", "lan"
PREFIX6 = "fd76:6e65:7400::/64"
"""Of a lab's network, beside IPv4, so that link-local addresses are answered for too."""
MTU = 1500
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", re.ASCII)
_BRIDGE = re.compile(r"[-A-Za-z0-9_.]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A bridge that connected."""

    dpid: int
    local: str
    """Name of its LOCAL port; empty when it told of none."""


def adoption(snapshot: Snapshot, bridge: Newcomer, present: Container[int]) -> list[Edit]:
    """What makes a host of a bridge; nothing when it is one, or may not be.

    Args:
        snapshot: what there is.
        bridge: who connected.
        present: datapath ids of all bridges that are connected.
    """
    if not bridge.dpid or bridge_id(bridge.dpid) is not None:
        return []
    hosts = {key.name: one for key, one in snapshot.objects.items() if key.kind == "Host"}
    text = f"{bridge.dpid:016x}"
    known = next((one for one in hosts.values() if one.spec.datapath_id == text), None)
    name = bridge.local if _NAME.fullmatch(bridge.local) else f"b{bridge.dpid:x}"
    holder = hosts.get(name)
    free = holder is None or (
        _is_adopted(holder) and int(holder.spec.datapath_id or "0", 16) not in present
    )
    if known is None:
        return [_host(name if free else f"b{bridge.dpid:x}", bridge)]
    if known.key.name == name or not _is_adopted(known) or not free:
        return []
    return [*_removal(snapshot, known), _host(name, bridge)]


def _is_adopted(stored: Object) -> bool:
    return stored.annotations.get(ORIGIN) == ADOPTED


def _removal(snapshot: Snapshot, host: Object) -> Iterator[Edit]:
    """A host goes with the wires that were found at it."""
    for key, stored in snapshot.objects.items():
        if key.kind != "Link" or not is_found(stored):
            continue
        if host.key.name in (stored.spec.source, stored.spec.target):
            yield Edit("delete", key)
    yield Edit("delete", host.key)


def _host(name: str, bridge: Newcomer) -> Edit:
    spec = {"datapathId": f"{bridge.dpid:016x}"}
    if _BRIDGE.fullmatch(bridge.local):
        spec["bridge"] = bridge.local
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Host",
        "metadata": {"name": name, "annotations": {ORIGIN: ADOPTED}},
        "spec": spec,
    }
    return Edit("apply", Key("Host", "", name), manifest, "a bridge that connected")


def founding(snapshot: Snapshot, prefix: str) -> list[Edit]:
    """The tenant and network that a lab begins with; nothing when it has a tenant.

    Args:
        snapshot: what there is.
        prefix: of the network, IPv4. The gateway is its last usable address: labs count from the
            first.

    Raises:
        ValueError: ``prefix`` is none.
    """
    if any(key.kind == "Tenant" for key in snapshot.objects):
        return []
    four = ip_network(prefix)
    tenant = {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"name": TENANT}, "spec": {}}
    network = {
        "apiVersion": API_VERSION,
        "kind": "Network",
        "metadata": {"name": NETWORK, "tenant": TENANT},
        "spec": {
            "prefixes": [str(four), PREFIX6],
            "gateways": [str(four.broadcast_address - 1)],
            "mtu": MTU,
            "learning": True,
            "reuseDelaySeconds": 0,
        },
    }
    return [
        Edit("create", Key("Tenant", "", TENANT), tenant, "a lab's tenant"),
        Edit("create", Key("Network", TENANT, NETWORK), network, "a lab's network"),
    ]
