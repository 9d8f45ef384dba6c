# SPDX-License-Identifier: Apache-2.0
"""The REST server: the application behind its doors (design 0019).

On loopback or a unix socket whoever comes is this machine's administrator, unless settings want
a credential there as well. Elsewhere it listens only with TLS and with a credential that somebody
can show, and then opens the unix socket ``api.sock`` in the run directory besides, so that the
administrator can always make credentials.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from vneter_sdn.config import Settings
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.northbound.access.auditing import Auditor
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.gate import gate_of
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.rest.service import CoreAlive, Inject, nobody
from vneter_sdn.northbound.wire.connection import Pace
from vneter_sdn.northbound.wire.doors import Address, Door, address_of, opened
from vneter_sdn.northbound.wire.front import Front
from vneter_sdn.northbound.wire.tls import Context, TlsFiles, not_private, open_to_all
from vneter_sdn.store.port import Store

_LOG = logging.getLogger("vneter.api")
LOCAL_SOCKET = "api.sock"
"""In the run directory: the administrator's door, where the other one is open to the network."""


def local_socket(settings: Settings) -> Address | None:
    """The administrator's own door; None where `Settings.api_listen` is one already."""
    address = address_of(settings.api_listen)
    if address.path or (address.local and not settings.api_tls_certificate):
        return None
    return Address(path=str(Path(settings.run_dir) / LOCAL_SOCKET))


def check_settings(settings: Settings) -> None:
    """Refuse what could not be safe, before anything is started.

    Raises:
        IntentError: no such address; TLS files that are not whole or cannot be used; an address
            off loopback without TLS.
    """
    address = address_of(settings.api_listen)
    files = _tls_files(settings)
    if files is None and not address.local:
        raise _refused(
            "api_listen",
            "NeedsTls",
            f"{settings.api_listen} is not on loopback: there the REST server needs TLS "
            "(--api-tls-certificate and --api-tls-key) and credentials (--api-client-ca, "
            "--api-first-token, or tokens made before: `vneterctl token create`)",
        )
    if files is not None:
        _context(files)


def _tls_files(settings: Settings) -> TlsFiles | None:
    certificate, key = settings.api_tls_certificate, settings.api_tls_key
    if not certificate and not key:
        if settings.api_client_ca:
            message = "--api-client-ca needs --api-tls-certificate and --api-tls-key"
            raise _refused("api_client_ca", "NeedsTls", message)
        return None
    if not certificate or not key:
        message = "--api-tls-certificate and --api-tls-key go together; give both or none"
        raise _refused("api_tls_certificate", "Missing", message)
    if settings.api_require_certificate and not settings.api_client_ca:
        message = "--api-require-certificate needs --api-client-ca"
        raise _refused("api_require_certificate", "Missing", message)
    if open_to_all(key):
        raise _refused("api_tls_key", "NotPrivate", not_private(key))
    return TlsFiles(certificate, key, settings.api_client_ca, settings.api_require_certificate)


def _context(files: TlsFiles, failed: Callable[[], None] = lambda: None) -> Context:
    try:
        return Context(files, failed=failed)
    except OSError as error:  # of which ssl.SSLError is one
        names = ", ".join(filter(None, (files.certificate, files.key, files.client_ca)))
        message = f"cannot use {names}: {error}"
        raise _refused("api_tls_certificate", "Unusable", message) from None


def _refused(field: str, reason: str, message: str) -> IntentError:
    return IntentError(Problem("settings", field, reason, message))


def check_credentials(store: Store, settings: Settings) -> None:
    """Refuse to listen where nobody could say who they are.

    Raises:
        IntentError: credentials are needed, and there are none.
        StoreUnavailable: nobody can tell.
    """
    address = address_of(settings.api_listen)
    needed = not address.local or settings.api_require_credential
    if needed and not settings.api_client_ca and not store.credentials():
        raise _refused(
            "api_listen",
            "NeedsCredentials",
            f"nobody could use {settings.api_listen}, for there is no credential yet: name a file "
            "for a first token (--api-first-token FILE), or a certificate authority of clients "
            "(--api-client-ca FILE), or start on loopback and run `vneterctl token create`",
        )


class Server:
    """One listening REST server.

    ``run`` serves until ``stop`` is called from any thread or signal handler, then finishes the
    requests under way and closes.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        core_alive: CoreAlive | None = None,
        inject: Inject = nobody,
        pace: Pace | None = None,
    ) -> None:
        """Listen at ``settings.api_listen``.

        Raises:
            IntentError: the address cannot be listened at safely.
            OSError: it cannot be bound.
            StoreUnavailable: credentials are needed, and cannot be read.
        """
        check_settings(settings)
        check_credentials(store, settings)
        files = _tls_files(settings)
        self._auditor = Auditor(store)
        doorkeeper = Doorkeeper(store, auditor=self._auditor)
        known = {"core_alive": core_alive} if core_alive else {}
        app = create_app(store, settings, inject=inject, doorkeeper=doorkeeper, **known)
        with ExitStack() as undo:
            self._doors = []
            for door in _doors(settings, files is not None):
                undo.callback(door.close)
                self._doors.append(door)
            undo.pop_all()
        self._front = Front(
            app,
            self._doors,
            threads=settings.api_threads,
            gate=gate_of(doorkeeper),
            context=_context(files, doorkeeper.handshake_failed) if files else None,
            pace=pace,
        )
        self._end_watches = app.extensions["vneter.stop"]

    @property
    def address(self) -> str:
        """Where it listens, as a client writes it: ``http://127.0.0.1:8181``."""
        return self._doors[0].url

    def run(self) -> None:
        """Serve until stopped."""
        for door in self._doors:
            _LOG.info("serving %s", door.url)
        try:
            self._front.run()
        finally:
            self._auditor.close()

    def stop(self) -> None:
        """Ask `run` to return."""
        self._end_watches()
        self._front.stop()


def _doors(settings: Settings, secured: bool) -> Iterator[Door]:
    address = address_of(settings.api_listen)
    trusted = address.local and not settings.api_require_credential
    yield opened(address, trusted=trusted, secured=secured and not address.path)
    beside = local_socket(settings)
    if beside is not None:
        yield opened(beside, trusted=not settings.api_require_credential, secured=False)


def serve(
    store: Store,
    settings: Settings,
    *,
    core_alive: CoreAlive | None = None,
    inject: Inject = nobody,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. Call from the main thread.

    Raises:
        IntentError: the address cannot be listened at safely.
        OSError: it cannot be bound.
        StoreUnavailable: credentials are needed, and cannot be read.
    """
    server = Server(store, settings, core_alive=core_alive, inject=inject)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.run()
