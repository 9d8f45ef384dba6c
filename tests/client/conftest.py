# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from vneter_sdn.client import Client
from vneter_sdn.config import Settings
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore


class Running:
    """A REST server that can be stopped and started again where it was."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.listen = store, "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        self.server = Server(self.store, Settings(api_listen=self.listen))
        self.listen = self.server.address.removeprefix("http://")
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()

    @property
    def address(self) -> str:
        return f"http://{self.listen}"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def running(store: MemoryStore) -> Iterator[Running]:
    found = Running(store)
    yield found
    if found.thread.is_alive():
        found.stop()


@pytest.fixture
def client(running: Running) -> Client:
    return Client(running.address, author="tester", timeout=30)


def manifest(kind: str, name: str, spec: dict | None = None, **metadata: object) -> dict:
    return {
        "apiVersion": "vneter.io/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec or {},
    }


@pytest.fixture
def make():
    return manifest
