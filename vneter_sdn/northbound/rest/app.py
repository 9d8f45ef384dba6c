# SPDX-License-Identifier: Apache-2.0
"""The REST application: `routes.ROUTES` bound to their handlers."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Flask, Response, g, request

from vneter_sdn.config import Settings
from vneter_sdn.model import jsontext
from vneter_sdn.northbound.rest import requests, translate
from vneter_sdn.northbound.rest.metrics import Metrics
from vneter_sdn.northbound.rest.objects import Objects
from vneter_sdn.northbound.rest.service import CoreAlive, Inject, Service, nobody
from vneter_sdn.northbound.routes import ROUTES, Route
from vneter_sdn.store.port import Store

THREADS = 8
"""Requests served at once; half of them may wait for conditions."""

Handler = Callable[..., Response]


def _unknown() -> bool | None:
    return None


def create_app(
    store: Store,
    settings: Settings,
    *,
    core_alive: CoreAlive = _unknown,
    inject: Inject = nobody,
    metrics: Metrics | None = None,
) -> Flask:
    """The WSGI application that serves one store.

    Args:
        store: where intent is read and written; nothing below it is called.
        settings: of the process.
        core_alive: tells whether the core process lives, where the caller knows.
        inject: has the core inject a packet.
        metrics: where to count, if somebody else counts there too.
    """
    app = Flask("vneter-api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = jsontext.MAX_BYTES
    app.config["VNETER_SETTINGS"] = settings
    app.url_map.merge_slashes = False
    metrics = metrics or Metrics()
    translate.install(app)
    _observe(app, metrics)
    objects = Objects(store, THREADS // 2, settings.cluster_tenant)
    service = Service(store, metrics, core_alive, inject)
    handlers: dict[str, Handler] = {
        "list": objects.list, "listAll": objects.list, "create": objects.create,
        "get": objects.get, "put": objects.put, "delete": objects.delete, "apply": objects.apply,
        "revisions": service.revisions, "status": service.status, "snapshot": service.snapshot,
        "topology": service.topology, "inject": service.inject,
        "openapi": service.openapi, "healthz": service.healthz, "readyz": service.readyz,
        "metrics": service.metrics,
    }  # fmt: skip
    for route in ROUTES:
        _bind(app, route, handlers[route.operation])
    return app


def _bind(app: Flask, route: Route, handler: Handler) -> None:
    def view(**parameters: str) -> Response:
        return handler(route, **parameters)

    rule = route.path.replace("{", "<").replace("}", ">")
    app.add_url_rule(rule, endpoint=route.identity, view_func=view, methods=[route.method])


def _observe(app: Flask, metrics: Metrics) -> None:
    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        requests.require_loopback_name()

    @app.after_request
    def end(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else "unmatched"
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        metrics.answered(rule, request.method, response.status_code, seconds)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
