# SPDX-License-Identifier: Apache-2.0
"""Over TLS: whom the client trusts, and what it says when it does not."""

from __future__ import annotations

import subprocess
import threading

import pytest

from vneter_sdn.client import Client, Tls
from vneter_sdn.config import Settings
from vneter_sdn.errors import StoreUnavailable
from vneter_sdn.northbound.server import Server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that is its own authority, and its key; another's beside it."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("mine", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
            cwd=folder, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    return folder


@pytest.fixture
def server(store, certificate, tmp_path):
    settings = Settings(
        api_listen="127.0.0.1:0",
        run_dir=str(tmp_path),
        api_tls_certificate=str(certificate / "mine.pem"),
        api_tls_key=str(certificate / "mine.key"),
    )
    running = Server(store, settings)
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running.address
    running.stop()
    thread.join(30)


def test_who_is_trusted_is_spoken_to(server, certificate, make):
    assert server.startswith("https://127.0.0.1:")
    client = Client(server, tls=Tls(ca=str(certificate / "mine.pem")), timeout=30)
    assert client.apply([make("Tenant", "red")]).revision == 1
    changes = client.watch(("tenant",))
    assert [next(changes).sort, next(changes).sort] == ["added", "synced"]


@pytest.mark.parametrize("trusted", ["other.pem", ""])
def test_who_is_not_is_told_nothing(server, certificate, trusted):
    tls = Tls(ca=str(certificate / trusted) if trusted else "")
    with pytest.raises(StoreUnavailable, match="certificate is not trusted"):
        Client(server, token="secret", tls=tls).status()


def test_the_name_counts(server, certificate):
    tls = Tls(ca=str(certificate / "mine.pem"))
    with pytest.raises(StoreUnavailable, match="not trusted"):
        Client(server.replace("127.0.0.1", "localhost"), tls=tls).status()


def test_plain_http_to_a_tls_port_and_the_other_way_round(server, running, certificate):
    with pytest.raises(StoreUnavailable):
        Client(server.replace("https", "http"), timeout=10).status()
    with pytest.raises(StoreUnavailable, match="TLS"):
        Client(running.address.replace("http", "https"), timeout=10).status()
