# SPDX-License-Identifier: Apache-2.0
"""Who asks: from what came with a request to an identity. Nothing is decided here."""

from __future__ import annotations

import math
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from vneter_sdn.errors import Throttled, Unauthenticated
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.auditing import Auditor
from vneter_sdn.northbound.access.identity import LOCAL, NOBODY, Grant, Identity, grants_from
from vneter_sdn.northbound.access.tenancy import living
from vneter_sdn.northbound.access.throttle import Throttle
from vneter_sdn.northbound.wire.gateway import CERTIFICATE, TRUSTED, Environ, crowd_of

RESULTS = ("local", "token", "certificate", "nobody", "refused", "throttled", "handshake")
"""How asking who somebody is may end, for metrics; ``handshake`` is one of TLS that failed."""


class Credentials(Protocol):
    """The part of a store that is needed here."""

    def credential(self, name: str) -> Credential | None:
        """One credential."""

    def snapshot(self) -> Snapshot:
        """The tenants that there are."""


class Doorkeeper:
    """Tells who asks; safe among threads.

    A credential that is given is judged, wherever it is given: one that is wrong is refused even
    where none is needed, so that nobody thinks it works.
    """

    def __init__(
        self,
        store: Credentials,
        *,
        auditor: Auditor | None = None,
        clock: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        """Look credentials up in a store; ``clock`` gives POSIX seconds."""
        self._store, self._clock, self._auditor = store, clock, auditor
        self._throttle = throttle or Throttle()
        self.results: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))

    def identify(self, environ: Environ) -> Identity:
        """Who asks.

        Raises:
            Unauthenticated: a credential is given and is not accepted.
            Throttled: so, and that happened too often.
            StoreUnavailable: nobody can tell.
        """
        try:
            found = self._identity(environ)
        except Unauthenticated:
            self.results["refused"] += 1
            left = self._throttle.failed(crowd_of(environ.get("REMOTE_ADDR", "")))
            if left > 0:
                self.results["throttled"] += 1
                what = "too many credentials that are not accepted came from this address"
                raise Throttled(what, math.ceil(left)) from None
            raise
        self.results[found.via] += 1
        return found

    def handshake_failed(self) -> None:
        """Count somebody whose TLS did not come to anything."""
        self.results["handshake"] += 1

    def turned_away(self, environ: Environ, why: str, identity: Identity = NOBODY) -> None:
        """Note in the audit log that somebody was refused."""
        if self._auditor is None:
            return
        author = identity.name
        if identity is NOBODY and (claimed := _claimed(environ)):
            author = f"nobody (as token:{claimed})"
        action = f"{environ.get('REQUEST_METHOD', '')} {environ.get('PATH_INFO', '')}"
        self._auditor.refused(author, action, why, environ.get("REMOTE_ADDR") or "local")

    def still(self, identity: Identity, until: float | None = None) -> bool:
        """Whether somebody who was let in may stay: nothing was revoked, changed or expired."""
        kept = identity.credential
        if kept is None:
            return True
        ended = until is not None and until < self._clock()
        same = not ended and self._store.credential(kept.name) == kept
        return same and not self._expired(kept) and self._living(kept) == identity.grants

    def _identity(self, environ: Environ) -> Identity:
        header = environ.get("HTTP_AUTHORIZATION")
        if header is not None:
            return self._bearer(header)
        certificate = environ.get(CERTIFICATE)
        if certificate:
            found = self._certified(certificate)
            if found is not None:
                return found
        return LOCAL if environ.get(TRUSTED) is True else NOBODY

    def _bearer(self, header: str) -> Identity:
        scheme, _, text = header.partition(" ")
        parts = tokens.split(text.strip()) if scheme.lower() == "bearer" else None
        if parts is None:
            raise Unauthenticated("the Authorization header holds no token: Bearer vnt_NAME_SECRET")
        name, secret = parts
        kept = self._store.credential(name)
        if not tokens.matches(name, secret, kept.digest if kept else None) or kept is None:
            raise Unauthenticated("the token is not accepted")
        if self._expired(kept):
            raise Unauthenticated(f"the token has expired at {kept.expires}")
        return Identity(f"token:{name}", "token", self._granted(kept), kept)

    def _certified(self, certificate: Mapping[str, Any]) -> Identity | None:
        """Whom a certificate names; None when nothing was granted to it."""
        if (until_of(certificate) or math.inf) < self._clock():
            raise Unauthenticated("the certificate has expired")
        subject = tokens.subject(certificate)
        kept = self._store.credential(subject) if subject else None
        if kept is None or kept.digest != tokens.CERTIFICATE:
            return None
        if self._expired(kept):
            raise Unauthenticated(f"what was granted to {subject} has expired")
        return Identity(f"certificate:{subject}", "certificate", self._granted(kept), kept)

    def _granted(self, kept: Credential) -> tuple[Grant, ...]:
        found = self._living(kept)
        if not found and grants_from(kept.grants):
            raise Unauthenticated(f"what was granted to {kept.name} is of tenants that are no more")
        return found

    def _living(self, kept: Credential) -> tuple[Grant, ...]:
        grants = grants_from(kept.grants)
        if not any(grant.uids for grant in grants):
            return grants
        return living(grants, self._store.snapshot())

    def _expired(self, kept: Credential) -> bool:
        if kept.expires is None:
            return False
        try:
            return datetime.fromisoformat(kept.expires).timestamp() <= self._clock()
        except ValueError:
            return True


def _claimed(environ: Environ) -> str:
    """Which token somebody says to have; never any part of its secret."""
    found = tokens.split(environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2].strip())
    return found[0] if found else ""


def until_of(certificate: Mapping[str, Any] | None) -> float | None:
    """When a certificate ends, in POSIX seconds."""
    ends = (certificate or {}).get("notAfter")
    return ssl.cert_time_to_seconds(ends) if ends else None
