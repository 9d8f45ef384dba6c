# SPDX-License-Identifier: Apache-2.0
"""Handlers about the server and the store as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Response

from vneter_sdn import __version__
from vneter_sdn.errors import StoreUnavailable
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound import openapi, topology
from vneter_sdn.northbound.access.guarded import GuardedStore
from vneter_sdn.northbound.exports import export
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import json_answer
from vneter_sdn.northbound.rest.metrics import Metrics
from vneter_sdn.northbound.routes import Route
from vneter_sdn.northbound.schemas import Injection
from vneter_sdn.northbound.summary import summarise

CoreAlive = Callable[[], bool | None]
"""Whether the core process lives; None where that is not known."""
Inject = Callable[[Injection], dict[str, Any]]
"""Has the core inject a packet, and answers where it was seen."""


def nobody(_asked: Injection) -> dict[str, Any]:
    """There is no core to inject anything."""
    raise StoreUnavailable("no core is beside this server, to inject packets")


class Service:
    """Handlers that belong to no kind, one method per operation of `routes`."""

    def __init__(
        self, store: GuardedStore, metrics: Metrics, core_alive: CoreAlive, inject: Inject = nobody
    ) -> None:
        self._store, self._metrics, self._core_alive = store, metrics, core_alive
        self._inject = inject
        self._topology = topology.View()

    def status(self, route: Route) -> Response:
        """Counts per kind, hosts, and what is not ready."""
        requests.query(route)
        snapshot = self._store.snapshot()
        newest = self._store.newest()
        summary = summarise(snapshot)
        return json_answer(
            {
                "version": __version__,
                "revision": snapshot.revision,
                "lastChange": asdict(newest) if newest else None,
                "core": self._core_alive(),
                **summary,
            }
        )

    def topology(self, route: Route) -> Response:
        """The graph."""
        requests.query(route)
        return json_answer(self._topology.of(self._store.snapshot()))

    def snapshot(self, route: Route) -> Response:
        """Everything stored."""
        requests.query(route)
        return json_answer(export(self._store.snapshot()))

    def inject(self, route: Route) -> Response:
        """A packet to follow."""
        requests.query(route)
        asked = requests.read(requests.body(), Injection)
        for tenant in (asked.tenant, asked.target_tenant or asked.tenant):
            requests.require("inject", Key("Endpoint", tenant, ""))
        return json_answer(self._inject(asked))

    def openapi(self, _route: Route) -> Response:
        """The description of this server."""
        return json_answer(openapi.document())

    def healthz(self, _route: Route) -> Response:
        """The server answers."""
        return json_answer({"status": "ok"})

    def readyz(self, _route: Route) -> Response:
        """The database answers, and the core lives, where that is known."""
        revision = self._store.answers()
        core = self._core_alive()
        if core is False:
            raise StoreUnavailable("the core process has not been heard of lately")
        return json_answer({"status": "ok", "revision": revision, "core": core})

    def metrics(self, route: Route) -> Response:
        """Counters for Prometheus. Served without the database too."""
        with contextlib.suppress(StoreUnavailable):
            self._metrics.revision(self._store.snapshot().revision)
        return Response(self._metrics.text(), content_type=route.media)
