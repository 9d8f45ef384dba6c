# SPDX-License-Identifier: Apache-2.0
"""What a request says: its body, its query, its author. Every refusal is a 4xx problem."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from flask import g, request
from werkzeug.exceptions import BadRequest, Forbidden, UnsupportedMediaType

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model import jsontext
from vneter_sdn.northbound.routes import Query, Route

ANONYMOUS = "anonymous@loopback"
"""Author of a change whose request names none."""
_MAX_AUTHOR = 256
_MOST = 2**53
_BOOLEANS = {"true": True, "false": False}


class Malformed(BadRequest):
    """The request cannot be understood; carries the problems of its parts."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def body() -> Any:
    """The JSON value of the request body.

    Raises:
        Malformed: it is not strict JSON.
        UnsupportedMediaType: it is not called ``application/json``, or it is compressed.
        RequestEntityTooLarge: it is longer than the server reads; none of it was read.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("send the body as application/json, in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body uncompressed")
    try:
        return jsontext.parse(request.get_data(cache=False))
    except IntentError as error:
        raise Malformed(*error.problems) from None


def query(route: Route) -> dict[str, Any]:
    """The query parameters a route takes, converted; those not given are absent.

    Raises:
        Malformed: one is unknown, repeated or of the wrong type. A misspelt selector must not
            select everything.
    """
    known = {parameter.name: parameter for parameter in route.query}
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if name not in known:
            raise refused(name, "UnknownParameter", f"no such parameter; known: {_names(known)}")
        if len(given) > 1:
            raise refused(name, "Duplicate", "given more than once")
        values[name] = _converted(known[name], given[0])
    return values


def author() -> str:
    """Who asks for a change, as they say."""
    given = request.headers.get("X-Vneter-Author", "").strip()
    if not given:
        return ANONYMOUS
    if len(given) > _MAX_AUTHOR or not given.isprintable():
        message = f"must be printable and at most {_MAX_AUTHOR} characters"
        raise Malformed(Problem("request", "X-Vneter-Author", "InvalidHeader", message))
    return given


def require_loopback_name() -> None:
    """Refuse a Host header that does not name loopback.

    A web page whose name was rebound to 127.0.0.1 reaches this server from a browser on this
    machine, but its requests still carry the page's own name (DNS rebinding).
    """
    host = request.headers.get("Host", "localhost")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() == "localhost":
        return
    try:
        loopback = ip_address(name.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Forbidden("the Host header must name this machine's loopback")


def place(places: Mapping[str, str]) -> None:
    """Remember where in the request body each object stands, for the pointers of problems."""
    g.places = dict(places)


def places() -> Mapping[str, str]:
    """What `place` remembered."""
    remembered: Mapping[str, str] = g.get("places", {})
    return remembered


def _converted(parameter: Query, text: str) -> Any:
    try:
        if parameter.type == "integer":
            return _within(parameter, int(text))
        if parameter.type == "number":
            return _within(parameter, float(text))
        if parameter.type == "boolean":
            return _BOOLEANS[text]
    except (KeyError, ValueError):
        reason, message = "WrongType", f"expected {parameter.type}, got {text[:40]!r}"
        raise refused(parameter.name, reason, message) from None
    return text


def _within(parameter: Query, number: float) -> float:
    least = -_MOST if parameter.least is None else parameter.least
    most = _MOST if parameter.most is None else parameter.most
    if not least <= number <= most:
        message = f"from {least} to {most}"
        raise refused(parameter.name, "OutOfRange", message)
    return number


def refused(name: str, reason: str, message: str) -> Malformed:
    """The refusal of one query parameter."""
    return Malformed(Problem("query", name, reason, message))


def _names(known: Mapping[str, Query]) -> str:
    return ", ".join(known) or "none"
