# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``: the database, the core and the API server, kept running."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from vneter_sdn.config import Settings
from vneter_sdn.daemon.children import Child, supervise
from vneter_sdn.errors import VneterError
from vneter_sdn.store.embedded import EmbeddedDatabase

_log = logging.getLogger(__name__)


class AlreadyRunning(VneterError):
    """Another controller uses this state directory."""


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(
                f"another controller runs on {state_dir}; stop it, or give --state-dir"
            ) from None
        yield


def _write_settings(settings: Settings) -> Path:
    run_dir = Path(settings.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    path = run_dir / "settings.json"
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(settings))
    fresh.rename(path)
    return path


def _python(name: str, module: str, settings: Path) -> Child:
    # Warnings are for tests; eventlet's about its own age would greet every start (design 0002).
    return Child(
        name, (sys.executable, "-W", "ignore", "-m", f"vneter_sdn.daemon.{module}", str(settings))
    )


def run(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; then stop everything that was started.

    Raises:
        AlreadyRunning: the state directory is in use.
        StoreUnavailable: the embedded database is damaged or of a newer schema.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with _only_one(Path(settings.state_dir)):
        children = []
        if not settings.db:
            database = EmbeddedDatabase(Path(settings.state_dir), Path(settings.run_dir))
            database.prepare()
            children.append(Child("database", database.command()))
            settings = msgspec.structs.replace(settings, db=database.remote)
        path = _write_settings(settings)
        children += [_python("core", "core", path), _python("api", "api", path)]
        for child in children:
            child.start()
            _log.info("%s: pid %d", child.name, child.pid or 0)
        _log.info("listening on http://%s", settings.api_listen)
        supervise(children, stop.is_set, stop.wait)
