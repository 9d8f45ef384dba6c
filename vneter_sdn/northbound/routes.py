# SPDX-License-Identifier: Apache-2.0
"""Every route of the REST server, as values: what Flask serves, OpenAPI says and the docs list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vneter_sdn.model.kinds import KINDS, Kind
from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH

LARGEST = 2**53
"""Integer of a query, and the smallest below zero: what every reader of JSON can tell apart."""
MOST_LISTED = 1000
"""Objects of one page, at most."""
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter."""

    name: str
    type: Literal["string", "integer", "number", "boolean"]
    description: str
    least: int | None = None
    most: int | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """One header that a request may have."""

    name: str
    description: str
    pattern: str = ""
    """What its value looks like, as a regular expression that JSON Schema takes."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    """With parameters in braces: ``/v1/tenants/{tenant}/networks``."""
    operation: str
    """Name of the handler, the same for all kinds: ``list``."""
    summary: str
    kind: Kind | None = None
    query: tuple[Query, ...] = ()
    headers: tuple[Header, ...] = ()
    body: str = ""
    """Name of the schema of the request body; empty for none."""
    bodies: tuple[tuple[str, str], ...] = ()
    """Where the body is not ``application/json``: media types, and names of schemas."""
    answer: str = ""
    """Name of the schema of the answer; empty when it is not JSON of ours."""
    media: str = "application/json"
    """Of the answer; more than one, joined by commas."""
    success: tuple[int, ...] = (200,)
    refusals: tuple[int, ...] = ()
    """Statuses of problems it answers with, beside 400, 403, 405, 429, 500 and 503."""

    @property
    def identity(self) -> str:
        """Unique name: OpenAPI's operationId."""
        return self.operation + (self.kind.name if self.kind else "")


_SELECTORS = (
    Query("labelSelector", "string", "a=b,c!=d,e in (x,y),f notin (z),g,!h; all must hold."),
    Query(
        "fieldSelector",
        "string",
        "spec.network=web,metadata.name!=x,status.conditions[Ready]=False; all must hold.",
    ),
)
_PAGES = (
    Query(
        "limit",
        "integer",
        "Objects of one page, at most; without it there is one page. The objects of all pages are "
        "those of one instant.",
        1,
        MOST_LISTED,
    ),
    Query(
        "continue",
        "string",
        "metadata.continue of the page before; 410 when that was too long ago. The selectors must "
        "be the same.",
    ),
)
_LIST = (*_SELECTORS, *_PAGES)
_WATCH = (
    Query(
        "kinds",
        "string",
        "Kinds or plurals, joined by commas: networks,endpoints. All if not given.",
    ),
    *_SELECTORS,
    Query(
        "since",
        "string",
        "metadata.position of a list, or id of an event: begin with what came right after it. "
        "Without it, and without Last-Event-ID, everything there is comes first, as added.",
    ),
    Query("timeout", "number", "Seconds after which the answer ends.", 0, 86400),
)
_RESUME = Header("Last-Event-ID", "As since, which counts when both are given.")
_WAIT = (
    Query("waitFor", "string", "Answer only once this condition is True, or after timeout."),
    Query("timeout", "number", "Longest wait in seconds, at most 20.", 0, 86400),
)
_WRITE = (409, 410, 412, 413, 415, 422)
_DRY_RUN = (
    Query("dryRun", "boolean", "Check everything, write nothing, answer what would be stored."),
)
_KEY = Header(
    "Idempotency-Key",
    "1 to 128 characters that name this request: asked again, it is not done again, and is "
    "answered as before, with Idempotency-Replayed: true. 422 with another request.",
    r"^[!-~]{1,128}$",
)
_AUTHOR = Header(
    "X-Vneter-Author",
    "Who makes the change, for the journal; added to the name of the credential, if there is one.",
    r"^([!-~]([ -~]{0,254}[!-~])?)?$",
)
_TAGS = r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*"){0,31})$'
_IF_MATCH = Header(
    "If-Match",
    "Entity tags, as ETag has them, or *: 412 unless the object has one of them. Writes compare "
    "the revision in it only, so that a new status is no conflict.",
    _TAGS,
)
_IF_NONE_MATCH = Header("If-None-Match", "*: 412 when there is such an object already.", r"^\*$")
_UNLESS = Header("If-None-Match", "Entity tags: 304 when the object has one of them.", _TAGS)


def _of_kind(kind: Kind) -> Iterator[Route]:
    name, plural = kind.name, kind.plural
    many = f"/v1/tenants/{{tenant}}/{plural}" if kind.tenanted else f"/v1/{plural}"
    one = f"{many}/{{name}}"
    noun = "one tenant's" if kind.tenanted else "all"
    listed = f"{name}List"
    a_name = f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    yield Route(
        "GET", many, "list", f"List {noun} {plural}.", kind, _LIST, answer=listed, refusals=(410,)
    )
    if kind.tenanted:
        summary = f"List the {plural} of every tenant."
        yield Route(
            "GET", f"/v1/{plural}", "listAll", summary, kind, _LIST, answer=listed, refusals=(410,)
        )
    yield Route(
        "POST", many, "create", f"Create {a_name}; refused when it exists.", kind, _DRY_RUN,
        headers=(_KEY, _AUTHOR), body=name, answer=name, success=(201,), refusals=_WRITE,
    )  # fmt: skip
    yield Route(
        "GET", one, "get", f"One {name}, with its status.", kind, _WAIT,
        headers=(_IF_MATCH, _UNLESS), answer=name, success=(200, 304), refusals=(404, 412),
    )  # fmt: skip
    yield Route(
        "PUT", one, "put", f"Create or replace {a_name}.", kind, _DRY_RUN,
        headers=(_IF_MATCH, _IF_NONE_MATCH, _KEY, _AUTHOR),
        body=name, answer=name, success=(200, 201), refusals=_WRITE,
    )  # fmt: skip
    yield Route(
        "PATCH", one, "patch", f"Change {a_name} in places.", kind, _DRY_RUN,
        headers=(_IF_MATCH, _KEY, _AUTHOR), answer=name, refusals=(404, *_WRITE),
        bodies=((JSON_PATCH, "JsonPatch"), (MERGE_PATCH, "MergePatch")),
    )  # fmt: skip
    yield Route(
        "DELETE", one, "delete", f"Delete {a_name}.", kind, _DRY_RUN,
        headers=(_IF_MATCH, _KEY, _AUTHOR), answer="Applied", refusals=(404, 409, 412, 422),
    )  # fmt: skip


_FIXED = (
    Route(
        "GET", "/v1/watch", "watch",
        "Server-sent events: what happens to objects of any kind and tenant, as it happens.",
        query=_WATCH, headers=(_RESUME,), answer="ServerSentEvent", media=EVENT_STREAM,
        refusals=(410,),
    ),
    Route(
        "GET", "/v1/tenants/{tenant}/watch", "watchTenant",
        "Server-sent events: what happens to one tenant's objects, as it happens.",
        query=_WATCH, headers=(_RESUME,), answer="ServerSentEvent", media=EVENT_STREAM,
        refusals=(410,),
    ),
    Route(
        "POST", "/v1/apply", "apply", "Write and delete many objects in one transaction, or none.",
        query=_DRY_RUN, headers=(_KEY, _AUTHOR), body="Apply", answer="Applied",
        refusals=(404, *_WRITE),
    ),
    Route(
        "GET", "/v1/revisions", "revisions", "The journal of transactions, newest first.",
        query=(
            Query("limit", "integer", "At most this many; 100 by default.", 1, 1000),
            Query("before", "integer", "Only revisions below this one."),
            Query("author", "string", "Only those of this author."),
            Query("object", "string", "Only those that changed this object: Network red/web."),
        ),
        answer="RevisionList",
    ),
    Route(
        "GET", "/v1/revisions/{number}", "revision", "One revision, with its diff.",
        answer="RevisionDetail", refusals=(404,),
    ),
    Route(
        "POST", "/v1/revisions/{number}/rollback", "rollback",
        "Make all objects what they were at a revision, in a new one.",
        query=_DRY_RUN, headers=(_KEY, _AUTHOR), body="Rollback", answer="Applied",
        refusals=(404, *_WRITE),
    ),
    Route(
        "GET", "/v1/chains/{chain}", "chain",
        "Recompute the digests of all revisions, or of the audit log: name what is not as it was.",
        answer="Verification", refusals=(404,),
    ),
    Route("GET", "/v1/status", "status", "Counts per kind, hosts, and what is not ready.",
          answer="Summary"),
    Route("GET", "/v1/topology", "topology", "The graph: hosts, and links in each direction.",
          answer="Topology"),
    Route("GET", "/v1/snapshot", "snapshot", "Everything stored, at one instant.",
          answer="Snapshot"),
    Route("POST", "/v1/inject", "inject",
          "Inject a marked packet where an endpoint sends, and say which bridges saw it.",
          body="Injection", answer="Injected", refusals=(404, 409, 412, 413, 415, 422)),
    Route("GET", "/v1/whoami", "whoami", "Who asks, and what they were granted.",
          answer="Asking"),
    Route("GET", "/v1/tokens", "listTokens", "Credentials, without their secrets.",
          answer="CredentialList"),
    Route("POST", "/v1/tokens", "createToken",
          "Issue a token, shown this once, or say what the holder of a certificate may do.",
          query=_DRY_RUN, body="CredentialAsked", answer="CredentialIssued", success=(201,),
          refusals=(409, 412, 413, 415, 422)),
    Route("DELETE", "/v1/tokens", "revokeToken", "Revoke a credential, at once.",
          query=(Query("name", "string", "Which one.", required=True), *_DRY_RUN),
          answer="CredentialTold", refusals=(404, 412)),
    Route("GET", "/v1/audit", "audit", "What was refused and who was let in, newest first.",
          query=(
              Query("limit", "integer", "At most this many; 100 by default.", 1, 1000),
              Query("before", "integer", "Only positions below this one.", 1),
              Query("verify", "boolean", "Recompute the chains of digests."),
          ),
          answer="AuditLog"),
    Route("GET", "/docs", "docs", "This description, for people with a browser.",
          media="text/html; charset=utf-8"),
    Route("GET", "/docs/{file}", "docsAsset", "What that page consists of: page.js, page.css.",
          media="text/javascript, text/css", refusals=(404,)),
    Route("GET", "/openapi.json", "openapi", "This description."),
    Route("GET", "/healthz", "healthz", "The server answers.", answer="Health"),
    Route("GET", "/readyz", "readyz", "The database answers, and the core, where that is known.",
          answer="Health"),
    Route("GET", "/metrics", "metrics", "Counters for Prometheus.",
          media="text/plain; version=0.0.4; charset=utf-8"),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *(route for kind in KINDS.values() for route in _of_kind(kind)),
    *_FIXED,
)
"""Every route there is."""
