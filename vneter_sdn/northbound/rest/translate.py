# SPDX-License-Identifier: Apache-2.0
"""The one place where errors become answers: problem details, whatever was raised."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from vneter_sdn.errors import IntentError, Problem, Throttled, Unauthenticated, VneterError
from vneter_sdn.model.advice import nearest
from vneter_sdn.northbound import problems
from vneter_sdn.northbound.access.gate import CHALLENGE
from vneter_sdn.northbound.patches import TestFailed
from vneter_sdn.northbound.problems import Sort
from vneter_sdn.northbound.rest.requests import Malformed, places
from vneter_sdn.northbound.routes import ROUTES

_LOG = logging.getLogger("vneter.api")


_SUMMED = 20
_PATHS = tuple(tuple(route.path.split("/")) for route in ROUTES)
_DETAILS = {
    404: "nothing is served at this path; GET /openapi.json lists every path",
    405: "this path has other methods, which the Allow header names",
}


def install(app: Flask) -> None:
    """Answer every error of an application with a problem."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The answer to a request that raised."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, VneterError):
        sort = problems.sort_of(error)
        if sort.status < 500 or sort.name != "internal":
            found = error.problems if isinstance(error, IntentError | TestFailed) else ()
            return _told(error, _respond(sort, _summed(found) or str(error), found))
    return _unexpected(error)


def _summed(found: Sequence[Problem]) -> str:
    """The first few problems, and how many more there are."""
    more = f"; and {len(found) - _SUMMED} more" if len(found) > _SUMMED else ""
    return "; ".join(map(str, found[:_SUMMED])) + more


def _told(error: VneterError, response: Response) -> Response:
    """With the headers that go with some errors."""
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    found = error.problems if isinstance(error, Malformed) else ()
    detail = _DETAILS.get(status) or error.description or ""
    detail += _meant(request.path) if status == 404 else ""
    response = _respond(problems.sort_of_status(status), detail, found)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _meant(path: str) -> str:
    """The path that was meant perhaps: of ``/v1/netwroks`` it is ``/v1/networks``."""
    if path.endswith("/") and len(path) > 1:
        return f"; did you mean {quote(path.rstrip('/'))}?"
    steps = path.split("/")
    place = 4 if steps[1:3] == ["v1", "tenants"] and len(steps) > 4 else 2
    names = {one[place] for one in _PATHS if len(one) > place and list(one[:2]) == steps[:2]}
    names = {name for name in names if name and not name.startswith("{")}
    if len(steps) <= place or steps[place] in names:
        return ""
    near = nearest(steps[place], sorted(names), 0.6)
    return f"; did you mean {quote('/'.join([*steps[:place], near]))}?" if near else ""


def _unexpected(error: Exception) -> Response:
    instance = uuid.uuid4().urn
    _LOG.error("%s %r failed, %s", request.method, request.path, instance, exc_info=error)
    detail = "An unexpected error; the server's log has it under the id given in instance."
    return _respond(problems.sort_of_status(500), detail, (), instance)


def _respond(sort: Sort, detail: str, found: tuple[Problem, ...], instance: str = "") -> Response:
    errors = problems.field_errors(found, places())
    document = problems.details(sort, detail, instance or quote(request.path), errors)
    return Response(msgspec.json.encode(document), sort.status, mimetype=problems.MEDIA_TYPE)
