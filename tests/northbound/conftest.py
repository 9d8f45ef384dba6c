# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from vneter_sdn.client import Client
from vneter_sdn.config import Settings
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def rest(store: MemoryStore) -> FlaskClient:
    return create_app(store, Settings()).test_client()


@pytest.fixture
def server(store: MemoryStore) -> Iterator[Server]:
    running = Server(store, Settings(api_listen="127.0.0.1:0"))
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running
    running.stop()
    thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.address, author="tester")


def _manifest(kind: str, name: str, spec: dict | None = None, **metadata: object) -> dict:
    return {
        "apiVersion": "vneter.io/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec or {},
    }


@pytest.fixture
def red() -> list[dict]:
    """A tenant, its network, and two endpoints."""
    return [
        _manifest("Tenant", "red", labels={"tier": "gold"}),
        _manifest("Network", "web", {"prefixes": ["10.0.0.0/24"]}, tenant="red"),
        _manifest("Endpoint", "a", {"network": "web"}, tenant="red", labels={"app": "x"}),
        _manifest("Endpoint", "b", {"network": "web"}, tenant="red"),
    ]
