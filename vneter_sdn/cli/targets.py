# SPDX-License-Identifier: Apache-2.0
"""Which server, and which object, a command line means."""

from __future__ import annotations

import getpass
import re
import socket

from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client import Client
from vneter_sdn.errors import IntentError
from vneter_sdn.model.kinds import KINDS, Kind
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.resources import find_kind

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}


def connect(server: str) -> Client:
    """A client that signs its changes with the user's name and machine."""
    try:
        author = f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # no such user in this container
        author = ""
    try:
        return Client(server, author=author)
    except IntentError as error:
        raise Usage(error.problems[0].message, "give --server or set VNETER_SERVER") from None


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
    return float(found[1]) * _UNITS[found[2]]


def known_kinds() -> tuple[Kind, ...]:
    """Every kind, in the order in which they refer to each other."""
    return tuple(KINDS.values())
