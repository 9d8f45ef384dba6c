# SPDX-License-Identifier: Apache-2.0
"""Which server, and which object, a command line means."""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import replace

from vneter_sdn.cli.line import chosen
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client.client import Client
from vneter_sdn.client.contexts import Context, read_contexts
from vneter_sdn.client.transport import DEFAULT_SERVER, Tls
from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.model.kinds import KINDS, Kind
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.resources import find_kind

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}
_LONGEST = 100 * 366 * 86400.0


def connect(server: str = "", *, author: str = "", timeout: float = 60.0) -> Client:
    """A client of the controller that a command line means, as the user.

    Which it is: of ``--server``, ``--context``, ``VNETER_SERVER``, ``VNETER_CONTEXT`` and the
    current context the first that is said, else ``http://127.0.0.1:8181``. Credentials are those
    of the context that was named, or whose server it is, and no other's; ``VNETER_TOKEN`` goes
    before them.

    Args:
        server: ``--server``, or ``VNETER_SERVER``: a command cannot tell which.
        author: who makes changes; the user, on this machine, when empty.
        timeout: seconds to wait for an answer.

    Raises:
        Usage: there is no such context, or no such address.
    """
    context = _meant(server)
    tls = Tls(context.ca, context.certificate, context.key)
    try:
        token = os.environ.get("VNETER_TOKEN", "") or context.bearer()
        address = context.server or DEFAULT_SERVER
        return Client(address, author=author or _user(), timeout=timeout, token=token, tls=tls)
    except IntentError as error:
        raise Usage(str(error.problems[0]), _HINT) from None


_HINT = "give --server or set VNETER_SERVER, or see `vneterctl config view`"
_ENVIRONMENT = {
    "ca": "VNETER_SERVER_CA",
    "certificate": "VNETER_CLIENT_CERTIFICATE",
    "key": "VNETER_CLIENT_KEY",
}


def address(server: str = "") -> str:
    """Where `connect` connects to."""
    return _meant(server).server or DEFAULT_SERVER


def _meant(server: str) -> Context:
    """Where to connect, and with what."""
    named = chosen.get()
    if named and server == os.environ.get("VNETER_SERVER"):
        server = ""  # --context goes before the environment
    try:
        known = read_contexts()
        if server and not named:  # not to tell one controller the token of another
            current = known.contexts.get(known.current, Context())
            context = current if current.server == server else Context()
        else:
            name = named or os.environ.get("VNETER_CONTEXT", "") or known.current
            context = known.named(name) if name else Context()
    except IntentError as error:
        raise Usage(str(error.problems[0]), "it is the file of `vneterctl config`") from None
    except NotFound as error:
        hint = "`vneterctl config get-contexts` lists them, `config set-context` makes one"
        raise Usage(str(error), hint) from None
    found = {field: os.environ.get(name, "") for field, name in _ENVIRONMENT.items()}
    context = replace(context, **{field: value for field, value in found.items() if value})
    return replace(context, server=server or context.server)


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # no such user in this container
        return ""


def kind_named(word: str) -> Kind:
    """The kind a person means.

    Raises:
        Usage: there is none.
    """
    try:
        return find_kind(word)
    except IntentError as error:
        message = error.problems[0].message
        raise Usage(message, "`vneterctl kinds` lists them with their short names") from None


def key_named(kind: Kind, name: str, tenant: str = "") -> Key:
    """The key of ``tenant/name``, or of a name and a tenant given apart.

    Raises:
        Usage: the tenant is missing, given twice or not wanted.
    """
    before, slash, after = name.partition("/")
    if slash and tenant and before != tenant:
        message = f"{name!r} names another tenant than --tenant {tenant}"
        raise Usage(message, "give the tenant once")
    if slash:
        tenant, name = before, after
    if not name or "/" in name:
        raise Usage(f"{name!r} is no name", "write NAME or TENANT/NAME")
    if kind.tenanted and not tenant:
        raise Usage(
            f"objects of kind {kind.name} belong to a tenant: say which",
            f"write TENANT/{name}, or add -t TENANT",
        )
    if slash and not kind.tenanted:
        raise Usage(f"objects of kind {kind.name} belong to no tenant", f"write {name}")
    return Key(kind.name, tenant if kind.tenanted else "", name)


def seconds(text: str) -> float:
    """``90``, ``90s``, ``1.5m`` or ``1h`` in seconds.

    Raises:
        Usage: it is not a duration.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(|ms|s|m|h)", text.strip(), re.ASCII)
    if found is None:
        raise Usage(f"{text!r} is not a duration", "write 90, 90s, 5m or 1h")
    long = float(found[1]) * _UNITS[found[2]]
    if long > _LONGEST:
        raise Usage(f"{text!r} is longer than a century", "write 90, 90s, 5m or 1h")
    return long


def known_kinds() -> tuple[Kind, ...]:
    """Every kind, in the order in which they refer to each other."""
    return tuple(KINDS.values())
