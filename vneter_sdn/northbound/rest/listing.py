# SPDX-License-Identifier: Apache-2.0
"""Handlers that list objects, in pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from flask import Response

from vneter_sdn.model.kinds import API_VERSION, Kind
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound import listed, resources
from vneter_sdn.northbound.feed import Feed
from vneter_sdn.northbound.pages import Shelf, Shelves, digest
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import json_answer
from vneter_sdn.northbound.rest.selecting import Selection, selection
from vneter_sdn.northbound.routes import Route


class Lists:
    """Lists of objects, one tenant's or all."""

    def __init__(self, feed: Feed, shelves: Shelves) -> None:
        self._feed, self._shelves = feed, shelves

    def list(self, route: Route, tenant: str = "") -> Response:
        """Objects of a kind, in order of tenant and name."""
        query, kind = requests.query(route), kind_of(route)
        chosen = selection(query, {kind.name: kind}, tenant)
        asked = digest(
            kind.name, tenant, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        shelf, after = self._shelf(query, asked)
        keys = shelf.keys.get((kind.name, tenant))
        if keys is None:
            keys = listed.keys_of(shelf.snapshot, kind.name, tenant)
            shelf.keys[kind.name, tenant] = keys
        start = bisect_right(keys, Key(kind.name, *after)) if after else 0
        items, last = _page(shelf.snapshot, keys[start:], chosen, query.get("limit"))
        metadata: dict[str, Any] = {
            "revision": shelf.snapshot.revision,
            "position": self._feed.written(shelf.position),
        }
        if last is not None:
            metadata["continue"] = self._shelves.put(shelf, last, asked)
        return json_answer(
            {
                "apiVersion": API_VERSION,
                "kind": f"{kind.name}List",
                "metadata": metadata,
                "items": items,
            }
        )

    def _shelf(self, query: dict[str, Any], asked: str) -> tuple[Shelf, tuple[str, str] | None]:
        if "continue" not in query:
            position, snapshot = self._feed.now()
            return Shelf(snapshot, position), None
        try:
            return self._shelves.take(query["continue"], asked)
        except ValueError as error:
            raise requests.refused("continue", "InvalidToken", str(error)) from None


def _page(
    snapshot: Snapshot, keys: Sequence[Key], chosen: Selection, limit: int | None
) -> tuple[list[dict[str, Any]], Key | None]:
    """Manifests of one page; and the last of them, when there are more."""
    items: list[dict[str, Any]] = []
    last: Key | None = None
    for key in keys:
        if not chosen.sees(key) or not _may_have(snapshot, key, chosen):
            continue
        found = listed.manifest(snapshot, key)
        if found is None or not chosen.has(found):
            continue
        if len(items) == limit:
            return items, last
        items.append(found)
        last = key
    return items, None


def _may_have(snapshot: Snapshot, key: Key, chosen: Selection) -> bool:
    """Whether it is worth while to work out the status of an object, which takes longest."""
    stored = snapshot.objects.get(key)
    if stored is None:
        return True
    if not chosen.labels.selects(stored.labels):
        return False
    if chosen.fields.of_status or not chosen.fields.terms:
        return True
    return chosen.fields.selects(resources.manifest_of(stored))


def kind_of(route: Route) -> Kind:
    """The kind of a route that has one."""
    if route.kind is None:
        raise AssertionError(f"{route.identity} is not a route of a kind")
    return route.kind
