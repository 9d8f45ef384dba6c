# SPDX-License-Identifier: Apache-2.0
"""From what people write of whom a rule is about to scopes, blocks and names."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from ipaddress import ip_network
from typing import Protocol

import msgspec

from vneter_sdn.model.policy_kinds import GroupSpec, Selector, TierSpec, Who
from vneter_sdn.policy import domains, prefixes
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.rule import EVERY, Alike, Block, Domain, Peer, Scope


class Lookup(Protocol):
    """What a policy refers to; everything it is asked for is what the rules depend on."""

    def tier(self, name: str) -> TierSpec | None:
        """A tier of the operator's; None when there is none of that name."""

    def group(self, tenant: str, name: str) -> GroupSpec | None:
        """A group of a tenant; None when there is none of that name."""

    def host_addresses(self, hosts: Selector) -> Sequence[str]:
        """The tunnel addresses of hosts with these labels."""


class Members:
    """Expands members for one tenant; what a group comes to is worked out once."""

    def __init__(self, lookup: Lookup, tenant: str, findings: Findings) -> None:
        self._lookup, self._tenant, self._findings = lookup, tenant, findings
        self._known: dict[str, tuple[Peer, ...]] = {}

    def scopes(self, whom: Iterable[Who], path: str) -> tuple[Scope, ...]:
        """Whom a policy applies to. Addresses in groups are no endpoints and are left out."""
        return tuple(peer for peer in self.peers(whom, path) if isinstance(peer, Scope))

    def peers(self, whom: Iterable[Who], path: str) -> tuple[Peer, ...]:
        """Everybody in a list, each once. ``path`` is that of the list."""
        found: dict[Hashable, Peer] = {}
        for position, who in enumerate(whom):
            for peer in self._of(who, f"{path}[{position}]", ()):
                found.setdefault(_identity(peer), peer)
        return tuple(found.values())

    def _of(self, who: Who, path: str, above: tuple[str, ...]) -> tuple[Peer, ...]:
        if who.group is not None:
            return self._group(who.group, f"{path}.group", above)
        if who.cidr is not None:
            excluded = (str(prefixes.parse(text)) for text in who.excluded)
            return (Block(str(prefixes.parse(who.cidr)), tuple(excluded)),)
        if who.domain is not None:
            return (Domain(domains.canonical(who.domain)),)
        if who.same_labels is not None:
            return (Alike(who.same_labels, who.endpoints or EVERY),)
        if who.not_same_labels is not None:
            return (Alike(who.not_same_labels, who.endpoints or EVERY, differ=True),)
        if who.hosts is not None:
            return tuple(
                Block(str(ip_network(address)))
                for address in self._lookup.host_addresses(who.hosts)
            )
        return (Scope(who.namespaces or EVERY, who.endpoints or EVERY),)

    def _group(self, name: str, path: str, above: tuple[str, ...]) -> tuple[Peer, ...]:
        if name in self._known:
            return self._known[name]
        if name in above:
            circle = " → ".join((*above[above.index(name) :], name))
            text = f"groups may not contain themselves, and these do: {circle}; take one out"
            self._findings.add(path, "CircularGroups", text)
            return ()
        group = self._lookup.group(self._tenant, name)
        if group is None:
            text = f"there is no Group {self._tenant}/{name}; make it, or remove this"
            self._findings.add(path, "UnknownReference", text)
            return ()
        found: dict[Hashable, Peer] = {}
        for who in group.members:
            for peer in self._of(who, path, (*above, name)):
                found.setdefault(_identity(peer), peer)
        self._known[name] = tuple(found.values())
        return self._known[name]


def _identity(peer: Peer) -> Hashable:
    return type(peer), msgspec.json.encode(peer)
