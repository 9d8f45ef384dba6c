# SPDX-License-Identifier: Apache-2.0
"""What the REST server has the core do at once, and waits for: a unix socket between the two.

Everything else goes through the store. A packet to inject is no intent: it is not kept, nobody else
is to see it, and whoever asked waits for what became of it. One request to a connection, a line of
JSON each way.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import eventlet
import eventlet.green.socket as green
import msgspec

from vneter_sdn.daemon.heartbeat import errand_socket
from vneter_sdn.errors import (
    Conflict,
    IntentError,
    NotFound,
    Problem,
    StoreUnavailable,
    VneterError,
)
from vneter_sdn.northbound.schemas import Injection

_log = logging.getLogger(__name__)
SECONDS = 20.0
"""That an errand may take."""
_LONGEST = 1 << 16
_ANSWER = 1 << 22
_AT_ONCE = 8
_ERRORS: dict[str, type[VneterError]] = {
    "Conflict": Conflict,
    "NotFound": NotFound,
    "StoreUnavailable": StoreUnavailable,
}

Do = Callable[[Injection], dict[str, Any]]


def serve(run_dir: str, do: Do) -> None:
    """Do errands, for ever, in the core; only its own user may ask."""
    path = errand_socket(run_dir)
    path.unlink(missing_ok=True)
    with closing(green.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listening:
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen(_AT_ONCE)
        pool = eventlet.GreenPool(_AT_ONCE)
        while True:
            wire, _ = listening.accept()
            pool.spawn_n(_serve_one, wire, do)


def _serve_one(wire: Any, do: Do) -> None:
    with closing(wire), suppress(OSError):
        wire.settimeout(SECONDS)
        wire.sendall(json.dumps(_done(_line(wire, _LONGEST), do)).encode() + b"\n")


def _done(asked: bytes, do: Do) -> dict[str, Any]:
    try:
        return {"result": do(msgspec.json.decode(asked, type=Injection))}
    except IntentError as refused:
        problem = refused.problems[0]
        told = (problem.object, problem.field, problem.reason, problem.message)
        return {"error": "IntentError", "told": told}
    except VneterError as refused:
        return {"error": type(refused).__name__, "told": [str(refused)]}
    except msgspec.MsgspecError as refused:
        return {"error": "VneterError", "told": [str(refused)]}
    except Exception:  # noqa: BLE001 - whoever asked is told, and the next one may ask
        _log.exception("an errand failed")
        return {"error": "VneterError", "told": ["the core failed; its log says how"]}


def ask(run_dir: str, asked: Injection) -> dict[str, Any]:
    """Have the core do it, from another process.

    Raises:
        VneterError: what the core raised, or StoreUnavailable when it cannot be reached.
    """
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as wire:
        wire.settimeout(SECONDS)
        try:
            wire.connect(str(errand_socket(run_dir)))
            wire.sendall(msgspec.json.encode(asked) + b"\n")
            answer = json.loads(_line(wire, _ANSWER))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no answer"
            raise StoreUnavailable(f"the core does not answer: {why}") from None
    if "error" not in answer:
        result: dict[str, Any] = answer["result"]
        return result
    if answer["error"] == "IntentError":
        raise IntentError(Problem(*answer["told"]))
    raise _ERRORS.get(answer["error"], VneterError)(*answer["told"])


def _line(wire: Any, longest: int) -> bytes:
    """Up to a newline.

    Raises:
        OSError: there is none.
    """
    data = b""
    while not data.endswith(b"\n"):
        more = wire.recv(_LONGEST)
        if not more or len(data) > longest:
            raise OSError("no whole line")
        data += more
    return data
