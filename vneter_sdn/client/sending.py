# SPDX-License-Identifier: Apache-2.0
"""Requests as JSON, asked again where that is safe, and failures as errors of ours."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from vneter_sdn.client.transport import Dropped, Reply, Silent, Transport
from vneter_sdn.errors import (
    Forbidden,
    StoreUnavailable,
    Throttled,
    Unauthenticated,
    VneterError,
)
from vneter_sdn.northbound.problems import error_from

Sleep = Callable[[float], None]
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between two attempts, where the server names none."""
_LONGEST = 10.0
"""Seconds that are waited for a server that is too busy, between two attempts."""
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Request:
    """One question."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"
    """Of the body."""
    key: str = ""
    """By which the server knows that it answered it before; made anew where it is empty."""
    once: bool = False
    """The server keeps no key of it: when its answer is lost, nobody knows whether it was done."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to it."""

    value: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """Which state of an object it is; empty where it is none."""
        return self.headers.get("etag", "")


class Sender:
    """Asks one server. Safe to share among threads."""

    def __init__(
        self,
        transport: Transport,
        headers: Mapping[str, str],
        *,
        attempts: int = 4,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Ask with some headers, at most so many times."""
        self.transport, self._headers = transport, dict(headers)
        self._attempts, self._sleep = attempts, sleep

    def patient(self, timeout: float) -> Sender:
        """The same, but for how long it waits for anything to arrive."""
        return Sender(self.transport.patient(timeout), self._headers, attempts=self._attempts)

    def ask(self, request: Request) -> Answer:
        """Ask, and ask again after a broken connection or when the server is too busy.

        A write carries a key, so that the server does once what it is asked twice; one that is to
        be asked `Request.once` is not asked again.

        Raises:
            VneterError: what the server reported, or that it cannot be reached.
        """
        data = None if request.body is None else json.dumps(request.body).encode()
        headers = self.headers(request, data is not None)
        for attempt in range(self._attempts):
            last = attempt == self._attempts - 1
            try:
                reply = self.transport.exchange(request.method, request.target, data, headers)
                return Answer(self._value(reply), reply.headers)
            except Throttled as busy:
                if last or busy.retry_after > _LONGEST:
                    raise
                self._sleep(busy.retry_after)
            except Silent:
                raise
            except Dropped:
                if last or request.once:
                    raise
                self._sleep(_PAUSES[attempt])
            except StoreUnavailable:
                if not attempt or last:  # nobody was there to begin with
                    raise
                self._sleep(_PAUSES[attempt])
        raise AssertionError("attempts are at least one")

    def headers(self, request: Request, written: bool = False) -> dict[str, str]:
        """What goes with a request."""
        headers = {"Accept": "application/json", **self._headers}
        if written:
            headers["Content-Type"] = request.media
        if request.method not in _SAFE and not request.once:
            headers["Idempotency-Key"] = request.key or os.urandom(16).hex()
        return headers | dict(request.headers)

    def _value(self, reply: Reply) -> dict[str, Any]:
        value = self.parsed(reply)
        if reply.status >= 400:
            raise failure(reply, value)
        return value

    @contextmanager
    def understood(self) -> Iterator[None]:
        """What is read of an answer within is there.

        Raises:
            StoreUnavailable: it is not.
        """
        try:
            yield
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._foreign() from None

    def _foreign(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.transport.server} does not speak vneter's REST")

    def parsed(self, reply: Reply) -> dict[str, Any]:
        """The JSON object of an answer.

        Raises:
            StoreUnavailable: it is none.
        """
        try:
            value = json.loads(reply.data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._foreign()
        return value


def failure(reply: Reply, document: Mapping[str, Any]) -> VneterError:
    """The error that an answer stands for."""
    detail = str(document.get("detail") or document.get("title") or f"HTTP status {reply.status}")
    if reply.status == 401:
        return Unauthenticated(detail)
    if reply.status == 403:
        return Forbidden(detail)
    if reply.status == 429:
        return Throttled(detail, _seconds(reply.headers.get("retry-after", "")))
    return error_from(reply.status, document)


def _seconds(text: str) -> float:
    try:
        return max(0.0, min(float(text), 86400.0))
    except ValueError:
        return 1.0
