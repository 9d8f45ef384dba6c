# SPDX-License-Identifier: Apache-2.0
"""Who may do what, and what they did: values of the store beside the intent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential. The secret itself is nowhere kept."""

    name: str
    """By which it is found; unique."""
    digest: str
    """Of the secret, in a form that whoever checks it chooses."""
    grants: str = "{}"
    """JSON text; the store does not look into it."""
    author: str = ""
    """Who issued it."""
    created: str = ""
    """RFC 3339, UTC."""
    expires: str | None = None
    """RFC 3339, UTC; None when it never does. Whoever checks it compares."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something done or refused that is no revision of the intent."""

    author: str
    """Who did it, or tried."""
    action: str
    """``token create``, ``PUT /v1/tenants/red/networks/web``."""
    object: str = ""
    """To what: ``Credential ada``."""
    outcome: str = "done"
    """``done``, ``refused: needs the role editor``."""
    source: str = ""
    """Address it came from."""
    time: str = ""
    """RFC 3339, UTC; the store writes it."""
    position: int = 0
    """In the chain: 1, 2, 3…; the store writes it."""
    digest: str = ""
    """Of the digest before and all of this; the store writes it."""
