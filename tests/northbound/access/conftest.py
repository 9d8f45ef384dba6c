# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.model.access import Credential
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.identity import grant_of, grants_text
from vneter_sdn.northbound.server import Server
from vneter_sdn.northbound.wire.connection import Pace
from vneter_sdn.northbound.wire.doors import address_of, opened
from vneter_sdn.northbound.wire.front import Front
from vneter_sdn.store.memory import MemoryStore

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pem(NamedTuple):
    """Paths of a certificate and its key."""

    certificate: str
    key: str


class Authority:
    """A private CA."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self.name = folder / name, name
        self._folder.mkdir()
        self._openssl("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                      "-subj", f"/CN={name}")  # fmt: skip
        self.certificate = str(self._folder / "ca.pem")

    def issue(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> Pem:
        """A certificate; one of ``days=-1`` has expired."""
        (self._folder / "names.ext").write_text(f"subjectAltName={names}\n")
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", f"{name}.pem", "-days", str(days),
                      "-extfile", "names.ext")  # fmt: skip
        return Pem(*(str(self._folder / f"{name}.{kind}") for kind in ("pem", "key")))

    def _openssl(self, *words: str) -> None:
        subprocess.run(
            ["openssl", *words], cwd=self._folder, check=True, capture_output=True, timeout=30
        )


class Reply(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.data)


class Caller:
    """Asks one server over TLS."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self.port = int(server.address.rpartition(":")[2])
        self.server, self.context = server, context

    def connected(self) -> ssl.SSLSocket:
        """A connection, for requests by hand."""
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.context.wrap_socket(wire, server_hostname="127.0.0.1")

    def __call__(
        self, path: str = "/v1/whoami", *, token: str = "", method: str = "GET", **headers: str
    ) -> Reply:
        """Ask once."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, context=self.context
        )
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom servers and clients trust."""
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom nobody trusts."""
    return Authority(tmp_path_factory.mktemp("ca"), "theirs")


@pytest.fixture(scope="session")
def pem(authority: Authority) -> Pem:
    """A server's certificate."""
    return authority.issue("server")


@pytest.fixture
def start(store: MemoryStore) -> Iterator[Callable[..., Server]]:
    """Starts servers, which end with the test."""
    running: list[tuple[Server, threading.Thread]] = []

    def begin(settings: Settings, pace: Pace | None = None) -> Server:
        server = Server(store, settings, pace=pace)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture
def secure(pem: Pem, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a server that is open to the network, though bound to loopback."""

    def settings(**more: Any) -> Settings:
        given = {
            "api_listen": "127.0.0.1:0",
            "api_require_credential": True,
            "run_dir": str(tmp_path),
        }
        return Settings(**(given | more), api_tls_certificate=pem.certificate, api_tls_key=pem.key)

    return settings


@pytest.fixture
def trusting(authority: Authority) -> Callable[..., ssl.SSLContext]:
    """A client's context, perhaps with a certificate of its own."""

    def context(pem: Pem | None = None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=authority.certificate)
        if pem is not None:
            made.load_cert_chain(*pem)
        return made

    return context


@pytest.fixture
def grant(store: MemoryStore) -> Callable[..., str]:
    """Issues credentials straight into the store; the token."""

    def issue(
        name: str,
        role: str = "viewer",
        *tenants: str,
        verbs: tuple[str, ...] = (),
        expires: str | None = None,
        certificate: bool = False,
    ) -> str:
        token = tokens.fresh(name)
        parts = tokens.split(token)
        digest = tokens.CERTIFICATE if certificate else tokens.digest(*(parts or ("", "")))
        grants = grants_text([grant_of(role, tenants, verbs)])
        store.issue(Credential(name, digest, grants, "test", "2026-01-01T00:00:00Z", expires))
        return token

    return issue


PACE = Pace()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Front, int]]]:
    """Serves an application; answers the address."""
    running: list[tuple[Front, threading.Thread]] = []

    def begin(app, threads=2, pace=PACE, gate=lambda _environ: None):
        door = opened(address_of("127.0.0.1:0"), trusted=True, secured=False)
        served = Front(app, [door], threads=threads, pace=pace, gate=gate)
        thread = threading.Thread(target=served.run)
        thread.start()
        running.append((served, thread))
        return served, door.address.port

    yield begin
    for served, thread in running:
        served.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()
