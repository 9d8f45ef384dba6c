# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from vneter_sdn.cli.main import run
from vneter_sdn.config import Settings
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore

RED = """\
apiVersion: vneter.io/v1
kind: Tenant
metadata: {name: red, labels: {tier: gold}}
spec: {}
---
apiVersion: vneter.io/v1
kind: Network
metadata: {name: web, tenant: red}
spec:
  prefixes:
  - 10.0.0.0/24
---
apiVersion: vneter.io/v1
kind: Endpoint
metadata: {name: a, tenant: red}
spec: {network: web}
"""


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def contexts(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of contexts that is nobody's; whoever runs the tests may have one."""
    path = tmp_path_factory.mktemp("home") / "vneter" / "contexts.toml"
    monkeypatch.setenv("VNETER_CONFIG", str(path))
    for name in ("VNETER_SERVER", "VNETER_CONTEXT", "VNETER_TOKEN", "VNETER_SERVER_CA"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def server(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A REST server over a store; the CLI finds it through the environment."""
    running = Server(store, Settings(api_listen="127.0.0.1:0"))
    thread = threading.Thread(target=running.run)
    thread.start()
    monkeypatch.setenv("VNETER_SERVER", running.address)
    yield running.address
    running.stop()
    thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.fixture
def vneterctl(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Runs one command line in this process, as the console script does."""

    def call(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def red(tmp_path):
    """A file with a tenant, its network and an endpoint."""
    path = tmp_path / "red.yaml"
    path.write_text(RED, encoding="utf-8")
    return path


@pytest.fixture
def applied(server, vneterctl, red):
    """The same, applied."""
    assert vneterctl("apply", "-f", red).code == 0
    return red
