# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 description of the REST server, from its routes and schemas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from vneter_sdn import __version__
from vneter_sdn.northbound.access.needs import NEEDS
from vneter_sdn.northbound.routes import EVENT_STREAM, LARGEST, ROUTES, Header, Query, Route
from vneter_sdn.northbound.schemas import components

_EVERYWHERE = (400, 401, 403, 405, 408, 429, 431, 500, 503)
_MEANINGS = {
    200: "Done.",
    201: "Created.",
    304: "It is as it was.",
    400: "The request is malformed.",
    401: "No credential, or one that is not accepted.",
    403: "Whoever asks may not do that.",
    404: "There is no such object.",
    405: "The path has no such method.",
    408: "The request takes too long to arrive; the connection is closed.",
    409: "It changed since it was read.",
    410: "What it goes on from is not kept any more; begin anew.",
    412: "The object is not as If-Match or If-None-Match says.",
    413: "The body is larger than 8 MiB; the connection is closed.",
    415: "The body is of another media type, or compressed.",
    422: "The intent is not acceptable; nothing was changed.",
    429: "Too many requests; Retry-After says when to ask again.",
    431: "The request's headers are larger than 16 KiB, or more than 100.",
    500: "A fault of the server's own.",
    503: "The database or the core cannot be reached, or the server is busy.",
}
_DESCRIPTION = """\
What is wanted is written, what there is is read. Every object has a kind, metadata and a spec; its
status is what the controller reports, and is ignored in requests.

Lists are sorted by tenant and name, and come in pages of one instant: limit, then continue. A watch
since metadata.position of a list (or since the id of an event) misses nothing and repeats nothing.

Writes are transactions: all or nothing. If-Match with the ETag of what was read keeps others'
changes (412); Idempotency-Key makes a repeated request harmless; dryRun=true writes nothing.

Whatever is refused is answered with a problem (RFC 9457): errors names each field at fault, and
pointer (RFC 6901) leads to it in the request.

Each path answers in one media type, and in application/problem+json what it refuses, whatever
Accept says; what it answers is not compressed.

Local users are administrators, unless the server was told otherwise; everybody else shows a token
or a certificate.
"""
_HEADERS = {
    "Accept-Encoding": "identity: bodies are not unpacked.",
    "Accept-Patch": "Media types of patches.",
    "Accept-Post": "Media types of bodies.",
    "Allow": "Methods of the path.",
    "Cache-Control": "no-store.",
    "Content-Security-Policy": "What the page may load and ask: this server, nothing else.",
    "ETag": "State of the object. Absent of a dry run.",
    "Idempotency-Replayed": "true: it was done before, and is answered so.",
    "Location": "Path of the object. Absent of a dry run.",
    "Referrer-Policy": "no-referrer.",
    "Retry-After": "Seconds after which to ask again.",
    "Server-Timing": "proof;dur=…: milliseconds that the proof of the change took.",
    "WWW-Authenticate": "Bearer.",
    "Warning": "299: something to know about a change that was made.",
    "X-Accel-Buffering": "no: proxies pass each event on at once.",
    "X-Content-Type-Options": "nosniff.",
}
_ALWAYS = ("Cache-Control", "X-Content-Type-Options")
_OF_PROBLEMS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept-Encoding", "Accept-Patch", "Accept-Post"),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_CREDENTIALS: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "Of vneterctl token create."},
    "certificate": {"type": "mutualTLS", "description": "One that something was granted to."},
}
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"certificate": []}, {}]
"""Any of these; the last is none at all, for local users."""


@cache
def document() -> dict[str, Any]:
    """The whole description. Treat it as read only: it is built once."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        item = paths.setdefault(route.path, {})
        names = re.findall(r"{(\w+)}", route.path)
        if names:
            item["parameters"] = [_path_parameter(name) for name in names]
        item[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vneter",
            "version": __version__,
            "summary": "Declare tenants, networks and endpoints; see their state.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this description is served."}],
        "paths": paths,
        "components": {
            "schemas": components(),
            "responses": {str(code): _problem(code) for code in _MEANINGS if code >= 400},
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": _CREDENTIALS,
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    refusals = sorted({*_EVERYWHERE, *route.refusals})
    responses = {str(code): _answer(route, code) for code in route.success}
    responses |= {str(code): {"$ref": f"#/components/responses/{code}"} for code in refusals}
    operation: dict[str, Any] = {
        "operationId": route.identity,
        "summary": route.summary,
        "tags": [route.kind.name if route.kind else "Server"],
        "responses": responses,
        "security": [] if NEEDS[route.operation].scope == "open" else _SECURITY,
    }
    parameters = [_query_parameter(query) for query in route.query]
    parameters += [_header_parameter(header) for header in route.headers]
    if parameters:
        operation["parameters"] = parameters
    bodies = route.bodies or ((("application/json", route.body),) if route.body else ())
    if bodies:
        content = {media: {"schema": _ref(schema)} for media, schema in bodies}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(route: Route, code: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _MEANINGS[code]}
    if code != 304:
        schema = _ref(route.answer) if route.answer else {}
        names = [one.split(";")[0].strip() for one in route.media.split(",")]
        answer["content"] = {name: {"schema": schema} for name in names}
    return answer | {"headers": _headers(_names(route, code))}


def _names(route: Route, code: int) -> list[str]:
    """The headers that an answer may have, beside those of every message."""
    names = list(_ALWAYS)
    writes = any(header.name == "Idempotency-Key" for header in route.headers)
    if route.kind and route.answer == route.kind.name:
        names += ["ETag", "Warning", "Server-Timing"] if writes else ["ETag"]
    names += ["Location"] if code == 201 and route.kind else []
    names += ["Idempotency-Replayed"] if writes else []
    names += ["X-Accel-Buffering"] if route.media == EVENT_STREAM else []
    page = route.operation in {"docs", "docsAsset"}
    return names + (["Content-Security-Policy", "Referrer-Policy"] if page else [])


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem(code: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _ref("ProblemDetails")}}
    headers = _headers((*_ALWAYS, *_OF_PROBLEMS.get(code, ())))
    return {"description": _MEANINGS[code], "content": content, "headers": headers}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameter(query: Query) -> dict[str, Any]:
    bounds = {}
    if query.type in {"integer", "number"}:
        bounds["minimum"] = -LARGEST if query.least is None else query.least
        bounds["maximum"] = LARGEST if query.most is None else query.most
    return {
        "name": query.name,
        "in": "query",
        "description": query.description,
        "schema": {"type": query.type} | bounds,
    } | ({"required": True} if query.required else {})


def _header_parameter(header: Header) -> dict[str, Any]:
    return {
        "name": header.name,
        "in": "header",
        "description": header.description,
        "schema": {"type": "string"} | ({"pattern": header.pattern} if header.pattern else {}),
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
