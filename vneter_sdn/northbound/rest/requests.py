# SPDX-License-Identifier: Apache-2.0
"""What a request says: its body, its query, its author. Every refusal is a 4xx problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from flask import g, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from vneter_sdn.admission.manifest import converted
from vneter_sdn.errors import Forbidden, IntentError, Problem, Stale, Unauthenticated
from vneter_sdn.model import jsontext
from vneter_sdn.model.advice import advice
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access.authorise import allowed, may
from vneter_sdn.northbound.access.gate import foreign_name
from vneter_sdn.northbound.access.identity import Identity
from vneter_sdn.northbound.routes import LARGEST, Query, Route

_Read = TypeVar("_Read")
HEADER, QUERY = "header", "query"
"""What problems of headers and of query parameters are said to be of."""
_MAX_AUTHOR = 256
_MAX_KEY = 128
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class Malformed(BadRequest):
    """The request cannot be understood; carries the problems of its parts."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class NotAccepted(UnsupportedMediaType):
    """The body is called, or packed, as this path does not take it."""

    def __init__(self, *media: str) -> None:
        super().__init__(f"send the body as {' or '.join(media)}, in UTF-8, uncompressed")
        self._accepted = ", ".join(media)

    def get_headers(self, *given: Any, **named: Any) -> list[tuple[str, str]]:
        """With what would be taken (RFC 9110 §12.5.1, RFC 5789 §3.1)."""
        name = "Accept-Patch" if request.method == "PATCH" else "Accept-Post"
        told = [] if request.method == "PUT" else [(name, self._accepted)]
        if "Content-Encoding" in request.headers:  # RFC 9110 §12.5.3
            told.append(("Accept-Encoding", "identity"))
        return [*super().get_headers(*given, **named), *told]


def body(*media: str) -> Any:
    """The JSON value of the request body.

    Args:
        media: what it may be called; ``application/json`` where nothing is given.

    Raises:
        Malformed: it is not strict JSON.
        NotAccepted: it is called otherwise, or it is compressed.
        RequestEntityTooLarge: it is longer than the server reads; none of it was read.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    media = media or ("application/json",)
    packed = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if packed or request.mimetype not in media or charset not in {"utf-8", "utf8"}:
        raise NotAccepted(*media)
    try:
        return jsontext.parse(request.get_data(cache=False))
    except IntentError as error:
        raise Malformed(*error.problems) from None


def read(value: Any, type_: type[_Read], name: str = "request") -> _Read:
    """The body as a Struct.

    Raises:
        IntentError: with every field that is wrong.
    """
    found, problems = converted(value, type_, "", name)
    if problems:
        raise IntentError(*problems)
    return cast("_Read", found)


def query(route: Route) -> dict[str, Any]:
    """The query parameters a route takes, converted; those not given are absent.

    Raises:
        Malformed: one is unknown, repeated, of the wrong type, or missing. A misspelt selector
            must not select everything.
    """
    known = {parameter.name: parameter for parameter in route.query}
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if name not in known:
            raise refused(name, "UnknownParameter", f"no such parameter; {_known(name, known)}")
        if len(given) > 1:
            raise refused(name, "Duplicate", "given more than once")
        values[name] = _converted(known[name], given[0])
    for name, parameter in known.items():
        if parameter.required and name not in values:
            raise refused(name, "Missing", "this path needs it")
    return values


def require_known_preconditions(route: Route) -> None:
    """Refuse If-Match and If-None-Match where they do not count: who sends one relies on it.

    Raises:
        Stale: one comes with a write of a path that has no entity tag (RFC 9110 §13.1.1).
    """
    if route.method == "GET":
        return
    known = {header.name for header in route.headers} | ({"If-None-Match"} if route.kind else set())
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers and name not in known:
            text = f"this path has no entity tag that {name} could be of"
            more = "; give each object the metadata.revision at which it must be"
            raise Stale(text + (more if "Idempotency-Key" in known else ""))


def identity() -> Identity:
    """Who asks.

    Raises:
        RuntimeError: nobody does: this is no request.
    """
    found: Identity = g.identity
    return found


def idempotency_key() -> str:
    """The key by which a repeated request is known; empty when there is none.

    Raises:
        Malformed: the header holds none. Quotes, as of a structured field, are no part of it.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return ""
    key = given[1:-1] if len(given) > 2 and given[0] == given[-1] == '"' else given
    if not 1 <= len(key) <= _MAX_KEY or not (key.isascii() and key.isprintable()):
        message = f"must be 1 to {_MAX_KEY} printable characters of ASCII"
        raise Malformed(Problem(HEADER, "Idempotency-Key", "InvalidHeader", message))
    return key


def author() -> str:
    """Who asks for a change, for the journal.

    Whoever showed a credential is called by it, and what they say of themselves is added; local
    users are believed.
    """
    given = _text(request.headers.get("X-Vneter-Author", "")).strip()
    if len(given) > _MAX_AUTHOR or not given.isprintable():
        message = f"must be printable and at most {_MAX_AUTHOR} characters"
        raise Malformed(Problem(HEADER, "X-Vneter-Author", "InvalidHeader", message))
    asking = identity()
    if asking.via != "local":
        return f"{asking.name} ({given})" if given else asking.name
    if given.startswith(("token:", "certificate:")):
        message = "is not for who showed no credential"
        raise Malformed(Problem(HEADER, "X-Vneter-Author", "InvalidHeader", message))
    return given or asking.name


def _text(given: str) -> str:
    """A header's value as UTF-8, which most send, or else as the Latin-1 that WSGI reads it as."""
    try:
        return given.encode("latin-1").decode()
    except UnicodeError:
        return given


def require_allowed(route: Route, parameters: Mapping[str, str]) -> None:
    """Refuse what whoever asks was not granted.

    Raises:
        Forbidden: so; `Unauthenticated` when they did not say who they are.
    """
    asking = identity()
    if allowed(asking, route, parameters):
        return
    if asking.via == "nobody":
        raise Unauthenticated("say who you are: Authorization: Bearer TOKEN, or a certificate")
    raise Forbidden(f"{asking.name} may not {request.method} {request.path}")


def require(verb: str, key: Key) -> None:
    """Refuse what whoever asks may not do with an object that the body names.

    Raises:
        Forbidden: so.
    """
    if not may(identity(), verb, key):
        raise Forbidden(f"{identity().name} may not {verb} {key}")


def require_own_name() -> None:
    """Refuse what a web page elsewhere may have a browser on this machine ask.

    Raises:
        Forbidden: by the Host or the Origin header; on connections that others may read or that
            need no credential.
    """
    if request.scheme == "https" and identity().via != "local":
        return
    why = foreign_name(request.environ)
    if why:
        raise Forbidden(why)


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
            return _within(parameter, int(_written(_INTEGER, text)))
        if parameter.type == "number":
            return _within(parameter, float(_written(_NUMBER, text)))
        if parameter.type == "boolean":
            return _BOOLEANS[text]
    except (KeyError, ValueError):
        reason, message = "WrongType", f"expected {parameter.type}, got {text[:40]!r}"
        raise refused(parameter.name, reason, message) from None
    return text


def _written(form: re.Pattern[str], text: str) -> str:
    """A number as JSON writes it; Python reads more than that, 1_000 and other scripts' digits."""
    if form.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _within(parameter: Query, number: float) -> float:
    least = -LARGEST if parameter.least is None else parameter.least
    most = LARGEST if parameter.most is None else parameter.most
    if not least <= number <= most:
        message = f"from {least} to {most}"
        raise refused(parameter.name, "OutOfRange", message)
    return number


def refused(name: str, reason: str, message: str) -> Malformed:
    """The refusal of one query parameter."""
    return Malformed(Problem(QUERY, name, reason, message))


def _known(name: str, known: Mapping[str, Query]) -> str:
    return advice(name, known) if known else "this path has none"
