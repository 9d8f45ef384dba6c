# SPDX-License-Identifier: Apache-2.0
"""What crosses the REST server about credentials and the audit log."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_NAME = (
    "Of a token: a-z, 0-9 and, inside, -; at most 63. Of a certificate: CN=COMMON-NAME or "
    "URI=ALTERNATIVE-NAME."
)


class CredentialAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credential to issue: a bearer token, or what the holder of a certificate may do."""

    name: Annotated[str, Meta(description=_NAME, min_length=1, max_length=203)]
    role: Annotated[str, Meta(description="viewer, editor or admin.")] = "viewer"
    tenants: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=63)]],
        Meta(description="Where it counts; the whole cluster when empty.", max_length=1000),
    ] = []
    verbs: Annotated[
        list[str],
        Meta(description="Some of the role's verbs; all when empty.", max_length=16),
    ] = []
    expires: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="When it ends, RFC 3339; null for never."),
    ] = None
    certificate: Annotated[bool, Meta(description="It is a certificate's; no token is made.")] = (
        False
    )


class GrantTold(Struct, frozen=True, kw_only=True):
    """A role in some tenants."""

    role: str
    tenants: Annotated[list[str], Meta(description="``*`` is the whole cluster.")]
    verbs: Annotated[
        list[str] | None, Meta(description="Where they are fewer than the role's.")
    ] = None
    gone: Annotated[
        list[str] | None,
        Meta(description="Of the tenants, those that were deleted since: it counts there no more."),
    ] = None


class CredentialTold(Struct, frozen=True, kw_only=True):
    """A credential, without its secret."""

    name: str
    certificate: bool
    grants: list[GrantTold]
    author: Annotated[str, Meta(description="Who issued it.")]
    created: str
    expires: str | None = None
    expired: bool = False


class CredentialIssued(CredentialTold, frozen=True, kw_only=True):
    """A credential that was just issued."""

    token: Annotated[str | None, Meta(description="Shown this once; null for a certificate.")] = (
        None
    )


class CredentialList(Struct, frozen=True, kw_only=True):
    """Credentials, by name."""

    items: list[CredentialTold]


class Asking(Struct, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    via: Annotated[str, Meta(description="local, token, certificate or nobody.")]
    grants: list[GrantTold]
    expires: str | None = None


class AuditLine(Struct, frozen=True, kw_only=True):
    """Something done or refused that is no revision of the intent."""

    position: Annotated[int, Meta(description="In the chain: 1, 2, 3…")]
    time: str
    author: str
    action: str
    object: str
    outcome: str
    source: str
    digest: Annotated[
        str,
        Meta(
            description="SHA-256 of the JSON array [digest before, position, time, author, action, "
            "object, outcome, source]."
        ),
    ]


class ChainVerified(Struct, frozen=True, kw_only=True):
    """Whether a chain of digests is whole."""

    chain: Annotated[str, Meta(description="revisions or audit.")]
    entries: int
    pruned: Annotated[int, Meta(description="Entries before the oldest that is kept.")]
    head: Annotated[str, Meta(description="Digest of the newest entry.")]
    broken: Annotated[
        int | None, Meta(description="The first entry that is not as it was; null when all are.")
    ] = None
    reason: str = ""


class AuditLog(Struct, frozen=True, kw_only=True):
    """The audit log, newest first."""

    items: list[AuditLine]
    verified: Annotated[
        list[ChainVerified] | None, Meta(description="Both chains; where that was asked.")
    ] = None


DOCUMENTS = (
    CredentialAsked, GrantTold, CredentialTold, CredentialIssued, CredentialList, Asking, AuditLine,
    ChainVerified, AuditLog,
)  # fmt: skip
"""Every one of them, for the description of the server."""
