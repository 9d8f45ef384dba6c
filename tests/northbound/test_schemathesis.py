# SPDX-License-Identifier: Apache-2.0
"""The server does as its OpenAPI says: Schemathesis makes requests up from it, good and bad.

Kinds are served alike, so the routes of one tenanted and one other are asked, and ``PUT`` of every
kind whose Struct is not as large as a policy's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from vneter_sdn.config import Settings
from vneter_sdn.errors import NotFound
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.northbound.openapi import document
from vneter_sdn.northbound.resources import edit_of
from vneter_sdn.northbound.routes import ROUTES
from vneter_sdn.northbound.server import Server
from vneter_sdn.store.memory import MemoryStore

_REFUSED = [403, 404, 409, 410, 412, 415, 422]
"""How what is well formed may be refused: it refers to what is not there, breaks a rule, …"""
_CONFIG: dict[str, Any] = {
    "generation": {"allow-x00": False},  # no JSON of ours may hold NUL, which a schema cannot say
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", 304, *_REFUSED]},
        "negative_data_rejection": {"expected-statuses": [400, 405, *_REFUSED]},
    },
}
_LITTLE_LANGUAGES = {"fieldSelector", "since", "before"}
"""Parameters of which a schema does not say all that they must be."""
_WHOLE, _LARGE = {"Network", "Host"}, {"Policy", "ClusterPolicy"}
_KNOWN = {"tenant": "red", "name": "web"}
_EXAMPLES = 5
_QUIETLY = settings(
    max_examples=_EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def _asked() -> list[str]:
    chosen = [
        route
        for route in ROUTES
        if route.kind is None
        or route.kind.name in _WHOLE
        or (route.operation == "put" and route.kind.name not in _LARGE)
    ]
    return sorted(f"{route.method} {route.path}" for route in chosen)


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    config = SchemathesisConfig.from_dict(_CONFIG)
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document())), config=config)
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def _nobody(_asked: object) -> dict[str, Any]:
    raise NotFound("there is no such endpoint")


@pytest.fixture(scope="module")
def whole() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def address(whole: MemoryStore) -> Iterator[str]:
    quick = Settings(api_listen="127.0.0.1:0", api_watch_seconds=0.05)
    server = Server(whole, quick, inject=_nobody)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address
    server.stop()
    thread.join(timeout=30)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def _check(operation: Any, strategy: Any, address: str, session: requests.Session) -> None:
    names = {parameter.name for parameter in operation.query}
    left_out = [positive_data_acceptance] if _LITTLE_LANGUAGES & names else []

    @_QUIETLY
    @given(case=strategy)
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=address, session=session, excluded_checks=left_out)

    with suppress(Unsatisfiable):  # there is nothing in it that could be wrong
        ask()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", _asked())
def test_it_does_as_described(operations, address, session, label, mode):
    _check(operations[label], operations[label].as_strategy(mode), address, session)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_it_does_so_with_what_is_there(operations, whole, address, session, red, method):
    whole.apply([edit_of(one) for one in red], author="t")
    operation = operations[f"{method} /v1/tenants/{{tenant}}/networks/{{name}}"]
    query = {"query": {"timeout": 0}} if method == "GET" else {}  # nobody meets conditions here
    strategy = operation.as_strategy(path_parameters=_KNOWN, **query)
    _check(operation, strategy, address, session)


def test_every_operation_is_one_of_those_asked_or_like_one():
    asked = set(_asked())
    alike = {route.operation for route in ROUTES if f"{route.method} {route.path}" in asked}
    assert alike == {route.operation for route in ROUTES}
    assert KINDS.keys() >= _WHOLE | _LARGE
