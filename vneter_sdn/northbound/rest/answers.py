# SPDX-License-Identifier: Apache-2.0
"""JSON answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Response

from vneter_sdn.northbound import resources
from vneter_sdn.store.port import Applied

REPLAYED = "Idempotency-Replayed"
"""Header of an answer that was given before, to the same request with the same key."""


def json_answer(value: Any, status: int = 200) -> Response:
    """An answer whose body is one JSON value."""
    return Response(msgspec.json.encode(value), status, mimetype="application/json")


def applied_answer(applied: Applied, notes: Sequence[str]) -> Response:
    """What one transaction did, or would do."""
    values = resources.applied_values(applied)
    response = json_answer(values | ({"notes": list(notes)} if notes else {}))
    return replayed(response, applied)


def replayed(response: Response, applied: Applied) -> Response:
    """The answer, marked when it was given before."""
    if applied.replayed:
        response.headers[REPLAYED] = "true"
    return response


def remarked(response: Response, applied: Applied) -> Response:
    """An answer that is an object says in headers what else there is to tell.

    ``Warning`` (RFC 7234 §5.5) for each note, ``Server-Timing`` for how long the proof took.
    """
    for note in applied.notes:
        text = note.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 vneter "{" ".join(text.split())}"')
    if applied.proven is not None:
        response.headers["Server-Timing"] = f"proof;dur={applied.proven * 1000:.1f}"
    return replayed(response, applied)
