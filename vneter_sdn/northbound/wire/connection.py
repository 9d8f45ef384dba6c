# SPDX-License-Identifier: Apache-2.0
"""One connection: requests in, each whole and in time, and answers out, as fast as they are read.

The event loop reads and writes; the application runs on a thread, and only once there is a whole
request to run it with. So a client that is slow, or means to be, costs a coroutine and no thread.
Parsing is h11's, which knows nothing of sockets and is strict about what two parties could read
differently (RFC 9112 §11.2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

import h11
import msgspec

from vneter_sdn.model import jsontext
from vneter_sdn.northbound import problems
from vneter_sdn.northbound.wire.gateway import (
    OVER,
    VALID,
    Answer,
    Application,
    Environ,
    Head,
    Headers,
    Peer,
    environ_of,
    with_body,
)
from vneter_sdn.northbound.wire.heads import (
    MAX_HEADER,
    Refusal,
    head_of,
    not_http,
    require_strict,
    require_strict_end,
)
from vneter_sdn.northbound.wire.workers import Workers

_LOG = logging.getLogger("vneter.api")
_READ = 64 * 1024
_PIECE = 256 * 1024
"""Octets that are handed to the kernel at once; each piece has a stalled client's time."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a client may take."""

    idle: float = 30.0
    """Before the first octet of a request."""
    head: float = 10.0
    """For the first line and the headers."""
    silence: float = 10.0
    """Between two reads of a body."""
    body: float = 60.0
    """For a whole body."""
    stall: float = 30.0
    """To take `_PIECE` of an answer."""
    handshake: float = 5.0
    """For the TLS handshake."""
    drain: float = 5.0
    """That a stopping server waits for requests under way."""


Gate = Callable[[Environ], None]
"""Judges a request by its headers, before its body is read; raises `Refusal`, and may note in the
environment who asks."""


class House(Protocol):
    """What connections share."""

    app: Application
    gate: Gate
    workers: Workers
    pace: Pace
    draining: bool

    def reserve(self, octets: int) -> bool:
        """Whether so much of a body may be kept; if so, it counts until it is released."""

    def release(self, octets: int) -> None:
        """It is not kept any more."""


def _fresh() -> h11.Connection:
    """Of a connection, nothing read yet."""
    return h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER)


class Connection:
    """One client."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        house: House,
    ) -> None:
        self._reader, self._writer, self._peer, self._house = reader, writer, peer, house
        self._http = _fresh()
        self._loop = asyncio.get_running_loop()
        self._path, self._method = "/", ""
        self._kept = 0
        self._begun = False
        self.idle = True
        """Whether it is between requests, and may be closed at any time."""
        writer.transport.set_write_buffer_limits(high=_PIECE)

    async def run(self) -> None:
        """Serve until either side has enough."""
        try:
            while await self._request():
                self._http.start_next_cycle()
        except Refusal as refusal:
            await self._refuse(refusal)
        except (OSError, TimeoutError, h11.ProtocolError):
            self._writer.transport.abort()
        finally:
            self._house.release(self._kept)
            await self._close()

    async def _request(self) -> bool:
        """One request and its answer; whether another one may follow."""
        head = await self._head()
        if head is None:
            return False
        self._path, self._method = head.path, head.method
        try:
            environ = environ_of(head, self._peer)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        self._house.gate(environ)
        environ = with_body(environ, await self._body(head))
        await self._answered(environ)
        self._house.release(self._kept)
        self._kept = 0
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return done and not self._house.draining

    # ---- reading

    async def _head(self) -> Head | None:
        self._begun, self._path, self._method = False, "/", ""
        skipped = self._skipped()
        self.idle = not self._http.trailing_data[0]
        if self.idle:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._house.pace.idle):
                    self._http.receive_data(await self._reader.read(_READ))
                    self.idle = False
            if self.idle or self._house.draining:
                return None
        try:
            async with asyncio.timeout(self._house.pace.head):
                while not skipped and self._http.trailing_data == (b"\r", False):
                    self._http.receive_data(await self._reader.read(_READ))
                if not skipped:
                    self._skipped()
                event = await self._event()
        except TimeoutError:
            raise Refusal(408, "the request's headers take too long to arrive") from None
        if not isinstance(event, h11.Request):
            return None
        return head_of(event)

    def _skipped(self) -> bool:
        """Whether an empty line came before a request, as old clients send one after a body.

        It is ignored then (RFC 9112 §2.2). h11 takes none: it is given what follows, anew.
        """
        held, ended = self._http.trailing_data
        if not held.startswith(b"\r\n"):
            return False
        self._http = _fresh()
        if held[2:]:
            self._http.receive_data(held[2:])
        if ended:
            self._http.receive_data(b"")
        return True

    async def _body(self, head: Head) -> bytes:
        length = int(head.get("content-length") or 0)
        if length > jsontext.MAX_BYTES:
            raise _too_large()
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        pace = self._house.pace
        try:
            async with asyncio.timeout(pace.body):
                while isinstance(event := await self._event(pace.silence), h11.Data):
                    self._keep(len(event.data))
                    body += event.data
        except TimeoutError:
            raise Refusal(408, "the request's body takes too long to arrive") from None
        return bytes(body)

    def _keep(self, octets: int) -> None:
        if self._kept + octets > jsontext.MAX_BYTES:
            raise _too_large()
        if not self._house.reserve(octets):
            detail = "too many requests are being received at once; try again"
            raise Refusal(503, detail, [("Retry-After", "1")])
        self._kept += octets

    async def _event(self, silence: float | None = None) -> Any:
        """The next event; `NEED_DATA` never is one."""
        while True:
            held = self._http.trailing_data[0]
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise not_http(error) from None
            if isinstance(event, h11.Request):
                require_strict(held)
            if isinstance(event, h11.EndOfMessage):
                require_strict_end(held[: len(held) - len(self._http.trailing_data[0])])
            if event is not h11.NEED_DATA:
                return event
            async with asyncio.timeout(silence):
                self._http.receive_data(await self._reader.read(_READ))

    # ---- answering

    async def _answered(self, environ: Environ) -> None:
        environ[OVER] = partial(self._over, environ.get(VALID, _always))
        done = asyncio.Event()

        def job() -> None:
            self._serve(environ)
            with suppress(RuntimeError):  # the loop ended; nobody waits
                self._loop.call_soon_threadsafe(done.set)

        self._house.workers.do(job)
        await done.wait()

    def _over(self, valid: Callable[[], bool]) -> bool:
        gone = self._writer.transport.is_closing() or self._reader.at_eof()
        return self._house.draining or gone or not valid()

    def _serve(self, environ: Environ) -> None:
        """Run the application. On a thread."""
        answer = Answer()
        try:
            chunks = self._house.app(environ, answer.start)
            try:
                self._stream(answer, chunks, environ)
            finally:
                getattr(chunks, "close", lambda: None)()
        except (OSError, TimeoutError):
            self._lost()
        except Exception:  # noqa: BLE001 -- of the application; the thread goes on
            _LOG.exception("%s %r failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            self._lost()

    def _stream(self, answer: Answer, chunks: Iterable[bytes], environ: Environ) -> None:
        silent = environ["REQUEST_METHOD"] == "HEAD"
        valid = environ.get(VALID, _always)
        for chunk in chunks:
            if chunk and not silent:
                if self._begun and not valid():
                    raise ConnectionAbortedError("whoever asked may not read on")
                self._send(answer, chunk)
        self._send(answer, b"", last=True)

    def _send(self, answer: Answer, data: bytes, last: bool = False) -> None:
        events: list[Any] = []
        if not self._begun:
            self._begun = True
            events.append(self._response(answer))
        events += [h11.Data(data=data[at : at + _PIECE]) for at in range(0, len(data), _PIECE)]
        if last:
            events.append(h11.EndOfMessage())
        if self._loop.is_closed():
            raise ConnectionAbortedError("the server ended")
        try:
            asyncio.run_coroutine_threadsafe(self._write(*events), self._loop).result()
        except CancelledError:  # the server ends, and does not wait any longer
            raise ConnectionAbortedError("the server ends") from None

    def _response(self, answer: Answer) -> h11.Response:
        headers = [
            (name.encode("ascii"), value.encode("latin-1")) for name, value in answer.headers
        ]
        headers.append((b"Date", formatdate(usegmt=True).encode()))
        if self._house.draining:
            headers.append((b"Connection", b"close"))
        phrase = _PHRASES.get(answer.status, "")
        return h11.Response(status_code=answer.status, headers=headers, reason=phrase)

    async def _write(self, *events: Any) -> None:
        held = b""
        for event in events:  # the head goes along with what follows it
            held += self._http.send(event) or b""
            if len(held) >= _PIECE:
                await self._flush(held)
                held = b""
        await self._flush(held)

    async def _flush(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            async with asyncio.timeout(self._house.pace.stall):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise ConnectionAbortedError("the client does not read its answer") from None

    def _lost(self) -> None:
        """The answer can't be completed: cut it off, so that nobody takes it for whole."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._writer.transport.abort)

    # ---- ending

    async def _refuse(self, refusal: Refusal) -> None:
        sort = problems.sort_of_status(refusal.status)
        body = msgspec.json.encode(problems.details(sort, refusal.detail, quote(self._path, "/%")))
        headers: Headers = [
            ("Content-Type", problems.MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *refusal.headers,
        ]
        answer = self._response(Answer(refusal.status, headers))
        with suppress(OSError, TimeoutError, h11.ProtocolError):
            data = () if self._method == "HEAD" else (h11.Data(data=body),)
            await self._write(answer, *data, h11.EndOfMessage())
            await self._linger()

    async def _linger(self) -> None:
        """Read on for a while: closing on unread octets would take the answer with it."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = _LINGER_BYTES
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (data := await self._reader.read(_READ)):
                left -= len(data)

    async def _close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def cut(self) -> None:
        """End it now."""
        self._writer.transport.abort()


def _always() -> bool:
    return True


def _too_large() -> Refusal:
    return Refusal(413, f"request bodies are at most {jsontext.MAX_BYTES} bytes long")
