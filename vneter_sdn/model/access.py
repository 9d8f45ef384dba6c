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
