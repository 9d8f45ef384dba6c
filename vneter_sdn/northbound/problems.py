# SPDX-License-Identifier: Apache-2.0
"""Errors on the wire: problem details (RFC 9457), written by the server and read by the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vneter_sdn.errors import (
    Conflict,
    Forbidden,
    Gone,
    IntentError,
    NotFound,
    Problem,
    Stale,
    StoreUnavailable,
    Throttled,
    Unauthenticated,
    VneterError,
)
from vneter_sdn.model.fieldpaths import pointer

MEDIA_TYPE = "application/problem+json"
_NO_BODY = frozenset({"query", "header"})
"""What problems are of that stand nowhere in the body."""
_URN = "urn:vneter:problem:"


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of failure: its status, its name in ``type``, and its title."""

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """The URI of RFC 9457's ``type``."""
        return _URN + self.name


_BY_ERROR: tuple[tuple[type[VneterError], Sort], ...] = (
    (IntentError, Sort(422, "intent-refused", "The intent is not acceptable")),
    (Stale, Sort(412, "precondition-failed", "It is not as the precondition says")),
    (Gone, Sort(410, "gone", "That is not kept any more")),
    (Throttled, Sort(429, "throttled", "Too many requests")),
    (Unauthenticated, Sort(401, "unauthenticated", "The server does not know who asks")),
    (Forbidden, Sort(403, "forbidden", "Whoever asks may not do that")),
    (Conflict, Sort(409, "conflict", "Somebody else changed it first")),
    (NotFound, Sort(404, "not-found", "There is no such object")),
    (
        StoreUnavailable,
        Sort(503, "store-unavailable", "The database or the core cannot be reached"),
    ),
)
_BY_STATUS: dict[int, Sort] = {
    sort.status: sort
    for sort in (
        Sort(400, "malformed", "The request is malformed"),
        Sort(401, "unauthenticated", "The server does not know who asks"),
        Sort(403, "forbidden", "Whoever asks may not do that"),
        Sort(408, "too-slow", "The request takes too long to arrive"),
        Sort(404, "no-such-path", "There is no such path"),
        Sort(405, "method-not-allowed", "The path has no such method"),
        Sort(413, "too-large", "The request body is too large"),
        Sort(415, "unsupported-media-type", "The body is of a media type that is not taken here"),
        Sort(431, "headers-too-large", "The request's headers are too large"),
        Sort(500, "internal", "The server failed"),
        Sort(429, "throttled", "Too many requests"),
        Sort(503, "busy", "The server is busy"),
        Sort(501, "not-implemented", "The server does not do that"),
        Sort(505, "version-not-spoken", "The server speaks another version of HTTP"),
    )
}


def sort_of(error: VneterError) -> Sort:
    """How an error of this package is reported; one without a sort is the server's own fault."""
    for cls, sort in _BY_ERROR:
        if isinstance(error, cls):
            return sort
    return _BY_STATUS[500]


def sort_of_status(status: int) -> Sort:
    """How a bare HTTP status is reported."""
    return _BY_STATUS.get(status, Sort(status, f"http-{status}", "The request failed"))


def details(
    sort: Sort, detail: str, instance: str, errors: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """The JSON of one failure."""
    return {
        "type": sort.type,
        "title": sort.title,
        "status": sort.status,
        "detail": detail,
        "instance": instance,
        "errors": list(errors),
    }


def field_errors(
    problems: Sequence[Problem], places: Mapping[str, str] | None = None
) -> list[dict[str, str]]:
    """Problems as JSON.

    Args:
        problems: what is wrong.
        places: where in the request body each object stands, as a JSON pointer by its name.
    """
    places = places or {}
    return [
        {
            "object": problem.object,
            "field": problem.field,
            "reason": problem.reason,
            "message": problem.message,
            "pointer": _place(problem, places),
        }
        for problem in problems
    ]


def _place(problem: Problem, places: Mapping[str, str]) -> str:
    if problem.pointer is not None:
        return problem.pointer
    if problem.object in _NO_BODY or problem.field == "idempotencyKey":
        return ""
    return places.get(problem.object, "") + pointer(problem.field)


def error_from(status: int, document: Mapping[str, Any]) -> VneterError:
    """The error that a server's answer stands for; the client raises it."""
    detail = str(document.get("detail") or document.get("title") or f"HTTP status {status}")
    for cls, sort in _BY_ERROR:
        if cls is not IntentError and sort.status == status:
            return cls(detail)
    problems = tuple(
        Problem(*(str(error.get(name, "")) for name in ("object", "field", "reason", "message")))
        for error in document.get("errors") or ()
        if isinstance(error, Mapping)
    )
    if status >= 500:
        return VneterError(f"{detail} ({document.get('instance', status)})")
    return IntentError(*(problems or (Problem("request", "", _reason(status), detail),)))


def _reason(status: int) -> str:
    return "".join(word.title() for word in sort_of_status(status).name.split("-"))
