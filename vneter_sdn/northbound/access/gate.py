# SPDX-License-Identifier: Apache-2.0
"""What is asked of a request before its body is read: who sent it, and by which name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from vneter_sdn.errors import StoreUnavailable, Throttled, Unauthenticated
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper, until_of
from vneter_sdn.northbound.access.identity import Identity
from vneter_sdn.northbound.access.needs import NEEDS
from vneter_sdn.northbound.routes import ROUTES
from vneter_sdn.northbound.wire.connection import Gate
from vneter_sdn.northbound.wire.gateway import CERTIFICATE, VALID, Environ
from vneter_sdn.northbound.wire.heads import Refusal

IDENTITY = "vneter.identity"
"""In the environment: the `Identity` of whoever asks."""
CHALLENGE = 'Bearer realm="vneter"'
_OPEN = tuple(
    route.path for route in ROUTES if NEEDS.get(route.operation, NEEDS["audit"]).scope == "open"
)
_EXACT = frozenset(path for path in _OPEN if "{" not in path)
_BELOW = tuple(path.partition("{")[0] for path in _OPEN if "{" in path)


def gate_of(doorkeeper: Doorkeeper) -> Gate:
    """A gate that only lets pass whom the doorkeeper knows, and everybody to what is open."""

    def gate(environ: Environ) -> None:
        try:
            identity = welcome(doorkeeper, environ)
        except Throttled as error:
            doorkeeper.turned_away(environ, str(error))
            wait = [("Retry-After", str(math.ceil(error.retry_after)))]
            raise Refusal(429, str(error), wait) from None
        except Unauthenticated as error:
            doorkeeper.turned_away(environ, str(error))
            raise Refusal(401, str(error), [("WWW-Authenticate", CHALLENGE)]) from None
        except StoreUnavailable as error:
            raise Refusal(503, str(error), [("Retry-After", "1")]) from None
        environ[IDENTITY] = identity
        environ[VALID] = _still(doorkeeper, environ, identity)

    return gate


def welcome(doorkeeper: Doorkeeper, environ: Environ) -> Identity:
    """Who asks, if they may ask for this path at all.

    Raises:
        Unauthenticated: they may not before they say who they are.
    """
    identity = doorkeeper.identify(environ)
    open_to_all = is_open(environ.get("PATH_INFO", "")) and not _sends(environ)
    if identity.via == "nobody" and not open_to_all:
        raise Unauthenticated("say who you are: Authorization: Bearer TOKEN, or a certificate")
    return identity


def _sends(environ: Environ) -> bool:
    """Whether a request has a body; of nobody none is read."""
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    return chunked or environ.get("CONTENT_LENGTH", "0").strip("0") != ""


def is_open(path: str) -> bool:
    """Whether everybody may read what is at a path."""
    return path in _EXACT or path.startswith(_BELOW)


def _still(doorkeeper: Doorkeeper, environ: Environ, identity: Identity) -> Callable[[], bool]:
    until = until_of(environ.get(CERTIFICATE)) if identity.via == "certificate" else None

    def still() -> bool:
        return doorkeeper.still(identity, until)

    return still


def foreign_name(environ: Mapping[str, str]) -> str:
    """Why a request may come from a web page elsewhere; empty when it does not.

    A page whose name was rebound to 127.0.0.1 reaches this server from a browser on this machine,
    but its requests still carry the page's own name (DNS rebinding); one that just asks a server
    on loopback carries it as Origin.
    """
    host = environ.get("HTTP_HOST", "localhost")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if not _is_loopback(name):
        return "the Host header must name this machine's loopback"
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not _is_loopback(_host_of(origin)):
        return "web pages of other origins may not ask for anything"
    return ""


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
