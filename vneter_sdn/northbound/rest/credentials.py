# SPDX-License-Identifier: Apache-2.0
"""Handlers of credentials, of who asks, and of the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from flask import Response, request

from vneter_sdn.errors import Conflict, Forbidden, IntentError, NotFound, Problem, VneterError
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.instants import posix, rfc3339
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.auditing import plain
from vneter_sdn.northbound.access.documents import CredentialAsked
from vneter_sdn.northbound.access.identity import (
    Grant,
    Identity,
    grant_of,
    grants_from,
    grants_text,
)
from vneter_sdn.northbound.access.tenancy import bound, gone
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import json_answer
from vneter_sdn.northbound.routes import Route
from vneter_sdn.store.port import Store

_PAGE = 100
_LONGEST = 4000
"""Characters of what the audit log says was granted."""


class Credentials:
    """Whoever has the verb ``grant`` gives on what they have themselves, and nothing beyond it."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Keep them in a store; ``clock`` gives POSIX seconds."""
        self._store, self._clock = store, clock

    def whoami(self, route: Route) -> Response:
        """Who asks."""
        requests.query(route)
        asking = requests.identity()
        expires = asking.credential.expires if asking.credential else None
        grants = [grant.document() for grant in asking.grants]
        return json_answer(
            {"name": asking.name, "via": asking.via, "grants": grants, "expires": expires}
        )

    def list(self, route: Route) -> Response:
        """Those that whoever asks could have issued."""
        requests.query(route)
        asking = requests.identity()
        found = [one for one in self._store.credentials() if _covers(asking, one)]
        return json_answer({"items": [self._told(one) for one in found]})

    def create(self, route: Route) -> Response:
        """A new one; the answer is the only place where its token ever is. None of a dry run."""
        dry_run = requests.query(route).get("dryRun", False)
        asked = requests.read(requests.body(), CredentialAsked, "credential")
        grant = self._grant(asked)
        asking = requests.identity()
        if not _gives(asking, grant):
            raise Forbidden(f"{asking.name} may only grant what they were granted themselves")
        _check_longer(asked.expires, asking)
        grant = bound(grant, self._store.snapshot())
        token = None if asked.certificate or dry_run else tokens.fresh(asked.name)
        kept = Credential(
            asked.name,
            _digest(token),
            grants_text([grant]),
            requests.author(),
            rfc3339(self._clock()),
            asked.expires,
        )
        if dry_run:
            self._check_absent(kept.name)
            told = self._told(kept) | {"certificate": asked.certificate, "token": None}
            return json_answer(told, 201)
        self._recorded("create", kept, lambda: self._store.issue(kept))
        return json_answer(self._told(kept) | {"token": token}, 201)

    def revoke(self, route: Route) -> Response:
        """One less; requests that were begun with it get no further."""
        query = requests.query(route)
        name = query["name"]
        kept = self._store.credential(name)
        if kept is None or not _covers(requests.identity(), kept):
            raise NotFound(f"there is no credential {name!r}")
        if not query.get("dryRun", False):
            self._recorded("revoke", kept, lambda: self._store.revoke(name))
        return json_answer(self._told(kept))

    def audit(self, route: Route) -> Response:
        """The audit log, newest first."""
        query = requests.query(route)
        found = self._store.audited(query.get("limit", _PAGE), query.get("before"))
        answer: dict[str, Any] = {"items": [asdict(entry) for entry in found]}
        if query.get("verify"):
            chains = (self._store.verify("audit"), self._store.verify("revisions"))
            answer["verified"] = [asdict(one) for one in chains]
        return json_answer(answer)

    def _check_absent(self, name: str) -> None:
        if self._store.credential(name) is not None:
            raise Conflict(f"there is a credential {name} already")

    def _grant(self, asked: CredentialAsked) -> Grant:
        check = tokens.check_subject if asked.certificate else tokens.check_name
        check(asked.name)
        _check_expiry(asked.expires, self._clock())
        return grant_of(asked.role, asked.tenants, asked.verbs)

    def _recorded(self, action: str, kept: Credential, do: Callable[[], None]) -> None:
        """Do it, with an entry in the audit log before and one after."""
        grants = grants_from(kept.grants)
        short = grants_text(replace(one, uids=frozenset()) for one in grants)
        granted = short if grants else kept.grants

        def entry(outcome: str) -> AuditEntry:
            named = plain(f"Credential {kept.name} {granted}", _LONGEST)
            source = request.environ.get("REMOTE_ADDR") or "local"
            return AuditEntry(requests.author(), f"token {action}", named, outcome, source)

        self._store.audit([entry("asked")])
        try:
            do()
        except VneterError as error:
            self._store.audit([entry(plain(f"refused: {error}"))])
            raise
        self._store.audit([entry("done")])

    def _told(self, kept: Credential) -> dict[str, Any]:
        return {
            "name": kept.name,
            "certificate": kept.digest == tokens.CERTIFICATE,
            "grants": [self._granted(grant) for grant in grants_from(kept.grants)],
            "author": kept.author,
            "created": kept.created,
            "expires": kept.expires,
            "expired": kept.expires is not None and posix(kept.expires) <= self._clock(),
        }

    def _granted(self, grant: Grant) -> dict[str, Any]:
        ended = gone(grant, self._store.snapshot())
        return grant.document() | ({"gone": list(ended)} if ended else {})


def _digest(token: str | None) -> str:
    found = tokens.split(token) if token else None
    return tokens.digest(*found) if found else tokens.CERTIFICATE


def _check_expiry(expires: str | None, now: float) -> None:
    if expires is None:
        return
    try:
        late = posix(expires) <= now
    except ValueError as error:
        raise IntentError(Problem("credential", "expires", "InvalidValue", str(error))) from None
    if late:
        message = f"{expires} is over already"
        raise IntentError(Problem("credential", "expires", "OutOfRange", message))


def _check_longer(expires: str | None, asking: Identity) -> None:
    """Whoever has a tenant for a while does not have it for ever by granting it to themselves.

    Raises:
        IntentError: it would end later than what they have.
    """
    ends = asking.credential.expires if asking.credential else None
    if ends is None or any(grant.everywhere and "grant" in grant.verbs for grant in asking.grants):
        return
    if expires is None or posix(expires) > posix(ends):
        message = f"{asking.name} ends at {ends}; what it grants ends then at the latest"
        raise IntentError(Problem("credential", "expires", "OutOfRange", message))


def _gives(asking: Identity, grant: Grant) -> bool:
    return any("grant" in own.verbs and own.covers(grant) for own in asking.grants)


def _covers(asking: Identity, kept: Credential) -> bool:
    """Whether whoever asks could have issued it; what nobody can read is the cluster's."""
    grants = grants_from(kept.grants)
    if not grants:
        return any(own.everywhere and "grant" in own.verbs for own in asking.grants)
    return all(_gives(asking, grant) for grant in grants)
