# SPDX-License-Identifier: Apache-2.0
"""Who somebody is, and what they were granted: frozen values, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.access import Credential

EVERY = "*"
"""In place of a tenant: every tenant, and all that belongs to none."""
READS = frozenset({"get", "list", "watch"})
WRITES = frozenset({"create", "update", "delete"})
_EDITS = READS | WRITES | {"inject"}
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": READS,
    "editor": _EDITS,
    "admin": _EDITS | {"grant", "audit"},
}
"""Verbs of each role."""
VERBS = ("get", "list", "watch", "create", "update", "delete", "inject", "grant", "audit")
"""Every verb that may be granted. ``grant`` issues and revokes credentials, ``audit`` reads the
audit log."""
SHARED = frozenset({"Tier"})
"""Kinds without a tenant that every viewer may read: policies of tenants refer to them."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in some tenants, perhaps with fewer verbs than it has."""

    role: str
    tenants: frozenset[str]
    verbs: frozenset[str]
    uids: frozenset[tuple[str, str]] = frozenset()
    """Which tenants those are, by name and uid (`access.tenancy`); one that is not here goes by
    its name alone, as in releases before."""

    @property
    def everywhere(self) -> bool:
        """Whether it is for the whole cluster."""
        return EVERY in self.tenants

    def gives(self, verb: str, kind: str, owner: str) -> bool:
        """Whether it gives a verb on objects of a kind.

        Args:
            verb: what is to be done.
            kind: name of the kind.
            owner: tenant whose objects they are; empty for what belongs to none.
        """
        if verb not in self.verbs or verb not in ROLES[self.role]:
            return False
        if self.everywhere:
            return True
        if not owner or owner not in self.tenants:
            return kind in SHARED and verb in READS
        if kind == "Tenant":  # whoever runs a tenant says how it is, and not whether it is
            return verb in READS or (self.role == "admin" and verb in {"update", "grant"})
        return verb != "audit"

    def covers(self, other: Grant) -> bool:
        """Whether it gives all that another one gives."""
        order = ("viewer", "editor", "admin")
        wide = self.everywhere or other.tenants <= self.tenants
        return wide and order.index(other.role) <= order.index(self.role) and (
            other.verbs & ROLES[other.role] <= self.verbs
        )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        narrowed = self.verbs != ROLES[self.role]
        verbs = {"verbs": [verb for verb in VERBS if verb in self.verbs]} if narrowed else {}
        return {"role": self.role, "tenants": sorted(self.tenants)} | verbs


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever asks."""

    name: str
    """What the journal and the audit log call them."""
    via: Literal["local", "token", "certificate", "nobody"]
    grants: tuple[Grant, ...] = ()
    credential: Credential | None = field(default=None, repr=False)
    """What it is known by."""

    @property
    def everywhere(self) -> bool:
        """Whether they may read all there is: nothing needs to be left out for them."""
        return any(grant.everywhere and grant.verbs >= READS for grant in self.grants)

    @property
    def tenants(self) -> frozenset[str]:
        """Tenants of which they may read something."""
        return frozenset(
            tenant for grant in self.grants if grant.verbs & READS for tenant in grant.tenants
        )


ADMIN = Grant("admin", frozenset({EVERY}), ROLES["admin"])
LOCAL = Identity("anonymous@loopback", "local", (ADMIN,))
"""Whoever comes by loopback or by the unix socket, without a credential."""
NOBODY = Identity("nobody", "nobody")
"""Whoever comes from elsewhere without a credential."""


def grant_of(
    role: str, tenants: Collection[str] = (), verbs: Collection[str] | None = None
) -> Grant:
    """A grant as people ask for it; no tenants are the whole cluster, no verbs all of the role's.

    Raises:
        IntentError: there is no such role, or it has no such verb.
    """
    problems = []
    if role not in ROLES:
        known = ", ".join(ROLES)
        problems.append(_wrong("role", f"no role {role!r}; the roles are {known}"))
    strange = sorted(set(verbs or ()) - ROLES.get(role, frozenset(VERBS)))
    if strange:
        has = ", ".join(verb for verb in VERBS if verb in ROLES.get(role, VERBS))
        problems.append(_wrong("verbs", f"{role} does not have {', '.join(strange)}; it has {has}"))
    if problems:
        raise IntentError(*problems)
    given = ROLES[role] if not verbs else frozenset(verbs)
    return Grant(role, frozenset(tenants) or frozenset({EVERY}), given)


def grants_text(grants: Iterable[Grant]) -> str:
    """Grants as the store keeps them."""
    kept = [grant.document() | _uids(grant) for grant in grants]
    return json.dumps(kept, separators=(",", ":"))


def _uids(grant: Grant) -> dict[str, Any]:
    return {"uids": dict(sorted(grant.uids))} if grant.uids else {}


def grants_from(text: str) -> tuple[Grant, ...]:
    """What `grants_text` wrote.

    What cannot be read grants nothing: it is of a later release, or was tampered with.
    """
    try:
        found = json.loads(text)
        return tuple(_grant(one) for one in found)
    except (IntentError, KeyError, TypeError, ValueError):
        return ()


def _grant(values: Mapping[str, Any]) -> Grant:
    tenants, verbs = values["tenants"], values.get("verbs")
    if not tenants or not all(isinstance(tenant, str) for tenant in tenants):
        raise ValueError("a grant names its tenants")
    if verbs is not None and not verbs:
        raise ValueError("a grant of no verb")
    uids = values.get("uids", {})
    if not isinstance(uids, dict) or not all(isinstance(uid, str) for uid in uids.values()):
        raise ValueError("tenants are known by the text of their uids")
    return replace(grant_of(values["role"], tenants, verbs), uids=frozenset(uids.items()))


def _wrong(field: str, message: str) -> Problem:
    return Problem("credential", field, "InvalidValue", message)
