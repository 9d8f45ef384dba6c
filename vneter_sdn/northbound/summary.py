# SPDX-License-Identifier: Apache-2.0
"""The state of everything in a few numbers, and what of it needs somebody's attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vneter_sdn.admission.status import found_links, status_of
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound import resources
from vneter_sdn.northbound.conditions import condition_of

LISTED = 100
"""Hosts, objects that are not ready, and links that are named; the others are counted."""
Manifest = Mapping[str, Any]


def summarise(snapshot: Snapshot) -> dict[str, Any]:
    """Counts per kind by the Ready condition; hosts; what is not ready, for the longest first.

    Links that are down, and of assertions, how many hold, and which do not.
    """
    kinds = {name: {"total": 0, "ready": 0, "notReady": 0} for name in KINDS}
    waiting: list[dict[str, Any]] = []
    hosts: list[dict[str, Any]] = []
    assertions: list[tuple[Key, Manifest]] = []
    for key in sorted(snapshot.objects):
        status = {"status": status_of(snapshot, key)}
        ready = condition_of(status, "Ready") or {}
        word = "ready" if ready.get("status") == "True" else "notReady"
        kinds[key.kind]["total"] += 1
        kinds[key.kind][word] += 1
        if word == "notReady":
            waiting.append(_told(key, ready, snapshot.objects[key].created))
        if key.kind == "Assertion":
            assertions.append((key, status))
        if key.kind == "Host":
            hosts.append(host_summary(key, status))
    # At one time, causes come before what they cause: hosts before endpoints.
    order = {kind: place for place, kind in enumerate(KINDS)}
    waiting.sort(key=lambda one: (one["since"], order[one["object"]["kind"]]))
    hosts.sort(key=well)
    down = _down(snapshot)
    return {
        "kinds": kinds,
        "fleet": _counted(hosts),
        "hosts": hosts[:LISTED],
        "hostsOmitted": max(0, len(hosts) - LISTED),
        "notReady": waiting[:LISTED],
        "notReadyOmitted": max(0, len(waiting) - LISTED),
        "linksDown": down[:LISTED],
        "linksDownOmitted": max(0, len(down) - LISTED),
        "assertions": _asserted(assertions),
    }


def _told(key: Key, condition: Manifest, since: str = "") -> dict[str, Any]:
    """An object, and what one of its conditions says."""
    told = {name: condition.get(name, "") for name in ("status", "reason", "message")}
    since = condition.get("changed") or since
    return {"object": resources.reference(key), **told, "since": since}


def _down(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Links that should carry packets and do not, for the longest first.

    O(statuses) while none is down.
    """
    links = (status for key, status in snapshot.statuses.items() if key.kind == "Link")
    if not any(one.type == "Up" and one.status == "False" for s in links for one in s.conditions):
        return []
    declared = [
        key
        for key, stored in snapshot.objects.items()
        if key.kind == "Link" and not stored.spec.disabled
    ]
    found = []
    for key in (*declared, *found_links(snapshot)):
        up = condition_of({"status": status_of(snapshot, key)}, "Up") or {}
        if up.get("status") == "False":
            found.append(_told(key, up))
    return sorted(found, key=lambda one: (one["since"], one["object"]["name"]))


def well(host: Manifest) -> bool:
    """Whether a host, as `host_summary` tells of it, needs nobody's attention."""
    tunnels = host["tunnels"]
    return bool(host["ready"] == host["inSync"] == "True" and tunnels["up"] == tunnels["total"])


def _counted(hosts: Sequence[Manifest]) -> dict[str, Any]:
    """All hosts, those that are not listed too."""
    up, total = (sum(host["tunnels"][word] for host in hosts) for word in ("up", "total"))
    return {
        "hosts": len(hosts),
        "ready": sum(host["ready"] == "True" for host in hosts),
        "inSync": sum(host["inSync"] == "True" for host in hosts),
        "tunnels": {"up": up, "total": total},
    }


def _asserted(assertions: Sequence[tuple[Key, Manifest]]) -> dict[str, Any]:
    """How many hold, do not, and may or may not; and what is against those that do not."""
    counts = {"holds": 0, "broken": 0, "unknown": 0}
    broken = []
    for key, manifest in assertions:
        found = condition_of(manifest, "Holds") or {}
        words = {"True": "holds", "False": "broken"}
        word = words.get(str(found.get("status")), "unknown")
        counts[word] += 1
        if word == "broken":
            told = {"message": found.get("message", ""), "since": found.get("changed", "")}
            broken.append({"object": resources.reference(key), **told})
    broken.sort(key=lambda one: one["since"])
    return counts | {"listed": broken[:LISTED]}


def host_summary(key: Key, manifest: Manifest) -> dict[str, Any]:
    """How one host is: its channels, its flows, its tunnels."""

    def word(kind: str) -> str:
        return str((condition_of(manifest, kind) or {}).get("status", "Unknown"))

    def reason(kind: str) -> str:
        return str((condition_of(manifest, kind) or {}).get("reason", "Unknown"))

    tunnels = manifest["status"].get("tunnels") or {}
    # What was last heard of a bridge that is not heard of any more says nothing of its tunnels.
    heard = "False" not in {word("DatabaseConnected"), word("OpenFlowConnected")}
    up = sum(heard and one.get("state") == "up" for one in tunnels.values())
    return {
        "name": key.name,
        "ready": word("Ready"),
        "database": reason("DatabaseConnected"),
        "openflow": reason("OpenFlowConnected"),
        "inSync": word("InSync"),
        "tunnels": {"up": up, "total": len(tunnels)},
        "flows": int(manifest["status"].get("flows", 0)),
    }
