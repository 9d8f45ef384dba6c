# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens (RFC 6750) and certificates as credentials: how they look, and are recognised.

A token is ``vnt_NAME_SECRET``: the name finds the credential in one look-up, the secret is 256 bits
of the system's randomness. What is kept of it is its SHA-256: a secret that nobody can guess needs
no slow hash, and each request pays for the one it has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any

from vneter_sdn.errors import IntentError, Problem

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"vnt_([a-z0-9-]{1,63})_([0-9a-f]{64})", re.ASCII)
_SUBJECT = re.compile(r"(?:CN|URI)=[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?", re.ASCII)
CERTIFICATE = "certificate"
"""Digest of a credential that is a certificate's: the TLS handshake has proven who it is."""


def check_name(name: str) -> None:
    """Whether a token may be called so.

    Raises:
        IntentError: it may not.
    """
    if not _NAME.fullmatch(name):
        message = f"{name!r} is no name of a token; use up to 63 of a-z, 0-9 and, inside, -"
        raise IntentError(Problem("credential", "name", "InvalidValue", message))


def check_subject(name: str) -> None:
    """Whether a certificate may be called so: ``CN=alice``, ``URI=spiffe://example.org/ci``.

    Raises:
        IntentError: it may not.
    """
    if not _SUBJECT.fullmatch(name):
        message = f"{name!r} names no certificate; write CN=COMMON-NAME or URI=ALTERNATIVE-NAME"
        raise IntentError(Problem("credential", "name", "InvalidValue", message))


def fresh(name: str) -> str:
    """A new token; show it once, and keep its `digest` alone."""
    return f"vnt_{name}_{secrets.token_hex(32)}"


def split(token: str) -> tuple[str, str] | None:
    """Name and secret of what may be a token."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


def without_secrets(text: str) -> str:
    """Text that others chose, without any token that they may have put there by mistake."""
    return _TOKEN.sub(r"vnt_\1_…", text)


def digest(name: str, secret: str) -> str:
    """What is kept of a secret. Bound to its name, so that rows cannot be swapped."""
    hashed = hashlib.sha256(f"vneter token\0{name}\0{secret}".encode()).hexdigest()
    return f"sha256:{hashed}"


_DUMMY = digest("", "")


def matches(name: str, secret: str, kept: str | None) -> bool:
    """Whether a secret is the one whose digest was kept; as long for a name that is unknown."""
    same = hmac.compare_digest(digest(name, secret), kept or _DUMMY)
    return same and kept is not None


def subject(certificate: Mapping[str, Any]) -> str:
    """What a verified certificate (as `ssl` gives it) is called; empty when it has no one name.

    Its URI; where it has none, its common name (as RFC 6125 §6.4.4 has it of servers).
    An authority that vouches for one of them may let clients write the other as they like, and one
    of two is no name at all.
    """
    uris = [f"URI={name}" for kind, name in certificate.get("subjectAltName", ()) if kind == "URI"]
    names = [
        f"CN={value}"
        for relative in certificate.get("subject", ())
        for kind, value in relative
        if kind == "commonName"
    ]
    found = uris or names
    return found[0] if len(found) == 1 else ""
