# SPDX-License-Identifier: Apache-2.0
"""What a history of 10,000 revisions costs, on a real database: the figures of decision 0017.

``python tests/store/measure_history.py [REVISIONS]``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vneter_sdn.config import Settings
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.embedded import EmbeddedDatabase
from vneter_sdn.store.ovsdb import OvsdbStore
from vneter_sdn.store.port import Edit, Retention

_OPEN = """
import sys, time
from vneter_sdn.store.ovsdb import OvsdbStore
began = time.perf_counter()
store = OvsdbStore(sys.argv[1])
print(f"{(time.perf_counter() - began) * 1000:.0f} ms", end=", ")
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(f"{int(line.split()[1]) / 1024:.1f} MiB")
store.close()
"""


def say(what: str, told: str) -> None:
    """One line of figures."""
    sys.stdout.write(f"{what:<50}{told:>24}\n")


def edit(kind: str, tenant: str, name: str, **spec: Any) -> Edit:
    """A manifest to apply."""
    metadata: dict[str, Any] = {"name": name} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, tenant, name), manifest)


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, and print how long it took."""
    began = time.perf_counter()
    result = work()
    say(what, f"{(time.perf_counter() - began) * 1000:.1f} ms")
    return result


def resident(pid: int | None) -> str:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return f"{int(line.split()[1]) / 1024:.1f} MiB"


def sizes(database: EmbeddedDatabase) -> None:
    """Print what the database takes, and a client that opens it."""
    say("ovsdb-server", resident(database.pid))
    say("database file", f"{database.file.stat().st_size / 2**20:.1f} MiB")
    command = [sys.executable, "-c", _OPEN, database.remote]
    opened = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    say("a client: until it has a snapshot, and its memory", opened.stdout.strip())


def main(revisions: int) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="vh") as path:
        database = EmbeddedDatabase(Path(path) / "s", Path(path) / "r")
        database.start()
        store = OvsdbStore(database.remote, patience=60.0, retention=Retention(revisions=0))
        world = [edit("Tenant", "", "red")]
        world += [edit("Network", "red", "web", prefixes=["10.0.0.0/16"])]
        world += [edit("Endpoint", "red", f"e{n}", network="web") for n in range(1000)]
        timed("apply 1,002 objects at once", lambda: store.apply(world, author="bench"))
        sizes(database)
        began = time.perf_counter()
        for number in range(revisions - 1):
            one = edit("Endpoint", "red", f"e{number % 1000}", network="web")
            one.manifest["metadata"]["annotations"] = {"note": f"change {number}"}
            store.apply([one], author="bench")
        each = (time.perf_counter() - began) / max(1, revisions - 1)
        say(f"{revisions:,} revisions, each", f"{each * 1000:.2f} ms")
        sizes(database)
        ask(store, revisions)
        by_hand(store, revisions)
        store.close()
        prune(database)
        sizes(database)
        database.stop()


def prune(database: EmbeddedDatabase) -> None:
    """Time how all but about 100 revisions go, and what waits for it."""
    keep = OvsdbStore(database.remote, patience=60.0, retention=Retention(revisions=100))
    began = time.perf_counter()
    timed(
        "an apply that pruning follows", lambda: keep.apply([edit("Tenant", "", "l")], author="b")
    )
    timed("an apply beside it", lambda: keep.apply([edit("Tenant", "", "m")], author="b"))
    while len(keep.revisions(200)) > 112:
        keep.wait(keep.snapshot(), 0.01)
    say("until all but 100 are pruned", f"{(time.perf_counter() - began) * 1000:.1f} ms")
    keep.close()


def by_hand(store: OvsdbStore, revisions: int) -> None:
    """Time what people type, whole processes and the REST server."""
    server = Server(store, Settings(api_listen="127.0.0.1:0"))
    serving = threading.Thread(target=server.run)
    serving.start()
    half = str(revisions // 2)
    for words in (
        ["history"],
        ["history", "--limit", str(revisions)],
        ["history", "endpoint", "red/e7"],
        ["history", half],
        ["history", "--verify"],
        ["rollback", half, "--dry-run"],
        ["rollback", half],
    ):
        command = [sys.executable, "-m", "vneter_sdn", *words, "--server", server.address]
        timed(
            f"vneterctl {' '.join(words)}",
            lambda: subprocess.run(command, check=True, timeout=120, capture_output=True),  # noqa: B023
        )
    server.stop()
    serving.join()


def ask(store: OvsdbStore, revisions: int) -> None:
    """Time every question about the history."""
    half = revisions // 2
    timed("list the newest 100", lambda: store.revisions(100))
    timed("list 100 in the middle", lambda: store.revisions(100, half))
    timed("list 100 of one object", lambda: store.revisions(100, about="Endpoint red/e7"))
    timed("list 100 of an author who did nothing", lambda: store.revisions(100, author="x"))
    timed("show one", lambda: store.revision(half))
    found = timed("verify all", store.verify)
    assert found.broken is None
    timed(
        "dry run of a rollback to the middle",
        lambda: store.rollback(half, author="b", dry_run=True),
    )
    timed("rollback to the middle", lambda: store.rollback(half, author="bench"))
    timed("and back", lambda: store.rollback(revisions, author="bench"))
    timed("an audit entry", lambda: store.audit([AuditEntry("a", "b")]))
    last = [edit("Tenant", "", "once")]
    timed("apply with a key", lambda: store.apply(last, author="b", idempotency_key="k"))
    timed("the same again", lambda: store.apply(last, author="b", idempotency_key="k"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
