# SPDX-License-Identifier: Apache-2.0
"""One connection to the database of intent: the right member, the right schema, its mirror."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from vneter_sdn.errors import DecodeError, OvsdbError, SessionClosed, StoreUnavailable
from vneter_sdn.model.pace import Breathe, on_and_on
from vneter_sdn.ovsdb.client import Client, Limits
from vneter_sdn.ovsdb.framing import STORE_CAP
from vneter_sdn.ovsdb.operations import Operation, commit, insert, select, wait
from vneter_sdn.ovsdb.protocol import Result
from vneter_sdn.ovsdb.transport import Network, TlsFiles
from vneter_sdn.store import rows
from vneter_sdn.store.chain import Chain
from vneter_sdn.store.mirror import WATCHED, Mirror
from vneter_sdn.store.schema import DATABASE, GENERATION, PATH, VERSION

LIMITS = Limits(message=STORE_CAP, deadline=30.0, backlog=1 << 20)
"""A database of our own may take long over a large transaction."""
_KNOCK = Limits(message=STORE_CAP, deadline=3.0, backlog=1 << 20)
"""But it answers the door quickly."""

_MAKING = 16
"""Attempts to begin a chain beside other writers."""

News = dict[str, dict[Any, Any]]


class Unreachable(StoreUnavailable):
    """No member of the list serves the database; says why, for each."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connected client and what it has seen."""

    client: Client
    mirror: Mirror

    def transact(self, operations: Sequence[Operation]) -> list[Result]:
        """All operations or none."""
        return self.client.transact(DATABASE, operations)

    def revision(self) -> int:
        """The store's revision right now, which the monitor may not have told yet."""
        found = self.transact([select("Store", [], ["revision"])])[0].rows or ()
        return int(str(found[0]["revision"])) if found else 0

    def find(self, uid: str) -> int | None:
        """The number of the journal entry with this uid; None when it was never committed."""
        query = select("Revision", [("uid", "==", uid)], ["number"])
        found = self.transact([query])[0].rows or ()
        return int(str(found[0]["number"])) if found else None

    def refused(self, error: OvsdbError) -> StoreUnavailable | SessionClosed:
        """What a refusal means to the caller: another member may do, or the write failed."""
        if error.error == "not leader":
            self.client.close()
            return SessionClosed(f"{self.client.remote} is no longer the leader")
        return StoreUnavailable(f"{self.client.remote} did not write: {error}")


def connect(
    remotes: Sequence[str],
    network: Network,
    tls: TlsFiles | None,
    reached: Callable[[], None] = lambda: None,
    breathe: Breathe = on_and_on,
) -> tuple[Connection, News]:
    """The first member that serves the database (the leader, in a cluster), and its contents.

    ``reached`` is called once there is one, before its contents are read: that may take long.

    Raises:
        Unreachable: there is none.
    """
    reasons = []
    for remote in remotes:
        try:
            client = Client(remote, network=network, limits=_KNOCK, tls=tls)
        except (SessionClosed, ValueError) as error:
            reasons.append(str(error))
            continue
        try:
            _require_leader(client)
            client.limits = LIMITS
            reached()
            return _open(client, breathe)
        except (SessionClosed, OvsdbError, DecodeError, StoreUnavailable) as error:
            client.close()
            reasons.append(str(error))
        except BaseException:
            client.close()
            raise
    raise Unreachable("; ".join(reasons) or "no database was named")


def _require_leader(client: Client) -> None:
    """Refuse members of a cluster that do not lead: their answers may be old."""
    columns = ["model", "connected", "leader"]
    found = client.transact("_Server", [select("Database", [("name", "==", DATABASE)], columns)])
    for row in found[0].rows or ():
        if row["model"] == "clustered" and not (row["leader"] and row["connected"]):
            raise StoreUnavailable(f"{client.remote} is not the leader of its cluster")
        return
    raise StoreUnavailable(f"{client.remote} does not serve the database {DATABASE!r}")


def _open(client: Client, breathe: Breathe) -> tuple[Connection, News]:
    _initialise(client)
    first = client.monitor(DATABASE, WATCHED)
    missing = sorted(WATCHED.keys() - client.watched(DATABASE).keys())
    if missing:
        text = f"has an older schema, without {', '.join(missing)}; convert it to {VERSION} with"
        raise StoreUnavailable(f"{client.remote} {text} `ovsdb-client convert {PATH.name}`")
    _chains(client)
    mirror = Mirror(client.watched(DATABASE), breathe)
    found = mirror.take(first)
    if mirror.generation > GENERATION:
        text = f"holds generation {mirror.generation}, this release reads up to {GENERATION}"
        raise StoreUnavailable(f"{client.remote} {text}; upgrade this program")
    return Connection(client, mirror), found


def _initialise(client: Client) -> None:
    """Make the one row of Store unless somebody did."""
    if client.transact(DATABASE, [select("Store", [], ["revision"])])[0].rows:
        return
    row = {"revision": 0, "generation": GENERATION, "cluster": str(uuid4())}
    try:
        client.transact(DATABASE, [wait("Store", []), insert("Store", row), commit()])
    except OvsdbError:
        if not client.transact(DATABASE, [select("Store", [], ["revision"])])[0].rows:
            raise


def _chains(client: Client) -> None:
    """Make the rows of Chain unless somebody did: what was before them is in no chain."""
    for name in ("revisions", "audit"):
        mine = [("name", "==", name)]
        look = [select("Chain", mine, ["name"]), select("Store", [], ["revision"])]
        for _ in range(_MAKING):
            found, store = client.transact(DATABASE, look)
            if found.rows:
                break
            revision = int(str((store.rows or ())[0]["revision"]))
            still = [wait("Store", [], {"revision": revision}), wait("Chain", mine)]
            row = rows.chain_row(Chain(name, floor=revision))
            with suppress(OvsdbError):  # somebody else was first, or wrote meanwhile
                client.transact(DATABASE, [*still, insert("Chain", row), commit()])
