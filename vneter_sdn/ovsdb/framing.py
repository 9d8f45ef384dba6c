# SPDX-License-Identifier: Apache-2.0
"""Cut a byte stream into JSON objects (RFC 7047 §4: messages follow each other unframed).

Sans-IO. The boundary is found by a regular expression that swallows whole balanced stretches,
so the work is done at C speed and every byte is looked at a bounded number of times, however
the bytes are cut into chunks. Decoding is msgspec's: it refuses NaN, lone surrogates, bad UTF-8
and numbers that do not fit, which the standard library's ``json`` lets through.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import msgspec

from vneter_sdn.errors import DecodeError

HOST_CAP = 4 << 20
"""Largest message accepted from a host, in bytes."""
STORE_CAP = 512 << 20
"""Largest message accepted from a database of our own, in bytes."""
MAX_DEPTH = 64
"""Deepest nesting of arrays and objects; OVSDB itself never needs ten."""

_LARGE = 1 << 20
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = rb'[^"\[\]{}]++|' + _STRING
# Matches nothing. Python before 3.11.5, as on a Debian 12 that is not up to date, goes on behind
# what the last round of a possessive loop read before it failed; to try one more way goes back.
_BACK = rb"|(?!)"


@cache
def _balanced(levels: int) -> re.Pattern[bytes]:
    """A pattern for any run of JSON text whose brackets nest at most ``levels`` deep."""
    run = rb"(?:" + _FLAT + _BACK + rb")*+"
    for _ in range(levels):
        run = rb"(?:" + _FLAT + rb"|[\[{]" + run + rb"[\]}]" + _BACK + rb")*+"
    return re.compile(run, re.DOTALL)


_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_OPEN, _CLOSE, _QUOTE = frozenset(b"{["), frozenset(b"}]"), ord('"')


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from walking a large tree while it is being built."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


class Splitter:
    """Feed it chunks, iterate over decoded messages.

    Args:
        cap: largest message, in bytes.
        depth: deepest nesting.
    """

    def __init__(self, cap: int = HOST_CAP, depth: int = MAX_DEPTH) -> None:
        self._cap, self._max_depth = cap, depth
        self._skip = _balanced(depth - 1)
        self._decode = msgspec.json.Decoder().decode
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = self._stepped = False
        self._consumed = 0

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """Add bytes and yield every message they complete.

        Raises:
            DecodeError: not a JSON object, too large, or nested too deep. The splitter is of no
                use afterwards.
        """
        self._buffer += chunk
        while self._advance():
            yield self._take()
        if len(self._buffer) > self._cap:
            raise self._error(f"message larger than {self._cap} bytes")

    def _advance(self) -> bool:
        """Move on to the end of a message (true) or of the buffer (false)."""
        buffer = self._buffer
        if not self._depth and not self._begin():
            return False
        while self._position < len(buffer):
            if self._in_string and not self._leave_string():
                return False
            self._position = _end(self._skip, buffer, self._position)
            if self._position >= len(buffer):
                return False
            if self._step(buffer[self._position]):
                return True
        return False

    def _begin(self) -> bool:
        """Skip the white space between messages and enter the next one, if there is one."""
        buffer = self._buffer
        space = _end(_SPACE, buffer, 0)
        del buffer[:space]
        self._consumed += space
        if not buffer:
            return False
        if buffer[0] != ord("{"):
            raise self._error("expected a JSON object")
        self._position = self._depth = 1
        return True

    def _leave_string(self) -> bool:
        """Go past the closing quote; false while it has not arrived."""
        self._position = _end(_IN_STRING, self._buffer, self._position)
        if self._position >= len(self._buffer) or self._buffer[self._position] != _QUOTE:
            return False
        self._position += 1
        self._in_string = False
        return True

    def _step(self, byte: int) -> bool:
        """Take one bracket or quote; true when it ends the message."""
        self._position += 1
        if byte in _CLOSE:
            self._depth -= 1
        elif byte in _OPEN:
            self._depth += 1
            self._stepped = True
            if self._depth > self._max_depth:
                raise self._error(f"nested deeper than {self._max_depth}")
        else:
            self._in_string = True
        return not self._depth

    def _take(self) -> dict[str, Any]:
        """Decode the message that ends at the position and drop it from the buffer."""
        length, self._position = self._position, 0
        if length > self._cap:
            raise self._error(f"message larger than {self._cap} bytes")
        if self._stepped and _end(self._skip, self._buffer, 1) != length - 1:
            raise self._error(f"nested deeper than {self._max_depth}, or mismatched")
        self._stepped = False
        try:
            pause = collection_paused() if length > _LARGE else nullcontext()
            with pause, memoryview(self._buffer) as view, view[:length] as text:
                message = self._decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self._error(f"not JSON: {error}") from None
        del self._buffer[:length]
        self._consumed += length
        return message  # type: ignore[no-any-return]

    def _error(self, what: str) -> DecodeError:
        return DecodeError(what, self._consumed + self._position)


def _end(pattern: re.Pattern[bytes], buffer: bytearray, position: int) -> int:
    """Where a pattern that always matches stops; the match must not outlive this call."""
    found = pattern.match(buffer, position)
    return found.end() if found else position
