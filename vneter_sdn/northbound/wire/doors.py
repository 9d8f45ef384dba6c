# SPDX-License-Identifier: Apache-2.0
"""Where the REST server listens: addresses, and the sockets bound to them."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from vneter_sdn.errors import IntentError, Problem

BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """One place to listen at: a unix socket's path, or an address and a port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def local(self) -> bool:
        """Whether nobody but processes of this machine can reach it."""
        return bool(self.path) or ip_address(self.host).is_loopback

    def url(self, secured: bool) -> str:
        """As a client writes it: ``http://127.0.0.1:8181``, ``unix:/run/vneter/api.sock``."""
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if secured else 'http'}://{host}:{self.port}"


def address_of(text: str) -> Address:
    """``127.0.0.1:8181``, ``[::1]:8181``, ``0.0.0.0:8181``, ``localhost:8181`` or ``unix:PATH``.

    Names are not resolved: what is listened on is what is written.

    Raises:
        IntentError: it is none of these.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        number = int(port) if port.isascii() and port.isdecimal() else -1
        parsed = ip_address(host.removeprefix("[").removesuffix("]"))
        bare = parsed.version == 6 and not host.startswith("[")
    except ValueError:
        bare, number = True, -1
    if bare or not 0 <= number <= 65535:
        message = (
            f"{text!r} is no address to listen at; write 127.0.0.1:PORT, [::1]:PORT or unix:PATH, "
            "on loopback, or any other ADDRESS:PORT with TLS and credentials"
        )
        raise IntentError(Problem("settings", "api_listen", "InvalidAddress", message))
    return Address(host=str(parsed), port=number)


@dataclass(frozen=True, slots=True)
class Door:
    """One bound socket, and what is believed of whoever comes through it."""

    address: Address
    """With the port that was found, when none was asked for."""
    socket: socket.socket
    trusted: bool
    """Whether whoever comes without a credential is this machine's administrator."""
    secured: bool
    """Whether it speaks TLS."""

    @property
    def url(self) -> str:
        """As a client writes it."""
        return self.address.url(self.secured)

    def close(self) -> None:
        """Stop listening; the path of a unix socket goes too, if it is still ours."""
        self.socket.close()
        if self.address.path:
            try:
                os.unlink(self.address.path)
            except OSError:
                return


def opened(address: Address, *, trusted: bool, secured: bool) -> Door:
    """Listen at an address. Only our own user may use a unix socket.

    Raises:
        OSError: it cannot be bound.
    """
    if address.path:
        return Door(address, _unix(address.path), trusted, False)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    found = Address(host=address.host, port=listening.getsockname()[1])
    return Door(found, listening, trusted, secured)


def _unix(path: str) -> socket.socket:
    _forget_dead(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # closed to others from its first moment
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _forget_dead(path: str) -> None:
    """Remove a socket that a server which was killed left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return
