# SPDX-License-Identifier: Apache-2.0
"""The store on a RAFT cluster of three: only the leader is used, and losing it loses nothing."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vneter_sdn.errors import SessionClosed, StoreUnavailable
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.store import connection, schema
from vneter_sdn.store.ovsdb import OvsdbStore

pytestmark = pytest.mark.ovs


class Cluster:
    """Three servers on loopback."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.ports = _free_ports(3)
        self.servers: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for number in range(3):
            self._create(number)
            self.servers[number] = subprocess.Popen(
                [
                    *("ovsdb-server", f"--remote=punix:{self.path(number)}", "--unixctl=none"),
                    *("--no-chdir", "-vconsole:off", "-vsyslog:off", self._file(number)),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _until(self.path(number).exists)
        _until(lambda: self.leader() is not None)

    def _create(self, number: int) -> None:
        mine = f"tcp:127.0.0.1:{self.ports[number]}"
        if number == 0:
            words = ["create-cluster", self._file(0), str(schema.PATH), mine]
        else:
            words = ["join-cluster", self._file(number), schema.DATABASE, mine]
            words.append(f"tcp:127.0.0.1:{self.ports[0]}")
        subprocess.run(["ovsdb-tool", *words], check=True, timeout=30)

    def _file(self, number: int) -> str:
        return str(self.where / f"{number}.db")

    def path(self, number: int) -> Path:
        return self.where / f"{number}.sock"

    @property
    def remotes(self) -> str:
        return ",".join(f"unix:{self.path(number)}" for number in range(3))

    def leader(self) -> int | None:
        for number, server in self.servers.items():
            if server.poll() is None:
                try:
                    with Client(f"unix:{self.path(number)}") as client:
                        connection._require_leader(client)
                        return number
                except (StoreUnavailable, SessionClosed):
                    continue
        return None

    def stop(self) -> None:
        for server in self.servers.values():
            server.kill()
            server.wait()


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in held]
    for sock in held:
        sock.close()
    return ports


def _until(met: Any) -> None:
    deadline = time.monotonic() + 40
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def cluster(short_dir: Path) -> Iterator[Cluster]:
    cluster = Cluster(short_dir)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_losing_the_leader_loses_nothing(cluster: Cluster, given: Any) -> None:
    store = OvsdbStore(cluster.remotes, patience=40.0)
    store.apply(given.world(), author="ada")
    leader = cluster.leader()
    assert leader is not None
    for number in range(5):
        store.apply([given.endpoint(f"a{number}")], author="ada")
    cluster.servers[leader].kill()
    for number in range(5):
        store.apply([given.endpoint(f"b{number}")], author="ada")
    other = OvsdbStore(cluster.remotes, patience=40.0)
    assert other.snapshot() == store.snapshot()
    assert [e.number for e in other.revisions()] == list(range(11, 0, -1))
    other.close()
    store.close()


def test_followers_are_not_believed(cluster: Cluster) -> None:
    leader = cluster.leader()
    followers = [f"unix:{cluster.path(n)}" for n in range(3) if n != leader]
    with pytest.raises(StoreUnavailable, match="not the leader"):
        OvsdbStore(",".join(followers), patience=1.0)
