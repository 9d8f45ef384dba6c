# SPDX-License-Identifier: Apache-2.0
"""A client of the REST server, on the standard library.

Every method raises the error the server reported, as its own type: IntentError with every
Problem, Conflict, NotFound; StoreUnavailable also when the server cannot be reached.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from vneter_sdn.client.journal import recorded_of
from vneter_sdn.client.paths import path_to
from vneter_sdn.client.results import (
    Change,
    Item,
    Manifest,
    Page,
    S,
    applied_of,
    item_of,
    kind_of,
    page_of,
)
from vneter_sdn.client.sending import Answer, Request, Sender
from vneter_sdn.client.transport import DEFAULT_SERVER, Tls, Transport
from vneter_sdn.client.watch import Asked, Trouble, Watch
from vneter_sdn.errors import IntentError, NotFound, Problem, VneterError
from vneter_sdn.model.journal import Recorded, Verification
from vneter_sdn.model.snapshot import Key, Revision
from vneter_sdn.northbound import resources
from vneter_sdn.northbound.conditions import met
from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH
from vneter_sdn.store.port import Applied, ChainName

_LONG_POLL = 10.0
_PAUSE = 0.2
PAGE = 500
"""Objects that one request for a list answers."""
_QUIET = 30.0
"""Seconds of silence after which a watch is taken for dead; the server says something every 10."""


class Client:
    """One REST server. Safe to share among threads: each request has its own connection."""

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        author: str = "",
        timeout: float = 60.0,
        token: str = "",
        tls: Tls | None = None,
        patience: float = 60.0,
    ) -> None:
        """Talk to a server.

        Args:
            server: ``http://127.0.0.1:8181``, ``https://HOST:PORT``, or ``unix:PATH``.
            author: who makes the changes, for the journal, where the server takes our word.
            timeout: seconds to wait for one answer.
            token: bearer token; never sent where others could read it.
            tls: whom to trust, and our own certificate.
            patience: seconds without a server after which a watch ends.

        Raises:
            IntentError: ``server`` is no such address, or no place to send a token to.
        """
        transport = Transport(server, timeout=timeout, tls=tls)
        if token and not transport.address.private:
            message = f"a token is not sent to {server}, where anybody could read it; use https"
            raise IntentError(Problem("client", "token", "NotPrivate", message))
        headers = {} if transport.address.scheme == "https" else {"Host": "localhost"}
        if author:
            headers["X-Vneter-Author"] = author.encode("ascii", "replace").decode()
        if token:
            headers["Authorization"] = f"Bearer {_header(token)}"
        self.server, self._patience = server, patience
        self._sender = Sender(transport, headers)

    # -- reading ---------------------------------------------------------------------------------

    def get(self, kind: str, tenant: str, name: str) -> Manifest:
        """One object; ``tenant`` is empty for kinds that belong to none."""
        return self._ask(Request("GET", path_to(kind, tenant, name))).value

    def list(
        self, kind: str, tenant: str | None = None, selector: str | None = None, fields: str = ""
    ) -> Sequence[Manifest]:
        """Objects of a kind: of one tenant or of all, those that selectors select.

        Args:
            kind: of which kind.
            tenant: of one tenant only.
            selector: of labels, ``app=web``.
            fields: of fields, ``status.conditions[Ready]=False``.
        """
        return list(self.iterate(kind, tenant, selector, fields))

    def iterate(
        self,
        kind: str,
        tenant: str | None = None,
        selector: str | None = None,
        fields: str = "",
        page: int = PAGE,
    ) -> Iterator[Manifest]:
        """As `list`, ``page`` objects a request; all are of one instant."""
        for one in self.pages(kind, tenant, selector, fields, page):
            yield from one.items

    def pages(
        self,
        kind: str,
        tenant: str | None = None,
        selector: str | None = None,
        fields: str = "",
        page: int = PAGE,
    ) -> Iterator[Page]:
        """As `iterate`, page by page: each says where a watch may begin."""
        query = {**_selected(selector, fields), "limit": str(page)}
        while True:
            answer = self._ask(Request("GET", path_to(kind, tenant or ""), query=query))
            with self._sender.understood():
                found, after = page_of(answer.value)
            yield found
            if not after:
                return
            query["continue"] = after

    def watch(
        self,
        kinds: Sequence[str] = (),
        tenant: str | None = None,
        selector: str | None = None,
        fields: str = "",
        *,
        since: str = "",
        trouble: Trouble = lambda _error: None,
    ) -> Iterator[Change]:
        """What happens to objects, for ever: over lost connections and restarts of the server.

        Args:
            kinds: of which; of all, when there are none.
            tenant: of one tenant only.
            selector: of labels.
            fields: of fields.
            since: `Page.position`; without it, all there is comes first, as added, then ``synced``.
            trouble: told of each lost connection.
        """
        where = f"/v1/tenants/{quote(tenant, safe='')}/watch" if tenant else "/v1/watch"
        query = _selected(selector, fields) | ({"kinds": ",".join(kinds)} if kinds else {})
        asked = Asked(where, query, since)
        sender = self._sender.patient(_QUIET)
        return iter(Watch(sender, asked, patience=self._patience, trouble=trouble))

    def read(self, spec: type[S], name: str, tenant: str = "") -> Item[S]:
        """One object of the kind of a Struct: ``read(NetworkSpec, "web", "red").spec.vni``."""
        answer = self._ask(Request("GET", path_to(kind_of(spec).name, tenant, name)))
        return item_of(answer.value, answer.etag)

    def read_all(
        self, spec: type[S], tenant: str | None = None, selector: str | None = None
    ) -> Iterator[Item[S]]:
        """Objects of the kind of a Struct."""
        return map(item_of, self.iterate(kind_of(spec).name, tenant, selector))

    def wait(
        self, kind: str, tenant: str, name: str, condition: str = "Ready", timeout: float = 60.0
    ) -> Manifest:
        """Wait until a condition of an object is True for its current revision.

        Raises:
            TimeoutError: it is not within ``timeout`` seconds; ``args[1]`` is the manifest.
            NotFound: there is no such object.
        """
        deadline = time.monotonic() + timeout
        path = path_to(kind, tenant, name)
        while True:
            left = max(0.0, deadline - time.monotonic())
            query = {"waitFor": condition, "timeout": f"{min(left, _LONG_POLL):.3f}"}
            asked = time.monotonic()
            manifest = self._ask(Request("GET", path, query=query)).value
            if met(manifest, condition):
                return manifest
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{kind} {name} is not {condition} yet", manifest)
            if time.monotonic() - asked < _PAUSE:  # the server had no thread to wait with
                time.sleep(min(_PAUSE, left))

    def wait_deleted(self, kind: str, tenant: str, name: str, timeout: float = 60.0) -> None:
        """Wait until there is no such object.

        Raises:
            TimeoutError: there still is after ``timeout`` seconds; ``args[1]`` is the manifest.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                manifest = self.get(kind, tenant, name)
            except NotFound:
                return
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{kind} {name} is still there", manifest)
            time.sleep(_PAUSE)

    # -- writing ---------------------------------------------------------------------------------

    def apply(
        self,
        objects: Iterable[Mapping[str, Any]],
        message: str = "",
        dry_run: bool = False,
        delete: Iterable[Key | Mapping[str, str]] = (),
    ) -> Applied:
        """Write and delete many objects in one transaction, or none."""
        references = [
            resources.reference(item) if isinstance(item, Key) else dict(item) for item in delete
        ]
        asked = {
            "objects": list(objects),
            "delete": references,
            "message": message,
            "dryRun": dry_run,
        }
        return self._applied(Request("POST", "/v1/apply", asked))

    def put(
        self, manifest: Mapping[str, Any], *, if_match: str = "", dry_run: bool = False
    ) -> Manifest:
        """Write one object.

        Args:
            manifest: whole; it replaces what is there.
            if_match: `Item.etag` of the state that it replaces; any, where it is empty.
            dry_run: check everything, write nothing.

        Returns:
            The object as it is stored, or would be.

        Raises:
            Stale: somebody else changed it first.
        """
        path = path_to(*resources.key_of(manifest))
        headers = _match(if_match)
        asked = Request("PUT", path, dict(manifest), _dry(dry_run), headers)
        return self._ask(asked).value

    def patch(
        self,
        key: Key,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        if_match: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """Change one object in places.

        Args:
            key: which.
            patch: a merge patch (RFC 7396) if it is a mapping, else a JSON Patch (RFC 6902).
            if_match: as `put` has it.
            dry_run: as `put` has it.

        Returns:
            The object as it is stored, or would be.

        Raises:
            Stale: somebody else changed it first.
        """
        merge = isinstance(patch, Mapping)
        body = dict(patch) if isinstance(patch, Mapping) else list(patch)
        asked = Request(
            "PATCH",
            path_to(*key),
            body,
            _dry(dry_run),
            _match(if_match),
            media=MERGE_PATCH if merge else JSON_PATCH,
        )
        return self._ask(asked).value

    def delete(
        self, kind: str, tenant: str, name: str, *, if_match: str = "", dry_run: bool = False
    ) -> Applied:
        """Delete one object; arguments as `put` has them."""
        path = path_to(kind, tenant, name)
        asked = Request("DELETE", path, query=_dry(dry_run), headers=_match(if_match))
        return self._applied(asked)

    # -- who may do what, and who tried -----------------------------------------------------------

    def whoami(self) -> dict[str, Any]:
        """Whom the server takes us for, and what we were granted."""
        return self._ask(Request("GET", "/v1/whoami")).value

    def credentials(self) -> Sequence[dict[str, Any]]:
        """Credentials, without their secrets."""
        items: Sequence[dict[str, Any]] = self._ask(Request("GET", "/v1/tokens")).value["items"]
        return items

    def issue(self, asked: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Issue a credential (`CredentialAsked`); the answer's ``token`` is shown this once.

        Raises:
            StoreUnavailable: where the answer was lost, it may have been issued all the same.
        """
        query = {"dryRun": "true"} if dry_run else {}
        return self._ask(Request("POST", "/v1/tokens", dict(asked), query=query, once=True)).value

    def revoke(self, name: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Revoke a credential, at once."""
        query = {"name": name} | ({"dryRun": "true"} if dry_run else {})
        return self._ask(Request("DELETE", "/v1/tokens", query=query, once=True)).value

    def audit(
        self, limit: int = 100, before: int | None = None, *, verify: bool = False
    ) -> dict[str, Any]:
        """The audit log, newest first; with ``verify`` whether it and the history are whole."""
        query: dict[str, Any] = {"limit": limit} | ({} if before is None else {"before": before})
        query |= {"verify": "true"} if verify else {}
        return self._ask(Request("GET", "/v1/audit", query=query)).value

    # -- the server as a whole -------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The summary: revision, counts per kind, and what is not ready."""
        found = self._ask(Request("GET", "/v1/status")).value
        with self._sender.understood():
            found["revision"], found["kinds"], found["core"]
        return found

    # -- history ---------------------------------------------------------------------------------

    def revisions(
        self, limit: int = 100, before: int | None = None, *, author: str = "", about: str = ""
    ) -> Sequence[Revision]:
        """The journal, newest first: of one author, or about one object (``Network red/web``)."""
        query: dict[str, Any] = {"limit": limit} | ({} if before is None else {"before": before})
        query |= ({"author": author} if author else {}) | ({"object": about} if about else {})
        found = self._ask(Request("GET", "/v1/revisions", query=query)).value["items"]
        return msgspec.convert(found, tuple[Revision, ...])

    def revision(self, number: int) -> Recorded:
        """One revision, with each object before and after."""
        return recorded_of(self._ask(Request("GET", f"/v1/revisions/{number}")).value)

    def rollback(self, number: int, message: str = "", *, dry_run: bool = False) -> Applied:
        """Make all objects what they were at a revision, in a new one."""
        asked = {"message": message, "dryRun": dry_run}
        path = f"/v1/revisions/{number}/rollback"
        return applied_of(self._ask(Request("POST", path, asked)).value)

    def verify(self, chain: ChainName = "revisions") -> Verification:
        """Have a chain of digests recomputed."""
        found = self._ask(Request("GET", f"/v1/chains/{chain}")).value
        return msgspec.convert(found, Verification)

    # -- the server now --------------------------------------------------------------------------

    def topology(self) -> dict[str, Any]:
        """The graph as it is; `graph.atlas.exchange.topology_of` reads it."""
        return self._ask(Request("GET", "/v1/topology")).value

    def inject(self, packet: Mapping[str, Any]) -> dict[str, Any]:
        """Inject a packet (`schemas.Injection`); where it was seen (`schemas.Injected`)."""
        return self._ask(Request("POST", "/v1/inject", dict(packet), once=True)).value

    def snapshot(self) -> dict[str, Any]:
        """Everything stored; `exports.snapshot_from` reads it."""
        return self._ask(Request("GET", "/v1/snapshot")).value

    def ready(self) -> bool:
        """Whether the server and its database can do their work."""
        try:
            self._ask(Request("GET", "/readyz"))
        except VneterError:
            return False
        return True

    def _applied(self, request: Request) -> Applied:
        answer = self._ask(request)
        with self._sender.understood():
            return applied_of(answer.value)

    def _ask(self, request: Request) -> Answer:
        return self._sender.ask(request)


def _selected(selector: str | None, fields: str) -> dict[str, str]:
    query = {"labelSelector": selector or "", "fieldSelector": fields}
    return {name: value for name, value in query.items() if value}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "true"} if dry_run else {}


def _match(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}


def _header(token: str) -> str:
    """A token as it may stand in a header.

    Raises:
        IntentError: it may not.
    """
    if not (token.isascii() and token.isprintable() and " " not in token):
        message = "a token is of printable characters without spaces"
        raise IntentError(Problem("client", "token", "InvalidToken", message))
    return token
