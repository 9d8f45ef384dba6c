# SPDX-License-Identifier: Apache-2.0
"""From what is known of a host or endpoint to the conditions its owner reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vneter_sdn.engine.port import Tunnel
from vneter_sdn.model.snapshot import Binding, Condition, Key, Status

NAMED = 3
"""Hosts that an endpoint says it waits for; of more than these it says "and others"."""


@dataclass(frozen=True, slots=True)
class HostView:
    """What the engine knows of one host."""

    settled: bool = False
    """Whether the bridge has connected, or has had its time to, since this process began."""
    managed: bool = True
    """Whether it has a database to write to; without one, OpenFlow is all there is."""
    database: bool = False
    database_reason: str = "Connecting"
    database_message: str = "not reached yet"
    channel: bool = False
    channel_version: str = ""
    channel_reason: str = "Connecting"
    channel_message: str = "the bridge has not connected yet"
    desired: int = 0
    """Epoch of the newest change to its flows."""
    confirmed: int = -1
    """Newest epoch that a barrier confirmed."""
    refused: str = ""
    refused_message: str = ""
    blocked: tuple[str, ...] = ()
    """Places of our flows that somebody else's hold."""
    left_out: Mapping[Key, str] = field(default_factory=dict)
    """Objects whose flows the bridge refuses, and its error."""
    claimed: str = ""
    """Who else claims the datapath id of its bridge, and what became of that."""
    tunnels: Mapping[str, Tunnel] = field(default_factory=dict)

    @property
    def in_sync(self) -> bool:
        """Whether its bridge holds all that is desired."""
        rest = not self.blocked and not self.left_out
        return self.channel and self.confirmed >= self.desired and rest

    @property
    def carries(self) -> tuple[object, ...]:
        """What the conditions of endpoints on this host depend on, besides `lagging`."""
        return self.settled, self.channel, self.refused, self.refused_message

    def holds(self, epoch: int) -> bool:
        """Whether what changed at ``epoch`` has been confirmed."""
        return self.channel and self.confirmed >= min(epoch, self.desired)


def condition(kind: str, holds: bool, reason: str, message: str = "") -> Condition:
    """A condition with no time yet; `stamp` gives it one."""
    return Condition(kind, "True" if holds else "False", reason, message)


def host_conditions(view: HostView) -> tuple[Condition, ...]:
    """Ready, DatabaseConnected (of those that have one), OpenFlowConnected and InSync of a host.

    DatapathUnique, too, while it is not.
    """
    database = condition(
        "DatabaseConnected",
        view.database,
        "Connected" if view.database else view.database_reason,
        "" if view.database else view.database_message,
    )
    channel = condition(
        "OpenFlowConnected",
        view.channel,
        view.channel_version if view.channel else view.channel_reason,
        "" if view.channel else view.channel_message,
    )
    synced = condition("InSync", view.in_sync, *_sync_reason(view))
    parts = (database, channel, synced) if view.managed else (channel, synced)
    broken = next((c for c in parts if c.status != "True"), None)
    ready = (
        condition("Ready", False, broken.reason, broken.message)
        if broken
        else condition("Ready", True, "InSync")
    )
    claimed = condition("DatapathUnique", False, "DuplicateDatapath", view.claimed)
    return (ready, *parts, *((claimed,) if view.claimed else ()))


def _sync_reason(view: HostView) -> tuple[str, str]:
    if view.in_sync:
        return "Confirmed", ""
    if view.refused:
        return view.refused, view.refused_message
    if view.channel and view.blocked:
        return "ForeignFlows", (
            f"flows of somebody else hold {len(view.blocked)} places of ours, "
            f"as {view.blocked[0]}; remove them, or give the host a bridge of its own"
        )
    if view.channel and view.left_out:
        key, message = next(iter(view.left_out.items()))
        return "BundleRejected", (
            f"the bridge refuses flows of {len(view.left_out)} object(s), as of {key}: "
            f"{message}; all others are programmed"
        )
    if not view.channel:
        return "NoChannel", "the bridge is not connected"
    return "Programming", f"waiting for the bridge to confirm change {view.desired}"


def host_details(view: HostView, digest: str, flows: int, revision: int) -> Mapping[str, Any]:
    """What ``vneterctl describe host`` shows besides conditions.

    ``digest`` is of the flows desired, compiled from ``revision`` of the store.
    """
    return {
        "openflow": view.channel_version,
        "digest": digest,
        "flows": flows,
        "compiledRevision": revision,
        "tunnels": {name: _tunnel_details(one) for name, one in sorted(view.tunnels.items())},
    }


def _tunnel_details(tunnel: Tunnel) -> Mapping[str, Any]:
    details = {"peer": tunnel.peer, "state": tunnel.state, "port": tunnel.ofport}
    return details | ({"fault": tunnel.fault} if tunnel.fault else {})


def was_ready(status: Status | None, revision: int, binding: Binding | None) -> bool:
    """Whether an endpoint was reported ready as it is now asked for and where it is now."""
    return (
        status is not None
        and binding is not None
        and status.observed_revision == revision
        and status.details.get("sequence") == binding.sequence
        and any(c.type == "Ready" and c.status == "True" for c in status.conditions)
    )


def endpoint_details(binding: Binding | None) -> Mapping[str, Any]:
    """What `was_ready` compares."""
    return {} if binding is None else {"sequence": binding.sequence}


def endpoint_conditions(
    binding: Binding | None,
    epoch: int,
    views: Mapping[str, HostView],
    holders: Iterable[str],
    ready: bool = False,
) -> tuple[Condition, ...]:
    """Bound and Ready of an endpoint.

    It becomes ready when its own bridge, and every connected bridge that must know it, have
    confirmed the flows that its newest change (at ``epoch``) asked for. A peer that cannot be
    reached holds nobody up: it will be brought up to date before it forwards anything new. Once
    ``ready``, it stays so while its own bridge is fine: what others still learn does not unmake it.
    """
    if binding is None:
        message = "no connected host shows a port with its interface id"
        return (
            condition("Ready", False, "NotBound", message),
            condition("Bound", False, "NotBound", message),
        )
    bound = condition("Bound", True, "Bound", f"port {binding.ofport} of {binding.host}")
    own = views.get(binding.host, HostView())
    if not own.channel or own.refused:
        reason, message = _sync_reason(own)
        return condition("Ready", False, reason, f"{binding.host}: {message}"), bound
    waiting = [] if ready else lagging(binding, epoch, views, holders)
    if waiting:
        more = " and others" if len(waiting) > NAMED else ""
        message = f"waiting for {', '.join(waiting[:NAMED])}{more}"
        return condition("Ready", False, "Programming", message), bound
    return condition("Ready", True, "Confirmed"), bound


def lagging(
    binding: Binding, epoch: int, views: Mapping[str, HostView], holders: Iterable[str]
) -> list[str]:
    """Connected bridges that must know an endpoint and have not confirmed that; sorted."""
    return sorted(
        host
        for host in {binding.host, *holders}
        if (view := views.get(host)) and view.channel and not view.holds(epoch)
    )


def accepted() -> tuple[Condition, ...]:
    """Ready, for what is complete as soon as it is stored: tenants, networks, links."""
    return (condition("Ready", True, "Accepted"),)


def rejected(conditions: Iterable[Condition], refusals: Mapping[str, str]) -> tuple[Condition, ...]:
    """Conditions of an object whose flows some bridges refuse: host -> error."""
    host, message = min(refusals.items())
    more = f" and {len(refusals) - 1} other hosts" if len(refusals) > 1 else ""
    ready = condition("Ready", False, "RejectedByBridge", f"{host}{more}: {message}")
    return ready, *(c for c in conditions if c.type != "Ready")


def stamp(new: Status, before: Status | None, now: str) -> Status:
    """``new`` with the times at which its conditions last changed their status."""
    known = {c.type: c for c in before.conditions} if before else {}
    return replace(
        new,
        conditions=tuple(
            replace(
                c,
                changed=known[c.type].changed
                if c.type in known and known[c.type].status == c.status
                else now,
            )
            for c in new.conditions
        ),
    )
