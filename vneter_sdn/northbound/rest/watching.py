# SPDX-License-Identifier: Apache-2.0
"""Handlers that tell what happens, as server-sent events.

A watch holds a thread and a position in the feed, and no queue: what its client does not take
waits in the socket, then in the feed, which keeps so much and no more. A client that stays away
for longer is told ``gone``; one that takes nothing at all is cut off by the server's time limit
for writing. Nobody else notices.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from flask import Response, request
from werkzeug.exceptions import ServiceUnavailable

from vneter_sdn.errors import Gone, IntentError, Problem, StoreUnavailable, Throttled
from vneter_sdn.model.kinds import KINDS, Kind
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.northbound import listed, resources
from vneter_sdn.northbound.access.identity import Identity
from vneter_sdn.northbound.feed import Event, Feed, Position
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.selecting import Selection, selection
from vneter_sdn.northbound.routes import EVENT_STREAM, Route
from vneter_sdn.northbound.wire.gateway import OVER

HEARTBEAT = 10.0
"""Seconds of silence after which a watch says that it is alive, and how far it came."""
COME_AGAIN = 5
"""Seconds after which a client that found no room may ask again."""
_RECONNECT = 1000
_SLICE = 0.5
_PIECE = 32 * 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one watch is of."""

    chosen: Selection
    until: float
    gone: Callable[[], bool]
    """Whether nobody reads it any more."""


class Room:
    """Who watches. One credential has at most half of the room, and always room for one."""

    def __init__(self, most: int) -> None:
        """Room for so many."""
        self._most, self._share, self._lock = most, max(1, most // 2), threading.Lock()
        self._inside: Counter[str] = Counter()

    def enter(self, identity: Identity) -> Callable[[], None]:
        """Begin to watch; what is answered ends it.

        Raises:
            Throttled: this credential watches as often as it may.
            ServiceUnavailable: as many watch as may.
        """
        name = "" if identity.via == "local" else identity.name
        with self._lock:
            if name and self._inside[name] >= self._share:
                what = f"{identity.name} watches {self._share} times, as often as one may"
                raise Throttled(what, COME_AGAIN)
            if self._inside.total() >= self._most:
                what = "as many clients watch as may; ask again in a moment"
                raise ServiceUnavailable(what, retry_after=COME_AGAIN)
            self._inside[name] += 1
        return partial(self._leave, name)

    def _leave(self, name: str) -> None:
        with self._lock:
            self._inside[name] -= 1
            if not self._inside[name]:
                del self._inside[name]


class Watches:
    """Watches of one feed."""

    def __init__(
        self,
        feed: Feed,
        most: int,
        longest: float = 1800.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve at most so many at once, for at most ``longest`` seconds each."""
        self._feed, self._longest, self._clock = feed, longest, clock
        self._room = Room(most)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End every watch soon."""
        self._stopping.set()

    def watch(self, route: Route, tenant: str = "") -> Response:
        """What happens to objects, from a position on or from now on."""
        query = requests.query(route)
        chosen = selection(query, _kinds(query.get("kinds", "")), tenant)
        position = self._since(query)
        until = self._clock() + min(query.get("timeout", self._longest), self._longest)
        if request.method == "HEAD":
            return _streamed(iter(()))  # of no length, as the stream has none
        over: Callable[[], bool] = request.environ.get(OVER, bool)
        leave = self._room.enter(requests.identity())
        stream = self._stream(_Asked(chosen, until, over), position)
        response = _streamed(stream)
        response.call_on_close(leave)
        return response

    def _since(self, query: dict[str, Any]) -> Position | None:
        text = query.get("since") or request.headers.get("Last-Event-ID")
        if not text:
            return None
        try:
            position = self._feed.read(text)
        except ValueError:
            where = ("query", "since") if query.get("since") else ("header", "Last-Event-ID")
            problem = Problem(*where, "InvalidPosition", "nobody gave that out")
            raise requests.Malformed(problem) from None
        self._feed.after(position)
        return position

    def _stream(self, asked: _Asked, position: Position | None) -> Iterator[bytes]:
        yield b"retry: %d\n\n" % _RECONNECT
        try:
            if position is None:
                position, snapshot = self._feed.now()
                yield from _gathered(_present(snapshot, asked.chosen))
                yield self._bookmark(position, snapshot.revision)
            yield from self._follow(asked, position)
        except Gone as error:
            yield _written("gone", 0, "", detail=str(error))
        except StoreUnavailable:
            return

    def _follow(self, asked: _Asked, position: Position) -> Iterator[bytes]:
        told, quiet = position, self._clock() + HEARTBEAT
        while not asked.gone():
            events, then = self._feed.after(position)
            for lines in _gathered(self._line(event, asked.chosen) for event in events):
                yield lines
                told, quiet = then, self._clock() + HEARTBEAT
            late = self._clock() - asked.until
            over = self._stopping.is_set() or late >= (0 if then == position else HEARTBEAT)
            if over or self._clock() >= quiet:
                yield self._alive(then, told)
                told, quiet = then, self._clock() + HEARTBEAT
            if over:
                return
            if then == position:
                left = min(asked.until, quiet) - self._clock()
                self._feed.wait(position, max(0.0, min(left, _SLICE)))
            position = then

    def _alive(self, position: Position, told: Position) -> bytes:
        if position == told:
            return b": alive\n\n"
        return self._bookmark(position, self._feed.now()[1].revision)

    def _bookmark(self, position: Position, revision: int) -> bytes:
        return _written("bookmark", revision, self._feed.written(position))

    def _line(self, event: Event, chosen: Selection) -> bytes:
        was = chosen.of_json(event.key, event.before)
        is_now = chosen.of_json(event.key, event.after)
        if not was and not is_now:
            return b""
        sort = "modified" if was and is_now else "added" if is_now else "deleted"
        manifest = event.after if is_now else event.before
        told = msgspec.Raw(manifest or b"")
        return _written(sort, event.revision, self._feed.written(event.then), told)


def _streamed(pieces: Iterator[bytes]) -> Response:
    return Response(pieces, mimetype=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


def _gathered(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The same in pieces worth sending, for each costs a turn of the server's."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _present(snapshot: Snapshot, chosen: Selection) -> Iterator[bytes]:
    """Everything there is; without positions, for whoever loses this begins anew."""
    for kind in sorted(chosen.kinds):
        for key in listed.keys_of(snapshot, kind, chosen.tenant):
            manifest = listed.manifest(snapshot, key)
            if chosen.of(key, manifest):
                yield _written("added", snapshot.revision, "", manifest)


def _written(
    sort: str, revision: int, position: str, manifest: Any = None, detail: str = ""
) -> bytes:
    data: dict[str, Any] = {"type": sort, "revision": revision, "position": position}
    data |= {"object": manifest} if manifest is not None else {}
    data |= {"detail": detail} if detail else {}
    name = f"id: {position}\n" if position else ""
    return f"{name}event: {sort}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


def _kinds(text: str) -> dict[str, Kind]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return dict(KINDS)
    try:
        return {kind.name: kind for kind in map(resources.find_kind, words)}
    except IntentError as error:
        raise requests.Malformed(
            *(Problem("query", "kinds", one.reason, one.message) for one in error.problems)
        ) from None
