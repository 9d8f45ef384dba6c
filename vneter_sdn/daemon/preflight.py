# SPDX-License-Identifier: Apache-2.0
"""What can be known to be wrong with settings before any process is started with them."""

from __future__ import annotations

from vneter_sdn.config import Settings
from vneter_sdn.errors import SouthboundError
from vneter_sdn.ovsdb.transport import Remote
from vneter_sdn.southbound.openflow.target import Target, loopback
from vneter_sdn.southbound.openflow.tls import Credentials, server_context


def check(settings: Settings) -> None:
    """Refuse what the core would only fail on, again and again.

    Raises:
        SouthboundError: a listener or target that is not permitted, key and certificates that are
            not whole or cannot be used; says which, and what to do.
    """
    targets = [Target.of(text, settings.insecure_lab) for text in settings.openflow_listen]
    secured = _credentials(settings)
    if not secured and any(target.kind == "pssl" for target in targets):
        raise SouthboundError(
            "a pssl listener needs --private-key, --certificate and --ca-certificate"
        )
    if settings.openflow_advertise:
        _check_advertised(settings)
    for remote in filter(None, settings.db.split(",")):
        _check_database(remote.strip(), secured)


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
        raise SouthboundError(f"--db: {wrong}") from None
    if remote.scheme == "ssl" and not secured:
        raise SouthboundError(
            f"--db {text} needs --private-key, --certificate and --ca-certificate"
        )
