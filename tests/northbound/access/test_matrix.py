# SPDX-License-Identifier: Apache-2.0
"""Every route, by every role, in every tenant: who gets through and who does not.

What is expected is written down here once more, in other words than `access.authorise` has: who may
do it in their own tenant, who with what belongs to no tenant, who only with everything. A route
whose operation is not listed fails.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.identity import LOCAL, ROLES, grant_of, grants_text
from vneter_sdn.northbound.access.needs import NEEDS
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.routes import ROUTES, Route
from vneter_sdn.northbound.wire.gateway import TRUSTED
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit, Store

V, E, A = "viewer", "editor", "admin"
ALL, WRITERS, ADMINS, NONE = {V, E, A}, {E, A}, {A}, set[str]()


UNLIMITED = Settings(api_read_rate=0, api_write_rate=0)


class May(NamedTuple):
    """Roles that get through: of the whole cluster; of the tenant asked about; of another one."""

    cluster: set[str]
    own: set[str]
    other: set[str]


_OPEN = May(ALL, ALL, ALL)
_FIXED = {
    "apply": May(WRITERS, WRITERS, NONE),
    "rollback": May(WRITERS, WRITERS, NONE),
    "watch": _OPEN,  # each sees what is theirs
    "watchTenant": May(ALL, ALL, NONE),
    "revisions": _OPEN,
    "revision": _OPEN,
    "diff": _OPEN,
    "chain": May(ALL, NONE, NONE),
    "status": _OPEN,
    "snapshot": _OPEN,
    "topology": May(ALL, NONE, NONE),
    "metrics": May(ALL, NONE, NONE),
    "inject": May(WRITERS, WRITERS, NONE),
    "audit": May(ADMINS, NONE, NONE),
    "listTokens": May(ADMINS, ADMINS, ADMINS),
    "createToken": May(ADMINS, ADMINS, NONE),
    "revokeToken": May(ADMINS, ADMINS, ADMINS),
    "whoami": _OPEN, "openapi": _OPEN, "docs": _OPEN, "docsAsset": _OPEN,
    "healthz": _OPEN, "readyz": _OPEN,
}  # fmt: skip
_TENANTED = {
    "list": May(ALL, ALL, NONE), "get": May(ALL, ALL, NONE),
    "listAll": _OPEN,
    "create": May(WRITERS, WRITERS, NONE), "put": May(WRITERS, WRITERS, NONE),
    "patch": May(WRITERS, WRITERS, NONE), "delete": May(WRITERS, WRITERS, NONE),
}  # fmt: skip
_TENANT = {
    "list": _OPEN, "get": May(ALL, ALL, NONE),
    "create": May(WRITERS, NONE, NONE), "delete": May(WRITERS, NONE, NONE),
    "put": May(WRITERS, ADMINS, NONE), "patch": May(WRITERS, ADMINS, NONE),
}  # fmt: skip
_CLUSTER = {
    "list": May(ALL, NONE, NONE), "get": May(ALL, NONE, NONE),
    "create": May(WRITERS, NONE, NONE), "put": May(WRITERS, NONE, NONE),
    "patch": May(WRITERS, NONE, NONE), "delete": May(WRITERS, NONE, NONE),
}  # fmt: skip
_TIER = _CLUSTER | {"list": _OPEN, "get": _OPEN}
"""Policies of tenants refer to tiers."""


def expected(route: Route) -> May:
    """Who gets through; KeyError for a route that nobody thought of."""
    if route.kind is None:
        return _FIXED[route.operation]
    if route.kind.tenanted:
        return _TENANTED[route.operation]
    return {"Tenant": _TENANT, "Tier": _TIER}.get(route.kind.name, _CLUSTER)[route.operation]


def _manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"tenant": tenant} if tenant else {})}
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _network(tenant: str, name: str = "x", prefix: str = "10.0.0.0/24") -> dict[str, Any]:
    return _manifest("Network", name, tenant, prefixes=[prefix])


def _world() -> MemoryStore:
    """Two tenants with a network and an endpoint each."""
    store = MemoryStore()
    for tenant in ("red", "blue"):
        for one in (
            _manifest("Tenant", tenant),
            _network(tenant),
            _manifest("Endpoint", "x", tenant, network="x"),
        ):
            metadata = one["metadata"]
            key = Key(one["kind"], metadata.get("tenant", ""), metadata["name"])
            store.apply([Edit("apply", key, one)], author=f"{tenant}'s")
    store.apply([Edit("apply", Key("Network", "red", "y"), _network("red", "y", "10.9.0.0/24"))],
                author="red's")  # fmt: skip
    return store


@pytest.fixture
def world() -> MemoryStore:
    return _world()


def _body(route: Route, tenant: str) -> Any:
    bodies = {
        "apply": {"objects": [_network(tenant, "n", "10.1.0.0/24")]},
        "rollback": {},
        "inject": {"tenant": tenant, "source": "x", "target": "x", "protocol": "icmp"},
        "createToken": {"name": "new", "role": "viewer", "tenants": [tenant]},
        "patch": {"metadata": {"labels": {"a": "b"}}},
    }
    return bodies.get(route.operation, {"spec": {}, "metadata": {}})


def _path(route: Route, tenant: str) -> str:
    name = tenant if route.kind is not None and route.kind.name == "Tenant" else "x"
    path = route.path.replace("{tenant}", tenant).replace("{name}", name)
    # Revisions 1 to 3 are red's, 4 to 6 blue's, and 7 is red's again.
    numbers = {"revision": {"red": "3", "blue": "6"}, "rollback": {"red": "6", "blue": "3"}}
    number = numbers.get(route.operation, {}).get(tenant, "6")
    path = path.replace("{number}", number).replace("{chain}", "revisions")
    query = {"watch": "?timeout=0", "watchTenant": "?timeout=0", "revokeToken": "?name=none"}
    return path + query.get(route.operation, "")


def _issue(store: MemoryStore, name: str, role: str, *tenants: str) -> dict[str, str]:
    token = tokens.fresh(name)
    grants = grants_text([grant_of(role, tenants)])
    store.issue(Credential(name, tokens.digest(*(tokens.split(token) or ("", ""))), grants))
    return {"Authorization": f"Bearer {token}"}


def _ask(
    app: Any, route: Route, tenant: str, headers: dict[str, str], *, trusted: bool = False
) -> int:
    media = "application/merge-patch+json" if route.method == "PATCH" else "application/json"
    given: dict[str, Any] = {}
    if route.body or route.method in {"POST", "PUT", "PATCH"}:
        given = {"data": json.dumps(_body(route, tenant)), "content_type": media}
    answer = app.test_client().open(
        _path(route, tenant),
        method=route.method,
        headers=headers,
        environ_overrides={TRUSTED: trusted},
        **given,
    )
    answer.get_data()
    return int(answer.status_code)


def _through(status: int) -> bool:
    assert status != 500
    return status not in {401, 403}


class Behind:
    """A store that can be put in another one's place: making an application takes 40 ms."""

    store: MemoryStore

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture(scope="module")
def behind() -> Behind:
    return Behind()


@pytest.fixture(scope="module")
def shared(behind: Behind) -> Any:
    store = cast("Store", behind)
    return create_app(store, UNLIMITED, doorkeeper=Doorkeeper(store))


@pytest.fixture
def app(world: MemoryStore) -> Any:
    return create_app(world, UNLIMITED, doorkeeper=Doorkeeper(world))


IDS = [f"{route.method} {route.path}" for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_every_role_in_every_tenant(route: Route, shared: Any, behind: Behind) -> None:
    may = expected(route)
    for role in ROLES:
        for tenants, tenant, roles in (
            (("red",), "blue", may.other),
            (("red",), "red", may.own),
            ((), "red", may.cluster),
            ((), "blue", may.cluster),
        ):
            world = behind.store = _world()
            before = world.snapshot()
            status = _ask(shared, route, tenant, _issue(world, "who", role, *tenants))
            assert _through(status) == (role in roles), (role, tenants, tenant, status)
            if not _through(status):
                assert world.snapshot() is before


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_without_a_credential_only_what_is_open(
    route: Route, shared: Any, behind: Behind, world: MemoryStore
) -> None:
    behind.store = world
    open_ = NEEDS[route.operation].scope == "open"
    assert (_ask(shared, route, "red", {}) != 401) == open_
    assert open_ == (expected(route) == _OPEN and route.operation in {
        "whoami", "openapi", "docs", "docsAsset", "healthz", "readyz"})  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_the_administrator_of_this_machine_gets_through(
    route: Route, shared: Any, behind: Behind, world: MemoryStore
) -> None:
    behind.store = world
    answer = _ask(shared, route, "red", {}, trusted=True)
    assert _through(answer)


def test_every_verb_alone_gives_no_more_than_its_operations(world: MemoryStore, app: Any) -> None:
    for verb in sorted(ROLES["admin"]):
        token = tokens.fresh(f"only-{verb}")
        name, secret = tokens.split(token) or ("", "")
        grants = grants_text([grant_of("admin", (), (verb,))])
        world.issue(Credential(name, tokens.digest(name, secret), grants))
        for route in ROUTES:
            needs = NEEDS[route.operation]
            enough = needs.scope == "open" or needs.verb == verb
            enough |= needs.verb == "write" and verb in {"create", "update", "delete"}
            if enough:
                continue
            status = _ask(app, route, "red", {"Authorization": f"Bearer {token}"})
            assert not _through(status), (verb, route.identity)


def test_nothing_is_served_beside_the_routes(app: Any) -> None:
    served = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == {(route.method, route.path) for route in ROUTES}


def test_needs_are_of_operations_there_are_or_will_be() -> None:
    assert {route.operation for route in ROUTES} <= NEEDS.keys()
    assert LOCAL.everywhere
