# SPDX-License-Identifier: Apache-2.0
"""The REST application: `routes.ROUTES` bound to their handlers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound

from vneter_sdn.config import Settings
from vneter_sdn.model import jsontext
from vneter_sdn.northbound import problems
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.gate import IDENTITY, welcome
from vneter_sdn.northbound.access.guarded import GuardedStore
from vneter_sdn.northbound.access.identity import LOCAL, NOBODY
from vneter_sdn.northbound.feed import Feed
from vneter_sdn.northbound.pages import Shelves
from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH
from vneter_sdn.northbound.rest import requests, translate
from vneter_sdn.northbound.rest.batches import Batches
from vneter_sdn.northbound.rest.credentials import Credentials
from vneter_sdn.northbound.rest.docs import Docs
from vneter_sdn.northbound.rest.history import History
from vneter_sdn.northbound.rest.limits import Limits
from vneter_sdn.northbound.rest.listing import Lists
from vneter_sdn.northbound.rest.metrics import Metrics
from vneter_sdn.northbound.rest.objects import Objects
from vneter_sdn.northbound.rest.service import CoreAlive, Inject, Service, nobody
from vneter_sdn.northbound.rest.watching import Watches
from vneter_sdn.northbound.routes import ROUTES, Route
from vneter_sdn.store.port import Store

Handler = Callable[..., Response]


def _unknown() -> bool | None:
    return None


def create_app(
    store: Store,
    settings: Settings,
    *,
    core_alive: CoreAlive = _unknown,
    inject: Inject = nobody,
    doorkeeper: Doorkeeper | None = None,
) -> Flask:
    """The WSGI application that serves one store.

    ``extensions["vneter.stop"]()`` ends the watches under way, for a server that stops.

    Args:
        store: where intent is read and written; nothing below it is called.
        settings: of the process.
        core_alive: tells whether the core process lives, where the caller knows.
        inject: has the core inject a packet.
        doorkeeper: tells who asks; without one, everybody is this machine's administrator.
    """
    app = Flask("vneter-api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = jsontext.MAX_BYTES
    app.config["VNETER_SETTINGS"] = settings
    app.url_map.merge_slashes = False
    metrics = Metrics()
    translate.install(app)
    _observe(app, metrics)
    _admit(app, doorkeeper)
    if doorkeeper is not None:
        metrics.follow(doorkeeper.results)
    Limits(settings).install(app)
    guard = GuardedStore(store, requests.identity)
    feed = Feed(store)  # what is read of it is filtered where it is selected
    room = max(1, min(settings.api_watchers, settings.api_threads // 2))
    watches = Watches(feed, room, settings.api_watch_seconds)
    app.extensions["vneter.stop"] = watches.stop
    service = Service(guard, metrics, core_alive, inject)
    handlers = {
        **_of_intent(cast("Store", guard), feed, settings),
        **_of_credentials(Credentials(store)),
        **_of_service(service, Docs()),
        "watch": watches.watch, "watchTenant": watches.watch,
    }  # fmt: skip
    for route in ROUTES:
        _bind(app, route, handlers[route.operation])
    return app


def _of_intent(store: Store, feed: Feed, settings: Settings) -> dict[str, Handler]:
    """Operations on objects, and on what was written of them."""
    lists = Lists(feed, Shelves())
    objects = Objects(store, max(1, settings.api_threads // 4))
    batches = Batches(store, settings.cluster_tenant)
    history = History(store)
    return {
        "list": lists.list, "listAll": lists.list, "create": objects.create,
        "get": objects.get, "put": objects.put, "patch": objects.patch,
        "delete": objects.delete, "apply": batches.apply,
        "revisions": history.revisions, "revision": history.revision,
        "rollback": history.rollback, "chain": history.chain,
    }  # fmt: skip


def _of_credentials(credentials: Credentials) -> dict[str, Handler]:
    """Operations on who may ask, and on what they asked."""
    return {
        "whoami": credentials.whoami, "listTokens": credentials.list,
        "createToken": credentials.create, "revokeToken": credentials.revoke,
        "audit": credentials.audit,
    }  # fmt: skip


def _of_service(service: Service, docs: Docs) -> dict[str, Handler]:
    """Operations on the server, on the fleet as a whole, and on what is written about both."""
    return {
        "status": service.status, "snapshot": service.snapshot,
        "topology": service.topology, "inject": service.inject,
        "openapi": service.openapi, "healthz": service.healthz, "readyz": service.readyz,
        "metrics": service.metrics, "docs": docs.page, "docsAsset": docs.asset,
    }  # fmt: skip


def _bind(app: Flask, route: Route, handler: Handler) -> None:
    def view(**parameters: str) -> Response:
        requests.require_allowed(route, parameters)
        requests.query(route)  # also of those that take none
        requests.require_known_preconditions(route)
        return handler(route, **parameters)

    rule = route.path.replace("{", "<").replace("}", ">")
    app.add_url_rule(rule, endpoint=route.identity, view_func=view, methods=[route.method])


def _admit(app: Flask, doorkeeper: Doorkeeper | None) -> None:
    @app.after_request
    def note(response: Response) -> Response:
        if doorkeeper is not None and response.status_code in {401, 403}:
            why = problems.sort_of_status(response.status_code).name
            doorkeeper.turned_away(request.environ, why, g.get("identity", NOBODY))
        return response

    @app.before_request
    def admit() -> None:
        found = request.environ.get(IDENTITY)
        if found is None:  # no server in front, which asks before it reads bodies
            found = welcome(doorkeeper, request.environ) if doorkeeper else LOCAL
        g.identity = found
        requests.require_own_name()


def _observe(app: Flask, metrics: Metrics) -> None:
    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        if request.environ.get("PATH_INFO", "").startswith("//"):
            raise NotFound  # which werkzeug would take for one slash

    @app.after_request
    def end(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else "unmatched"
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        metrics.answered(rule, request.method, response.status_code, seconds)
        if request.method == "OPTIONS" and response.status_code == 200:
            _options(response)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _options(response: Response) -> None:
    """What a path takes (RFC 9110 §9.3.7, RFC 5789 §3.1)."""
    response.status_code = 204
    del response.headers["Content-Type"]
    if "PATCH" in response.allow:
        response.headers["Accept-Patch"] = f"{JSON_PATCH}, {MERGE_PATCH}"
