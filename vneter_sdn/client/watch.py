# SPDX-License-Identifier: Apache-2.0
"""What happens to objects, for as long as one cares to hear: over lost connections and restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vneter_sdn.client.results import Change, Manifest
from vneter_sdn.client.sending import Request, Sender, failure
from vneter_sdn.errors import Gone, StoreUnavailable, Throttled, VneterError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.resources import key_of

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
Trouble = Callable[[VneterError], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to watch."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    since: str = ""
    """A position of a list; without it, everything that is there comes first."""


class Watch:
    """Changes, one after the other, none lost and none twice.

    A connection that ends is made anew, and goes on where it ended. Where the server does not know
    that place any more, it tells everything again; what that says of the time between is worked out
    here, for which the objects told are kept.
    """

    def __init__(
        self,
        sender: Sender,
        asked: Asked,
        *,
        patience: float = 60.0,
        trouble: Trouble = lambda _error: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch, once it is iterated.

        Args:
            sender: who asks.
            asked: what.
            patience: seconds without a server after which it is an error.
            trouble: told of each lost connection, before another is made.
            sleep: waits between two.
            clock: tells seconds.
        """
        self._sender, self._asked, self._patience = sender, asked, patience
        self._trouble, self._sleep, self._clock = trouble, sleep, clock
        self._position, self._known = asked.since, dict[Key, Manifest]()
        self._seen: set[Key] | None = None if asked.since else set()
        self._told = bool(asked.since)

    def __iter__(self) -> Iterator[Change]:
        """Changes, for ever.

        Raises:
            VneterError: the server refuses, or is gone for too long.
        """
        failures, since = 0, self._clock()
        while True:
            try:
                for change in self._connection():
                    failures, since = 0, self._clock()
                    if change is not None:
                        yield change
                continue  # the server ends answers now and then
            except Gone:
                self._position, self._seen = "", set()
                continue
            except Throttled as busy:
                error, pause = VneterError(str(busy)), busy.retry_after
            except StoreUnavailable as lost:
                error, pause = lost, _PAUSES[min(failures, len(_PAUSES) - 1)]
            if self._clock() - since > self._patience:
                raise error
            self._trouble(error)
            failures += 1
            self._sleep(pause)

    def _connection(self) -> Iterator[Change | None]:
        """The changes of one connection; None for signs of life."""
        headers = {"Accept": "text/event-stream"}
        query = dict(self._asked.query) | ({"since": self._position} if self._position else {})
        request = Request("GET", self._asked.path, query=query, headers=headers)
        if not self._position:
            self._seen = set()
        with self._sender.transport.stream(request.target, self._sender.headers(request)) as (
            reply,
            lines,
        ):
            if reply.status != 200:
                raise failure(reply, self._sender.parsed(reply))
            if not reply.headers.get("content-type", "").startswith("text/event-stream"):
                server = self._sender.transport.server
                raise StoreUnavailable(f"{server} does not speak vneter's REST")
            for event in _events(lines):
                yield from self._event(event)

    def _event(self, event: Mapping[str, Any]) -> Iterator[Change | None]:
        sort, revision = event.get("type"), int(event.get("revision") or 0)
        if sort == "gone":
            raise Gone(str(event.get("detail", "")))
        if sort in {"added", "modified", "deleted"}:
            yield self._change(sort, event["object"], revision)
        elif sort == "bookmark" and self._seen is not None:
            yield from self._missed(revision)
        else:
            yield None
        self._position = str(event.get("position") or self._position)

    def _change(self, sort: str, manifest: Manifest, revision: int) -> Change | None:
        key = key_of(manifest)
        before = self._known.get(key)
        if sort == "deleted":
            self._known.pop(key, None)
            return Change(sort, manifest, revision)
        self._known[key] = manifest
        if self._seen is None:
            return Change(sort, manifest, revision)
        self._seen.add(key)
        if before == manifest:
            return None
        return Change("added" if before is None else "modified", manifest, revision)

    def _missed(self, revision: int) -> Iterator[Change | None]:
        """What is not among all that was told again is not there any more."""
        seen, self._seen = self._seen or set(), None
        for key in [key for key in self._known if key not in seen]:
            yield Change("deleted", self._known.pop(key), revision)
        if not self._told:
            self._told = True
            yield Change("synced", {}, revision)


def _events(lines: Iterator[bytes]) -> Iterator[Mapping[str, Any]]:
    """The JSON of server-sent events, and ``{}`` for comments."""
    data: list[bytes] = []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line.startswith(b":"):
            yield {}
        elif not line and data:
            try:
                value = json.loads(b"\n".join(data))
            except (ValueError, RecursionError):
                raise StoreUnavailable("an event of the watch is not JSON") from None
            data = []
            yield value if isinstance(value, dict) else {}
