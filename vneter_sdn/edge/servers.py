# SPDX-License-Identifier: Apache-2.0
"""Servers elsewhere that are asked for names."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple


class Server(NamedTuple):
    """Who is asked."""

    address: str
    port: int = 53


def server_of(text: str) -> Server:
    """``192.0.2.53``, ``192.0.2.53:5353``, ``2001:db8::53`` or ``[2001:db8::53]:5353``.

    Raises:
        ValueError: it is none of these.
    """
    with suppress(ValueError):
        return Server(str(ip_address(text)))
    host, _, port = text.rpartition(":")
    address, number = ip_address(host.strip("[]")), int(port)
    if not 0 < number < 1 << 16:
        raise ValueError(f"no port: {number}")
    return Server(str(address), number)
