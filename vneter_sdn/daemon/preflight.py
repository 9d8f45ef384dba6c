# SPDX-License-Identifier: Apache-2.0
"""What can be known to be wrong with settings before any process is started with them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from vneter_sdn.config import Settings
from vneter_sdn.edge.servers import server_of
from vneter_sdn.errors import SouthboundError
from vneter_sdn.northbound.server import local_socket
from vneter_sdn.ovsdb.transport import Remote
from vneter_sdn.southbound.openflow.target import Target, loopback
from vneter_sdn.southbound.openflow.tls import Credentials, server_context

LONGEST_SOCKET = 107
"""Bytes in the path of a unix socket, at most (unix(7))."""


def check(settings: Settings) -> None:
    """Refuse what the core would only fail on, again and again.

    Raises:
        SouthboundError: an address in use, a path too long, a listener or target that is not
            permitted, a server for names that is no address, key and certificates that are not
            whole or cannot be used; says which, and what to do.
    """
    _check_free("--api-listen", settings.api_listen)
    beside = local_socket(settings)
    if beside is not None:
        _check_length("--run-dir", Path(beside.path))
    _check_metrics(settings.metrics_listen)
    if not settings.db:
        _check_length("--run-dir", Path(settings.run_dir) / "db.sock")
    targets = [Target.of(text, settings.insecure_lab) for text in settings.openflow_listen]
    secured = _credentials(settings)
    if not secured and any(target.kind == "pssl" for target in targets):
        raise SouthboundError(
            "a pssl listener needs --private-key, --certificate and --ca-certificate"
        )
    for upstream in settings.dns_upstreams:
        _check_upstream(upstream)
    if settings.openflow_advertise:
        _check_advertised(settings)
    for remote in filter(None, settings.db.split(",")):
        _check_database(remote.strip(), secured)


def _check_upstream(text: str) -> None:
    """Refuse a server for names that is no address."""
    try:
        server_of(text)
    except ValueError:
        raise SouthboundError(
            f"--dns-upstreams {text}: write an address, with a port if it is not 53: "
            "192.0.2.53, [2001:db8::53]:5353"
        ) from None


def _check_free(option: str, address: str) -> None:
    """Refuse an address that somebody else listens on, and a path where no socket can be."""
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        if not path.is_absolute() or not path.parent.is_dir():
            raise SouthboundError(f"{option} {address}: write the full path, in a directory there")
        _check_length(option, path)
        return
    host, _, port = address.rpartition(":")
    try:
        (family, kind, _, _, place), *_ = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as taken:
        raise SouthboundError(
            f"cannot listen at {address}: {taken.strerror}; is another controller running? "
            f"give {option} to listen elsewhere"
        ) from None


def _check_metrics(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not loopback(host.strip("[]")) or not port.isdecimal() or int(port) > 65535:
        raise SouthboundError(
            f"--metrics-listen {address}: write ADDRESS:PORT on loopback, as in 127.0.0.1:8182"
        )


def _check_length(option: str, path: Path) -> None:
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise SouthboundError(
            f"{path} is longer than the {LONGEST_SOCKET} bytes that the path of a unix socket "
            f"may have; give a shorter {option}"
        )


def _credentials(settings: Settings) -> bool:
    """Whether TLS is set up, and works."""
    files = (settings.private_key, settings.certificate, settings.ca_certificate)
    if not any(files):
        return False
    if not all(files):
        raise SouthboundError(
            "--private-key, --certificate and --ca-certificate go together; give all or none"
        )
    try:
        server_context(Credentials(*files))
    except OSError as unusable:  # of which ssl.SSLError is one
        raise SouthboundError(f"cannot use {', '.join(files)}: {unusable}") from None
    return True


def _check_advertised(settings: Settings) -> None:
    text = settings.openflow_advertise
    try:
        remote = Remote.parse(text)
    except ValueError:
        message = f"--openflow-advertise {text}: write ssl:ADDRESS:PORT, as in ssl:192.0.2.1:6653"
        raise SouthboundError(message) from None
    if remote.scheme == "tcp" and not loopback(remote.host) and not settings.insecure_lab:
        raise SouthboundError(f"--openflow-advertise {text}: plain TCP is for loopback; use ssl")


def _check_database(text: str, secured: bool) -> None:
    try:
        remote = Remote.parse(text)
    except ValueError as wrong:
        raise SouthboundError(
            f"--db: {wrong}; write ssl:ADDRESS:PORT, tcp:ADDRESS:PORT or unix:PATH"
        ) from None
    if remote.scheme == "ssl" and not secured:
        raise SouthboundError(
            f"--db {text} needs --private-key, --certificate and --ca-certificate"
        )
