# SPDX-License-Identifier: Apache-2.0
"""Every route of the REST server, as values: what Flask serves, OpenAPI says and the docs list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vneter_sdn.model.kinds import KINDS, Kind


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter."""

    name: str
    type: Literal["string", "integer", "number"]
    description: str


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
    body: str = ""
    """Name of the schema of the request body; empty for none."""
    answer: str = ""
    """Name of the schema of the answer; empty when it is not JSON of ours."""
    media: str = "application/json"
    success: tuple[int, ...] = (200,)
    refusals: tuple[int, ...] = ()
    """Statuses of problems it answers with, beside 400, 403, 405, 500 and 503."""

    @property
    def identity(self) -> str:
        """Unique name: OpenAPI's operationId."""
        return self.operation + (self.kind.name if self.kind else "")


_SELECTOR = Query("labelSelector", "string", "a=b,c!=d,e in (x,y),f notin (z),g,!h; all must hold.")
_WAIT = (
    Query("waitFor", "string", "Answer only once this condition is True, or after timeout."),
    Query("timeout", "number", "Longest wait in seconds, at most 20."),
)
_WRITE = (409, 413, 415, 422)


def _of_kind(kind: Kind) -> Iterator[Route]:
    name, plural = kind.name, kind.plural
    many = f"/v1/tenants/{{tenant}}/{plural}" if kind.tenanted else f"/v1/{plural}"
    one = f"{many}/{{name}}"
    noun = "one tenant's" if kind.tenanted else "all"
    listed = f"{name}List"
    yield Route("GET", many, "list", f"List {noun} {plural}.", kind, (_SELECTOR,), answer=listed)
    if kind.tenanted:
        summary = f"List the {plural} of every tenant."
        yield Route("GET", f"/v1/{plural}", "listAll", summary, kind, (_SELECTOR,), answer=listed)
    yield Route(
        "POST", many, "create", f"Create a {name}; refused when it exists.", kind,
        body=name, answer=name, success=(201,), refusals=_WRITE,
    )  # fmt: skip
    yield Route(
        "GET", one, "get", f"One {name}, with its status.", kind, _WAIT, answer=name,
        refusals=(404,),
    )  # fmt: skip
    yield Route(
        "PUT", one, "put", f"Create or replace a {name}.", kind,
        body=name, answer=name, success=(200, 201), refusals=_WRITE,
    )  # fmt: skip
    yield Route(
        "DELETE", one, "delete", f"Delete a {name}.", kind, answer="Applied",
        refusals=(404, 409, 422),
    )  # fmt: skip


_FIXED = (
    Route(
        "POST", "/v1/apply", "apply", "Write and delete many objects in one transaction, or none.",
        body="Apply", answer="Applied", refusals=(404, *_WRITE),
    ),
    Route(
        "GET", "/v1/revisions", "revisions", "The journal of transactions, newest first.",
        query=(
            Query("limit", "integer", "At most this many, 1 to 1000; 100 by default."),
            Query("before", "integer", "Only revisions below this one."),
        ),
        answer="RevisionList",
    ),
    Route("GET", "/v1/status", "status", "Counts per kind, hosts, and what is not ready.",
          answer="Summary"),
    Route("GET", "/v1/topology", "topology", "The graph: hosts, and links in each direction.",
          answer="Topology"),
    Route("GET", "/v1/snapshot", "snapshot", "Everything stored, at one instant.",
          answer="Snapshot"),
    Route("POST", "/v1/inject", "inject",
          "Inject a marked packet where an endpoint sends, and say which bridges saw it.",
          body="Injection", answer="Injected", refusals=(404, 409, 413, 415, 422)),
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
