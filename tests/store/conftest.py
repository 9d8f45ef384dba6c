# SPDX-License-Identifier: Apache-2.0
"""Both stores behind one fixture, and a database that tests may kill."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vneter_sdn.errors import SessionClosed
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store import connection
from vneter_sdn.store.embedded import EmbeddedDatabase
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.ovsdb import Concurrency, OvsdbStore
from vneter_sdn.store.port import Edit, Retention, Store

TENANTED = {"Network", "Endpoint"}


class Clock:
    """POSIX seconds that only tests move."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Given:
    """Edits in shorthand."""

    @staticmethod
    def key(kind: str, name: str, tenant: str = "red") -> Key:
        return Key(kind, tenant if kind in TENANTED else "", name)

    def edit(self, kind: str, name: str, tenant: str = "red", **spec: Any) -> Edit:
        metadata = {"name": name} | ({"tenant": tenant} if kind in TENANTED else {})
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        return Edit("apply", self.key(kind, name, tenant), manifest)

    def endpoint(self, name: str, network: str = "web", **spec: Any) -> Edit:
        return self.edit("Endpoint", name, network=network, **spec)

    def delete(self, kind: str, name: str) -> Edit:
        return Edit("delete", self.key(kind, name))

    def world(self) -> list[Edit]:
        return [
            self.edit("Tenant", "red"),
            self.edit("Network", "web", prefixes=["10.0.0.0/16", "fd00::/64"]),
            self.edit("Host", "h1", ovsdb="unix:/run/h1"),
            self.endpoint("e1"),
        ]


@pytest.fixture
def given() -> Given:
    return Given()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose path is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="vs") as path:
        yield Path(path)


@pytest.fixture
def database(short_dir: Path) -> Iterator[EmbeddedDatabase]:
    """A running private database."""
    database = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    database.start()
    yield database
    database.stop()


@pytest.fixture
def connect(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Callable[..., OvsdbStore]]:
    """Open stores on the database; all are closed at the end."""
    opened: list[OvsdbStore] = []

    def connect(
        patience: float = 20.0,
        wall: Callable[[], float] = clock,
        retention: Retention | None = None,
    ) -> OvsdbStore:
        store = OvsdbStore(
            request.getfixturevalue("database").remote,
            concurrency=Concurrency(clock=wall),
            patience=patience,
            retention=retention,
        )
        opened.append(store)
        return store

    yield connect
    for store in opened:
        store.close()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Once it is cleared, the answer to the next commit of any store is lost, and noted here."""
    real = connection.Connection.transact
    found: list[Any] = ["nothing yet"]

    def transact(self: connection.Connection, operations: Any) -> Any:
        results = real(self, operations)
        if not found and any(operation["op"] == "commit" for operation in operations):
            found.append(self)
            self.client.close()
            raise SessionClosed("the answer was lost")
        return results

    monkeypatch.setattr(connection.Connection, "transact", transact)
    return found


@pytest.fixture(params=["memory", pytest.param("ovsdb", marks=pytest.mark.ovs)])
def keeping(
    request: pytest.FixtureRequest, clock: Clock
) -> Iterator[Callable[[Retention | None], Store]]:
    """Opens a store that keeps as much of the past as asked for, each sort of store in turn."""
    opened: list[Store] = []

    def memory(retention: Retention | None) -> Store:
        opened.append(MemoryStore(clock, retention))
        return opened[-1]

    if request.param == "memory":
        yield memory
    else:
        connect = request.getfixturevalue("connect")
        yield lambda retention: connect(retention=retention)
    for store in opened:
        store.close()


@pytest.fixture
def store(keeping: Callable[[Retention | None], Store]) -> Store:
    """Each store in turn, empty."""
    return keeping(None)
