# SPDX-License-Identifier: Apache-2.0
"""Names of links that were found, and what their statuses say of them.

An edge has a direction and a name that no object may have (``h1>h2``, ``s1:eth1>s2:eth2``); a link
is both directions and is read, written and typed by people (``h1-h2``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from vneter_sdn.model.kinds import LinkSpec
from vneter_sdn.model.snapshot import Object

ORIGIN = "vneter.io/origin"
"""Annotation of objects that nobody declared: how they were come by."""
INTERFACES = "vneter.io/interfaces"
"""Annotation of what was found or learned: Ethernet addresses of the interfaces it was found at,
after commas. One that has another by now is another interface."""
FOUND = "lldp"
"""Origin of links that discovery found."""
_END = r"([a-z0-9][-a-z0-9.]*)(?:#(\d+)|:([^>]+))?"
_EDGE = re.compile(f"{_END}>{_END}", re.ASCII)
_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_LONGEST = 63
_DIGEST = 5


@lru_cache(maxsize=65536)
def link_name(edge: str) -> str:
    """The name of the link that an edge is one direction of; both directions have the same.

    ``h1-h2``, ``h1-h2.1.0`` between other addresses than the preferred, ``s1.s1-eth2-s2.s2-eth1``
    for wires, ``leaf-1--spine-2`` where hosts have hyphens; a digest makes the others unique.
    No two links have one name (save when digests of 40 bits collide).
    """
    found = _EDGE.fullmatch(edge)
    if found is None:
        return _with_digest(edge)
    near, far = sorted((found.groups()[:3], found.groups()[3:]), key=lambda end: str(end[0]))
    named = _readable(near, far)
    fits = named is not None and len(named) <= _LONGEST
    return named if named and fits else _with_digest(">".join(map(_text, (near, far))))


def ranks(edge: str) -> tuple[int, int] | None:
    """Of a tunnel ``h1#1>h2#0``: which address at each end, (1, 0); None for all others."""
    found = _EDGE.fullmatch(edge)
    if found is None or found[2] is None or found[5] is None:
        return None
    return int(found[2]), int(found[5])


_End = tuple[str | Any, ...]


def _text(end: _End) -> str:
    host, rank, port = end
    return f"{host}#{rank}" if rank else f"{host}:{port}" if port else str(host)


def _readable(near: _End, far: _End) -> str | None:
    """A name from which the edge could be read back; None when there is none."""
    words = [word for host, _, port in (near, far) for word in (host, port) if word is not None]
    if not all(_WORD.fullmatch(word) for word in words):
        return None
    between = "--" if any("-" in host for host, _, _ in (near, far)) else "-"
    (one, rank, port), (other, rank_there, port_there) = near, far
    if port is not None and port_there is not None:
        return f"{one}.{port}{between}{other}.{port_there}"
    if rank is not None and rank_there is not None:
        return f"{one}{between}{other}.{rank}.{rank_there}"
    return f"{one}{between}{other}" if near[1:] == far[1:] == (None, None) else None


def _with_digest(text: str) -> str:
    """As much of a text as a name may hold, and what tells it from all others. It has one dot."""
    digest = blake2b(text.encode(), digest_size=_DIGEST).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"{slug[: _LONGEST - len(digest) - 1].rstrip('-') or 'link'}.{digest}"


def found_link(details: Mapping[str, Any]) -> LinkSpec | None:
    """What a Link would have to say to be about a link that was found: ends, medium and ports.

    ``details`` are those of its status: ``source``, ``target``, ``medium``, and for wires
    ``ports``, ``eth1:eth2``; ``sourceAddress`` and ``targetAddress`` for tunnels between others
    than the preferred. None when they do not say what it joins.
    """
    names = ("source", "target", "medium", "sourceAddress", "targetAddress")
    known = {name: details[name] for name in names if details.get(name)}
    port, colon, other = str(details.get("ports", "")).partition(":")
    if colon and known.get("medium") == "wire":
        known |= {"sourcePort": port, "targetPort": other}
    try:
        return msgspec.convert(known, LinkSpec)
    except msgspec.ValidationError:
        return None


def is_found(stored: Object) -> bool:
    """Whether discovery made an object, and nobody took it over."""
    return stored.annotations.get(ORIGIN) == FOUND
