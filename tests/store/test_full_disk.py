# SPDX-License-Identifier: Apache-2.0
"""A disk that is full: writes are refused, nothing that was acknowledged is lost, and it goes on.

The server's file may not grow beyond a limit that is lifted again, which is answered as a full disk
is: the system does not take what is written.
"""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from vneter_sdn.errors import StoreUnavailable
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.store.embedded import EmbeddedDatabase

pytestmark = pytest.mark.ovs
_ROOM = 64 * 1024


@pytest.fixture
def database(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A running database that hears no SIGXFSZ."""
    command = EmbeddedDatabase.command

    def deaf(self: EmbeddedDatabase) -> tuple[str, ...]:
        shell, option, script, *rest = command(self)
        return (shell, option, f'trap "" {signal.SIGXFSZ.name[3:]}; {script}', *rest)

    monkeypatch.setattr(EmbeddedDatabase, "command", deaf)
    made = EmbeddedDatabase(short_dir / "s", short_dir / "r")
    made.start()
    yield made
    made.stop()


def _limit(database: EmbeddedDatabase, octets: int) -> None:
    assert database.pid is not None
    resource.prlimit(database.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))


def _fill(store: Any, given: Any, written: list[str]) -> None:
    for number in range(1000):
        name = f"t{number}"
        store.apply([given.edit("Tenant", name, description="x" * 500)], author="ada")
        written.append(name)


def test_nothing_that_was_acknowledged_is_lost(
    database: EmbeddedDatabase, connect: Any, given: Any
) -> None:
    store = connect()
    _limit(database, database.file.stat().st_size + _ROOM)
    written: list[str] = []
    with pytest.raises(StoreUnavailable, match="write failed"):
        _fill(store, given, written)
    assert written
    for _ in range(3):  # what is too large is refused again, and what was there is read
        with pytest.raises(StoreUnavailable, match="write failed"):
            store.apply([given.edit("Tenant", "more", description="x" * 1000)], author="ada")
    assert {key.name for key in store.snapshot().objects} == set(written)
    _limit(database, database.file.stat().st_size)
    with pytest.raises(StoreUnavailable, match="did not write"):  # at once: others wait meanwhile
        store.audit([AuditEntry("ada", "token create")])
    with pytest.raises(StoreUnavailable, match="did not write"):  # at once: others wait meanwhile
        store.issue(Credential("ci", "sha256:0"))
    assert (store.audited(), store.credentials()) == ((), ())

    _limit(database, resource.RLIM_INFINITY)
    store.apply([given.edit("Tenant", "after")], author="ada")
    store.audit([AuditEntry("ada", "token create")])
    database.stop(kill=True)
    database.start()
    again = connect()
    assert {key.name for key in again.snapshot().objects} == {*written, "after"}
    assert again.verify("revisions").broken is None
    assert [again.verify("audit").entries, again.verify("audit").broken] == [1, None]
