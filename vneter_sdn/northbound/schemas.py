# SPDX-License-Identifier: Apache-2.0
"""JSON Schema (2020-12) of everything that crosses the REST server, from the Structs."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from vneter_sdn.model.kinds import API_VERSION, KINDS, Kind, Metadata
from vneter_sdn.northbound import patches
from vneter_sdn.northbound.access.documents import DOCUMENTS
from vneter_sdn.northbound.change_documents import (
    Difference,
    Operation,
    Reference,
    Version,
    WatchEvent,
)

_REF = "#/components/schemas/"


MOST_OBJECTS = 50_000
"""Objects that one transaction writes, at most; and that it deletes."""


class Apply(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Many changes in one transaction: all are made, or none."""

    objects: Annotated[
        list[Any],
        Meta(
            description="Manifests to create or replace: of these kinds, or of Kubernetes.",
            max_length=MOST_OBJECTS,
        ),
    ] = []
    delete: Annotated[
        list[Reference], Meta(description="Objects to delete.", max_length=MOST_OBJECTS)
    ] = []
    message: Annotated[str, Meta(max_length=1024, description="Why, for the journal.")] = ""
    dry_run: Annotated[bool, Meta(description="Check everything, write nothing.")] = False


class Applied(Struct, frozen=True, kw_only=True):
    """What one transaction did."""

    revision: Annotated[int, Meta(description="The store's revision after it.")]
    created: list[Reference] = []
    updated: list[Reference] = []
    deleted: list[Reference] = []
    unchanged: list[Reference] = []
    diff: Annotated[
        list[Difference], Meta(description="Of a dry run: what would become of each object.")
    ] = []
    notes: Annotated[
        list[str],
        Meta(
            description="What was left out of, or added to, foreign manifests; and what is wrong "
            "with it although it was done."
        ),
    ] = []
    proven: Annotated[
        float | None, Meta(description="Seconds that it took to prove it; absent where not asked.")
    ] = None


class Condition(Struct, frozen=True, kw_only=True):
    """One aspect of an object's state."""

    type: str
    status: Annotated[str, Meta(description="True, False or Unknown.")]
    reason: Annotated[str, Meta(description="CamelCase word for programs.")]
    message: str = ""
    changed: Annotated[str, Meta(description="RFC 3339 time of the last change.")] = ""


class FieldProblem(Struct, frozen=True, kw_only=True):
    """One thing wrong with one field of one object."""

    object: str
    field: Annotated[str, Meta(description="Path of the field: spec.prefixes[0].")]
    reason: Annotated[str, Meta(description="CamelCase word for programs.")]
    message: str
    pointer: Annotated[
        str,
        Meta(
            description="The field in the request body (RFC 6901); empty for the whole, and for "
            "what stands in a header or in the query."
        ),
    ] = ""


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """Why a request failed (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] = []


class Revision(Struct, frozen=True, kw_only=True):
    """One transaction of the journal."""

    number: int
    author: str
    time: str
    message: str = ""
    changes: list[str] = []
    digest: Annotated[
        str, Meta(description="SHA-256 over the digest before and all of this revision.")
    ] = ""


class RevisionDetail(Revision, frozen=True, kw_only=True):
    """One transaction with all that it changed."""

    position: Annotated[int, Meta(description="In the chain of digests: 1, 2, 3…")]
    previous: Annotated[str, Meta(description="Digest of the revision before.")]
    diff: list[Difference]


class Rollback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How to go back to a revision."""

    message: Annotated[str, Meta(max_length=1024, description="Why, for the journal.")] = ""
    dry_run: Annotated[bool, Meta(description="Check everything, write nothing.")] = False


class Verification(Struct, frozen=True, kw_only=True):
    """Whether a chain of digests is whole."""

    chain: Annotated[str, Meta(description="revisions or audit.")]
    entries: Annotated[int, Meta(description="That were looked at.")]
    pruned: Annotated[int, Meta(description="Entries before the oldest that is kept.")]
    head: Annotated[str, Meta(description="Digest of the newest entry.")]
    broken: Annotated[
        int | None, Meta(description="The first entry that is not as it was; null when none is.")
    ] = None
    reason: Annotated[str, Meta(description="What is wrong there.")] = ""


class RevisionList(Struct, frozen=True, kw_only=True):
    """The journal, newest first."""

    items: list[Revision]


class Tally(Struct, frozen=True, kw_only=True, rename="camel"):
    """Objects of one kind, counted."""

    total: int
    ready: int
    not_ready: Annotated[int, Meta(description="Those not yet reported included.")]


class NotReady(Struct, frozen=True, kw_only=True):
    """An object that is not ready, and why."""

    object: Reference
    status: str
    reason: str
    message: str
    since: Annotated[str, Meta(description="When that began, or when the object was made.")]


class TunnelTally(Struct, frozen=True, kw_only=True):
    """Tunnels of one host, counted."""

    up: Annotated[int, Meta(description="Those whose BFD session is up, of hosts heard of.")]
    total: int


class HostSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """How one host is."""

    name: str
    ready: Annotated[str, Meta(description="True, False or Unknown.")]
    database: Annotated[str, Meta(description="Reason of DatabaseConnected.")]
    openflow: Annotated[str, Meta(description="Reason of OpenFlowConnected: OpenFlow15.")]
    in_sync: Annotated[str, Meta(description="True, False or Unknown.")]
    tunnels: TunnelTally
    flows: Annotated[int, Meta(description="Flows desired on its bridge.")]


class FleetTally(Struct, frozen=True, kw_only=True, rename="camel"):
    """All hosts, counted."""

    hosts: int
    ready: int
    in_sync: Annotated[int, Meta(description="Whose bridges hold exactly what they should.")]
    tunnels: TunnelTally


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of everything, on one screen."""

    version: str
    revision: int
    last_change: Revision | None
    core: Annotated[
        bool | None, Meta(description="Whether the core process lives; null when unknown.")
    ]
    kinds: dict[str, Tally]
    fleet: FleetTally
    hosts: Annotated[list[HostSummary], Meta(description="At most 100, those amiss first.")]
    hosts_omitted: Annotated[int, Meta(description="How many more there are.")]
    not_ready: Annotated[
        list[NotReady], Meta(description="At most 100, those that wait longest first.")
    ]
    not_ready_omitted: Annotated[int, Meta(description="How many more there are.")]
    links_down: Annotated[list[NotReady], Meta(description="By their Up; at most 100.")]
    links_down_omitted: Annotated[int, Meta(description="How many more there are.")]


class TopologyVertex(Struct, frozen=True, kw_only=True, rename="camel"):
    """A host's bridge in the graph."""

    host: str
    bridge: Annotated[int, Meta(description="Bridge id.")]
    addresses: Annotated[list[str], Meta(description="Of tunnels, the preferred first.")]
    encapsulation: str
    site: str
    region: str
    tags: list[str]
    drained: bool


class TopologyEdge(Struct, frozen=True, kw_only=True, rename="camel"):
    """One direction of a link. What is not known is null."""

    name: Annotated[str, Meta(description="h1>h2, h1#1>h2#1, s1:eth1>s2:eth2.")]
    reverse: Annotated[str, Meta(description="Name of the edge the other way.")]
    link: Annotated[str, Meta(description="Name of the link, both directions, when not declared.")]
    source: str
    target: str
    medium: Annotated[str, Meta(description="tunnel or wire.")]
    cost: int
    latency: Annotated[float | None, Meta(description="One way, in milliseconds.")]
    loss: Annotated[float, Meta(description="0 to 1.")]
    loss_declared: Annotated[bool, Meta(description="Whether loss is declared, not measured.")]
    capacity: Annotated[float | None, Meta(description="Mbit/s.")]
    reserved: Annotated[float, Meta(description="Mbit/s that reservations hold.")]
    residual: Annotated[float | None, Meta(description="Mbit/s that reservations leave.")]
    utilisation: Annotated[float | None, Meta(description="Share of the capacity, 0 to 1.")]
    price: Annotated[float, Meta(description="Per gigabyte.")]
    mtu: int | None
    encrypted: bool
    tags: list[str]
    risks: Annotated[list[str], Meta(description="Shared-risk groups.")]
    encapsulation: str
    local_ip: str
    remote_ip: str
    port: Annotated[str, Meta(description="Interface at the source.")]
    disabled: bool
    drained: bool
    up: bool
    usable: Annotated[bool, Meta(description="Up and not disabled.")]


class Topology(Struct, frozen=True, kw_only=True):
    """The graph that paths are computed on."""

    revision: int
    vertices: list[TopologyVertex]
    edges: list[TopologyEdge]


class Injection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A packet to inject where an endpoint sends, as the first of a connection."""

    tenant: str
    source: Annotated[str, Meta(description="The endpoint that sends.")]
    target: Annotated[str, Meta(description="The endpoint that it is for.")]
    target_tenant: Annotated[str, Meta(description="Where that is another tenant's.")] = ""
    protocol: Literal["tcp", "udp", "sctp", "icmp"]
    port: Annotated[int, Meta(ge=0, le=65535, description="Unless it is an echo request.")] = 0
    six: Annotated[bool, Meta(description="By IPv6.")] = False
    hosts: Annotated[
        list[str],
        Meta(description="Whose bridges to look at first; at most 64 are.", max_length=1000),
    ] = []


class Sighted(Struct, frozen=True, kw_only=True):
    """An injected packet came to a table."""

    host: str
    port: Annotated[int, Meta(description="By which it came into the bridge.")]
    table: str
    place: Annotated[int, Meta(description="How many tables it had come to here by then.")]
    fields: Annotated[dict[str, str], Meta(description="Registers and tracking, and eth_dst.")]


class Injected(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an injected packet was seen."""

    packet: Annotated[str, Meta(description="As ofproto/trace takes it.")]
    source_port: int
    dscp: Annotated[int, Meta(description="Its mark.")]
    revision: Annotated[int, Meta(description="Of the intent that it was made from.")]
    host: Annotated[str, Meta(description="Where it was injected.")]
    port: int
    looked: Annotated[list[str], Meta(description="Hosts whose bridges reported.")]
    unlooked: Annotated[dict[str, str], Meta(description="Why the bridges of others did not.")]
    seen: Annotated[list[Sighted], Meta(description="In the order in which that was heard.")]


class Health(Struct, frozen=True, kw_only=True):
    """Whether the server can do its work."""

    status: Annotated[str, Meta(description="ok, or what is wrong.")]
    revision: int | None = None
    core: bool | None = None


_ENVELOPES = (
    Metadata, Reference, Apply, Version, Difference, Operation, Applied, Condition, FieldProblem,
    ProblemDetails,
    WatchEvent, Revision, RevisionDetail, RevisionList, Rollback, Verification,
    Tally, NotReady, TunnelTally, HostSummary, Summary, Health,
    TopologyVertex, TopologyEdge, Topology, Injection, Sighted, Injected,
    *DOCUMENTS,
)  # fmt: skip


@cache
def components() -> dict[str, Any]:
    """Every schema by name: for each kind its manifest, its spec and its list, and the envelopes.

    Treat it as read only: it is built once.
    """
    specs = [kind.spec for kind in KINDS.values()]
    _, found = msgspec.json.schema_components([*specs, *_ENVELOPES], ref_template=_REF + "{name}")
    schemas: dict[str, Any] = dict(found)
    for kind in KINDS.values():
        schemas[kind.name] = _manifest(kind)
        schemas[f"{kind.name}List"] = _list(kind)
    schemas["Status"] = _status()
    schemas["ServerSentEvent"] = _server_sent()
    schemas["JsonPatch"] = {
        "title": "JsonPatch",
        "description": "Operations, done in order, all or none (RFC 6902).",
        "type": "array",
        "maxItems": patches.MOST_OPERATIONS,
        "items": _ref("Operation"),
    }
    schemas["MergePatch"] = {
        "title": "MergePatch",
        "description": "Members replace those of the manifest; null takes out (RFC 7396).",
        "type": "object",
    }
    schemas["Snapshot"] = _snapshot()
    return dict(sorted(schemas.items()))


def manifest_schema(kind: Kind) -> dict[str, Any]:
    """A JSON Schema of one kind's manifest that stands alone."""
    schemas = components()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schemas[kind.name],
        "components": {"schemas": schemas},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF + name}


def _manifest(kind: Kind) -> dict[str, Any]:
    schemas: dict[str, Any] = {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": kind.name},
        "metadata": _ref("Metadata"),
        "spec": _ref(kind.spec.__name__),
        "status": _ref("Status"),
    }
    return {
        "title": kind.name,
        "description": (kind.spec.__doc__ or "").strip(),
        "type": "object",
        "properties": schemas,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def _list(kind: Kind) -> dict[str, Any]:
    return {
        "title": f"{kind.name}List",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": f"{kind.name}List"},
            "metadata": {
                "type": "object",
                "properties": {
                    "revision": {"type": "integer"},
                    "position": {
                        "type": "string",
                        "description": "A watch since here misses nothing, and repeats nothing.",
                    },
                    "continue": {
                        "type": "string",
                        "description": "Asks for the next page; absent on the last.",
                    },
                },
                "required": ["revision", "position"],
            },
            "items": {"type": "array", "items": _ref(kind.name)},
        },
        "required": ["apiVersion", "kind", "metadata", "items"],
    }


def _status() -> dict[str, Any]:
    return {
        "title": "Status",
        "description": "What the controller reports; ignored in requests.",
        "type": "object",
        "properties": {
            "observedRevision": {"type": "integer"},
            "conditions": {"type": "array", "items": _ref("Condition")},
        },
    }


def _server_sent() -> dict[str, Any]:
    text = {"type": "string"}
    data = {**text, "contentMediaType": "application/json", "contentSchema": _ref("WatchEvent")}
    return {
        "title": "ServerSentEvent",
        "description": "One event of the stream, by the names of its lines.",
        "type": "object",
        "properties": {"id": text, "event": text, "data": data},
        "required": ["event", "data"],
    }


def _snapshot() -> dict[str, Any]:
    plain = {"type": "array", "items": {"type": "object"}}
    parts = ("objects", "allocations", "bindings", "statuses")
    return {
        "title": "Snapshot",
        "description": "Everything stored, for a fresh compilation elsewhere.",
        "type": "object",
        "properties": {"revision": {"type": "integer"}} | dict.fromkeys(parts, plain),
        "required": ["revision", *parts],
    }
