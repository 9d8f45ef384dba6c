# SPDX-License-Identifier: Apache-2.0
"""An OVSDB client (RFC 7047 and ovsdb-server(7)) over one connection.

Blocking in style, so that a caller reads top to bottom; every wait has a deadline and gives way
through the injected `Network`. One thread uses a client at a time; only `Client.interrupt` may be
called from another. Whoever keeps a client over TCP or TLS open must call `Client.poll` now and
then: answers to the server's echo requests are given while a call is waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vneter_sdn.errors import DecodeError, SessionClosed
from vneter_sdn.ovsdb import protocol
from vneter_sdn.ovsdb.framing import HOST_CAP, Splitter, collection_paused
from vneter_sdn.ovsdb.protocol import Notification, Reply, Request, Result, Update, Watched
from vneter_sdn.ovsdb.schema import Schema
from vneter_sdn.ovsdb.transport import Network, Stream, TlsFiles
from vneter_sdn.ovsdb.values import decode_uuid_text

_T = TypeVar("_T")

PLAIN = Network()
"""Standard library sockets, for threads."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client bears."""

    message: int = HOST_CAP
    """Largest incoming message, in bytes; `framing.STORE_CAP` for a database of our own."""
    deadline: float = 10.0
    """Seconds for connecting, for an answer, and for the rest of a message once it has begun."""
    probe: float = 5.0
    """Seconds of silence before an echo request, and again before giving up; 0 never asks, nor
    does anybody while an answer is waited for."""
    backlog: int = 65536
    """Updates kept for a caller that does not poll."""


LIMITS = Limits()
"""For hosts."""


@dataclass(slots=True)
class Counters:
    """What a client saw that it had no use for."""

    unknown_replies: int = 0
    unknown_notifications: int = 0
    refused_requests: int = 0


class Client:
    """A connection to one server.

    Args:
        remote: ``unix:PATH``, ``tcp:HOST:PORT`` or ``ssl:HOST:PORT``.
        network: sockets, select and clock; `PLAIN` by default.
        limits: caps and deadlines.
        tls: key and certificates, for ``ssl:``.

    Raises:
        SessionClosed: from every method: the connection is gone (and this client with it). Whether
            a transaction under way was committed is then unknown.
        DecodeError: from every method: the peer broke the protocol; the connection is closed.
    """

    def __init__(
        self,
        remote: str,
        *,
        network: Network = PLAIN,
        limits: Limits = LIMITS,
        tls: TlsFiles | None = None,
    ) -> None:
        self.remote, self.limits, self.counters = remote, limits, Counters()
        self._clock = network.clock
        self._splitter = Splitter(limits.message)
        self._stream = Stream(remote, network, limits.deadline, tls)
        self._serial = 0
        self._answers: dict[int, Reply] = {}
        self._awaited: set[int] = set()
        self._echoes: set[int] = set()
        self._monitors: dict[str, tuple[str, Watched]] = {}
        self._updates: deque[Update] = deque()
        self._heard = self._clock()
        self._begun: float | None = None
        self._probe: int | None = None

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._stream.closed

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def interrupt(self) -> None:
        """Make a waiting `poll` return soon; safe from another thread or greenthread."""
        self._stream.interrupt()

    def list_dbs(self) -> list[str]:
        """Names of the databases (RFC 7047 §4.1.1)."""
        names = self._call("list_dbs", [])
        if not isinstance(names, list) or any(not isinstance(name, str) for name in names):
            raise self._broken(DecodeError("list_dbs: not a list of names"))
        return names

    def get_schema(self, database: str) -> Schema:
        """Schema of a database (RFC 7047 §4.1.2).

        Raises:
            OvsdbError: there is no such database.
        """
        return self._guard(Schema.parse, self._call("get_schema", [database]))

    def transact(
        self, database: str, operations: Sequence[Mapping[str, Any]], timeout: float | None = None
    ) -> list[Result]:
        """Do all of the operations or none (RFC 7047 §4.1.3).

        Args:
            database: its name.
            operations: as `vneter_sdn.ovsdb.operations` builds them.
            timeout: seconds, instead of the client's deadline.

        Returns:
            One result for each operation.

        Raises:
            OvsdbError: refused; ``index`` says which operation.
        """
        raw = self._call("transact", [database, *operations], timeout)
        return self._guard(protocol.decode_results, raw, len(operations))

    def monitor(
        self,
        database: str,
        requests: Mapping[str, Sequence[str] | None],
        *,
        schema: Schema | None = None,
        since: str = protocol.ZERO_TXN,
        timeout: float | None = None,
    ) -> Update:
        """Watch columns of tables (``monitor_cond_since``, ovsdb-server(7) §4.1.15).

        Args:
            database: its name.
            requests: columns by table, None for all; what the server has not is left out.
            schema: of the database, asked for when not given.
            since: ``Update.last_txn`` of the last update seen, to be told only what changed after
                it, where the server still knows.
            timeout: seconds, instead of the client's deadline.

        Returns:
            The present contents, or what changed since. Everything after it comes from `poll`.
        """
        schema = schema or self.get_schema(database)
        watched = protocol.watched_columns(schema, requests)
        name = f"vneter-{len(self._monitors)}"
        self._monitors[name] = (database, watched)
        wanted = {table: [{"columns": sorted(columns)}] for table, columns in watched.items()}
        raw = self._call("monitor_cond_since", [database, name, wanted, since], timeout)
        with collection_paused():
            return self._guard(protocol.decode_since, raw, watched, database)

    def watched(self, database: str) -> Watched:
        """What the newest monitor of a database watches; what `replica.Replica` wants to know.

        Raises:
            KeyError: it is not monitored.
        """
        return next(
            watched for name, watched in reversed(self._monitors.values()) if name == database
        )

    def poll(self, timeout: float | None = 0.0) -> list[Update]:
        """Updates that arrived, in order; waits up to ``timeout`` seconds for the first one.

        Returns early and empty after `interrupt`. None waits for ever.
        """
        until = None if timeout is None else self._clock() + timeout
        while not self._updates and not self._stream.woken:
            left = None if until is None else max(0.0, until - self._clock())
            self._step(left, heed=True)
            if left == 0.0:
                break
        self._stream.woken = False
        updates = list(self._updates)
        self._updates.clear()
        return updates

    def _call(self, method: str, params: Sequence[Any], timeout: float | None = None) -> Any:
        seconds = self.limits.deadline if timeout is None else timeout
        until = self._clock() + seconds
        serial = self._request(method, params)
        while serial not in self._answers:
            left = until - self._clock()
            if left <= 0:
                raise self._lost(f"no answer to {method} within {seconds:g} s")
            self._step(left)
        reply = self._answers.pop(serial)
        if reply.error is not None:
            raise self._guard(protocol.refusal, reply.error)
        return reply.result

    def _request(self, method: str, params: Sequence[Any]) -> int:
        self._serial += 1
        (self._echoes if method == "echo" else self._awaited).add(self._serial)
        data = protocol.encode_request(self._serial, method, params)
        self._stream.send(data, self.limits.deadline)
        return self._serial

    def _step(self, timeout: float | None, *, heed: bool = False) -> None:
        """Read at most once, and act on every whole message; ``heed`` interrupts by not waiting."""
        if self._stream.closed:
            raise SessionClosed(f"{self.remote}: closed")
        data = self._stream.receive(0.0)
        if data is None and not (heed and self._stream.woken):
            wake = self._keep_alive()
            waits = [seconds for seconds in (timeout, wake) if seconds is not None]
            data = self._stream.receive(min(waits, default=None))
        if data is not None:
            self._digest(data)

    def _digest(self, data: bytes) -> None:
        self._heard = self._clock()
        self._probe = None
        try:
            for message in self._splitter.feed(data):
                self._begun = None
                self._dispatch(protocol.decode_message(message))
        except DecodeError as error:
            raise self._broken(error) from None
        if not self._splitter.pending:
            self._begun = None
        elif self._begun is None:
            self._begun = self._heard

    def _keep_alive(self) -> float | None:
        """Ask a silent peer whether it is there; seconds until this must be called again."""
        now, limits = self._clock(), self.limits
        waits = []
        if self._begun is not None:
            waits.append(self._begun + limits.deadline - now)
            if waits[-1] <= 0:
                raise self._lost(f"half a message, and no more for {limits.deadline:g} s")
        # A server has one thread: while it works at an answer, for which there is a deadline, it
        # answers no echo. 10,000 objects in one transaction take it seconds.
        if limits.probe and not self._awaited:
            silent = now - self._heard
            if self._probe is not None and silent >= 2 * limits.probe:
                raise self._lost(f"no answer to echo within {limits.probe:g} s")
            if self._probe is None and silent >= limits.probe:
                self._heard = now - limits.probe
                silent = limits.probe
                self._probe = self._request("echo", [])
            waits.append((2 if self._probe is not None else 1) * limits.probe - silent)
        return max(0.0, min(waits)) if waits else None

    def _dispatch(self, message: Request | Notification | Reply) -> None:
        if isinstance(message, Reply):
            self._take_reply(message)
        elif isinstance(message, Notification):
            self._take_notification(message)
        elif message.method == "echo":
            reply = protocol.encode_reply(message.id, message.params)
            self._stream.send(reply, self.limits.deadline)
        else:
            self.counters.refused_requests += 1
            reply = protocol.encode_reply(message.id, None, {"error": "unknown method"})
            self._stream.send(reply, self.limits.deadline)

    def _take_reply(self, reply: Reply) -> None:
        if reply.id in self._echoes:
            self._echoes.discard(int(reply.id))
        elif reply.id in self._awaited:
            self._awaited.discard(int(reply.id))
            self._answers[int(reply.id)] = reply
        else:
            self.counters.unknown_replies += 1

    def _take_notification(self, message: Notification) -> None:
        if message.method in {"update2", "update3"}:
            if len(self._updates) >= self.limits.backlog:
                raise self._lost(f"{self.limits.backlog} updates that nobody fetched")
            self._updates.append(self._update(message.method, message.params))
        elif message.method == "monitor_canceled":
            raise self._lost("the server cancelled the monitor")
        else:
            self.counters.unknown_notifications += 1

    def _update(self, method: str, params: list[Any]) -> Update:
        last = protocol.ZERO_TXN
        if method == "update3" and len(params) == 3:
            last = str(decode_uuid_text(params.pop(1)))
        if len(params) != 2 or not isinstance(params[0], str) or params[0] not in self._monitors:
            raise DecodeError(f"{method} of a monitor that is not ours")
        database, watched = self._monitors[params[0]]
        return Update(database, protocol.decode_table_updates(params[1], watched), last)

    def _guard(self, decode: Callable[..., _T], *given: Any) -> _T:
        """Call a decoder; close the connection when the peer broke the protocol."""
        try:
            return decode(*given)
        except DecodeError as error:
            raise self._broken(error) from None

    def _broken(self, error: DecodeError) -> DecodeError:
        self._stream.close()
        return DecodeError(f"{self.remote}: {error.what}", error.offset)

    def _lost(self, why: str) -> SessionClosed:
        self._stream.close()
        return SessionClosed(f"{self.remote}: {why}")
