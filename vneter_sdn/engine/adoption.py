# SPDX-License-Identifier: Apache-2.0
"""Labs: bridges that nobody declared become hosts, and a lab begins with a tenant. Pure.

A bridge is adopted under the name of its LOCAL port, which is the bridge's own (``s1``). Labs come
and go, and datapath ids are counted from 1 in all of them: an adopted host whose bridge now has
another name is adopted anew, and a name may be taken over whose bridge is away or has another name
by now. Whatever was found and learned of a host that goes, or is another from now on, goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from vneter_sdn.engine.learning import end_of
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


def adoption(snapshot: Snapshot, bridge: Newcomer, present: Mapping[int, str]) -> list[Edit]:
    """What makes a host of a bridge; nothing when it is one, or may not be.

    Args:
        snapshot: what there is.
        bridge: who connected.
        present: the names of the LOCAL ports of all bridges that are connected, by datapath id.
    """
    if not bridge.dpid or bridge_id(bridge.dpid) is not None:
        return []
    hosts = {key.name: one for key, one in snapshot.objects.items() if key.kind == "Host"}
    text = f"{bridge.dpid:016x}"
    known = next((one for one in hosts.values() if one.spec.datapath_id == text), None)
    name = _wish(bridge.dpid, bridge.local)
    if known is None and not _is_free(name, hosts.get(name), present):
        name = _wish(bridge.dpid, "")
    free = _is_free(name, hosts.get(name), present)
    if not free or (known and (known.key.name == name or not _is_adopted(known))):
        return []
    removed = {
        key: edit for host in (known, hosts.get(name)) for key, edit in _rest(snapshot, host)
    }
    gone = [] if known is None else [Edit("delete", known.key)]
    return [*removed.values(), *gone, _host(name, bridge)]


def _wish(dpid: int, local: str) -> str:
    """The name that a bridge should have."""
    return local if _NAME.fullmatch(local) else f"b{dpid:x}"


def _is_free(name: str, holder: Object | None, present: Mapping[int, str]) -> bool:
    """Whether a name may be taken: nobody has it, or an adopted host that it does not suit now."""
    if holder is None:
        return True
    dpid = int(holder.spec.datapath_id or "0", 16)
    suits = dpid in present and _wish(dpid, present[dpid]) == name
    return _is_adopted(holder) and not suits


def _is_adopted(stored: Object) -> bool:
    return stored.annotations.get(ORIGIN) == ADOPTED


def _rest(snapshot: Snapshot, host: Object | None) -> Iterator[tuple[Key, Edit]]:
    """The wires that were found at a host, and the endpoints that were learned there."""
    for key, stored in snapshot.objects.items() if host else ():
        assert host is not None
        if key.kind == "Link" and is_found(stored):
            goes = host.key.name in (stored.spec.source, stored.spec.target)
        elif key.kind == "Endpoint":
            end = end_of(stored)
            goes = end is not None and end.host == host.key.name
        else:
            continue
        if goes:
            yield key, Edit("delete", key)


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
