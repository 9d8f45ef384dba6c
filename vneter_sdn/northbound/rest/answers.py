# SPDX-License-Identifier: Apache-2.0
"""JSON answers."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response


def json_answer(value: Any, status: int = 200) -> Response:
    """An answer whose body is one JSON value."""
    return Response(msgspec.json.encode(value), status, mimetype="application/json")
