# SPDX-License-Identifier: Apache-2.0
"""Handlers that read and write one object."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from flask import Response, request

from vneter_sdn.errors import Conflict, Gone, IntentError, NotFound, Problem
from vneter_sdn.model.fieldpaths import pointer
from vneter_sdn.model.kinds import API_VERSION, Kind
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound import listed, patches, resources
from vneter_sdn.northbound.conditions import met
from vneter_sdn.northbound.origins import Origins
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import applied_answer, json_answer, remarked
from vneter_sdn.northbound.rest.listing import kind_of
from vneter_sdn.northbound.rest.preconditions import Preconditions, preconditions, tag_of
from vneter_sdn.northbound.routes import Route
from vneter_sdn.store.once import apply_asked
from vneter_sdn.store.port import Applied, Edit, Store

LONGEST_WAIT = 20.0
"""Seconds a request may wait for a condition."""
_ATTEMPTS = 8
"""How often a patch is made again of what others wrote meanwhile."""
_TURNS = 64


class _Asked(NamedTuple):
    """What comes with every write."""

    dry_run: bool
    key: str
    conditions: Preconditions


class Objects:
    """Handlers of objects, one method per operation of `routes`."""

    def __init__(self, store: Store, waiters: int) -> None:
        """Serve a store; at most ``waiters`` requests wait for conditions at once."""
        self._store = store
        self._waiters = threading.BoundedSemaphore(waiters)
        # Patches of one object take turns, or many would make theirs again until they give up.
        self._turns = tuple(threading.Lock() for _ in range(_TURNS))

    def get(self, route: Route, name: str, tenant: str = "") -> Response:
        """One object, at once or when a condition of it is met."""
        query, conditions = requests.query(route), preconditions()
        key = Key(kind_of(route).name, tenant, name)
        snapshot = self._store.snapshot()
        if "waitFor" in query:
            timeout = min(query.get("timeout", LONGEST_WAIT), LONGEST_WAIT)
            snapshot = self._await(snapshot, key, query["waitFor"], timeout)
        response = _object_answer(_manifest(snapshot, key))
        if conditions.unchanged(response.get_etag()[0] or ""):
            unchanged = Response(status=304)
            unchanged.headers["ETag"] = response.headers["ETag"]
            return unchanged
        return response

    def create(self, route: Route, tenant: str = "") -> Response:
        """A new object."""
        return self._write(route, "create", tenant, None)

    def put(self, route: Route, name: str, tenant: str = "") -> Response:
        """A new object, or a new state of an old one."""
        return self._write(route, "apply", tenant, name)

    def delete(self, route: Route, name: str, tenant: str = "") -> Response:
        """No object any more."""
        asked, key = _asked(route), Key(kind_of(route).name, tenant, name)
        applied = self._apply(Edit("delete", key), asked)
        return applied_answer(applied, applied.notes)

    def patch(self, route: Route, name: str, tenant: str = "") -> Response:
        """An object, changed in places."""
        asked, key = _asked(route), Key(kind_of(route).name, tenant, name)
        patch = requests.body(patches.JSON_PATCH, patches.MERGE_PATCH)
        sign = Edit("replace", key, asked=[request.mimetype, patch])
        before = self._before(sign, asked)
        if before is not None:
            return self._written(key, before, asked)
        with self._turns[hash(key) % _TURNS]:
            applied = self._patch(route, sign, patch, asked)
        return self._written(key, applied, asked)

    def _patch(self, route: Route, sign: Edit, patch: Any, asked: _Asked) -> Applied:
        """Make the patch of what is there, until nobody else wrote in between."""
        key = sign.key
        for attempt in range(_ATTEMPTS):
            stored = self._store.snapshot().objects.get(key)
            if stored is None:
                raise NotFound(f"there is no {key}")
            found = resources.manifest_of(stored)
            manifest = _patched(found, patch)
            try:
                placed = _placed(manifest, "apply", kind_of(route), key.tenant, key.name)
                edit = replace(sign, manifest=placed.manifest, revision=stored.revision)
                return self._apply(edit, asked)
            except Conflict:
                if asked.conditions.given or attempt == _ATTEMPTS - 1:
                    raise
            except IntentError as error:
                raise _traced(error, patch, found) from None
        raise AssertionError("the last attempt ends it")

    def _before(self, sign: Edit, asked: _Asked) -> Applied | None:
        """What this request was answered before, if it was: a patch is not to be made twice."""
        again = None if asked.dry_run else apply_asked(requests.author(), asked.key, [sign], "")
        return self._store.remembered(again) if again else None

    def _write(
        self, route: Route, verb: Literal["create", "apply"], tenant: str, name: str | None
    ) -> Response:
        asked = _asked(route)
        edit = _placed(requests.body(), verb, kind_of(route), tenant, name)
        requests.place({str(edit.key): ""})
        return self._written(edit.key, self._apply(edit, asked), asked)

    def _apply(self, edit: Edit, asked: _Asked) -> Applied:
        revision = edit.revision  # of a patch: what it was made of
        if revision is None:
            current = self._store.snapshot().objects.get(edit.key)
            revision = current.revision if current else None
        edit = asked.conditions.on(edit, revision)
        with asked.conditions.kept(edit.verb):
            return self._store.apply(
                [edit], author=requests.author(), dry_run=asked.dry_run, idempotency_key=asked.key
            )

    def _written(self, key: Key, applied: Applied, asked: _Asked) -> Response:
        """The answer to a write: the object as it is, or would be."""
        status = 201 if applied.created else 200
        if asked.dry_run:
            return remarked(json_answer(self._would_be(key, applied), status), applied)
        found = listed.manifest(self._store.snapshot(), key)
        if found is None:
            raise Gone(f"{key} was written, and is deleted by now")
        response = _object_answer(found, status)
        if applied.created:
            response.headers["Location"] = resources.path_of(key)
        return remarked(response, applied)

    def _would_be(self, key: Key, applied: Applied) -> dict[str, Any]:
        """The object after a dry run, without a status."""
        for change in applied.diff:
            if change.key == key and change.after is not None:
                revision = applied.revision + 1
                return resources.version_manifest(key, change.after, revision)
        stored = self._store.snapshot().objects.get(key)
        if stored is None:
            raise NotFound(f"there is no {key}")
        return resources.manifest_of(stored)

    def _await(self, snapshot: Snapshot, key: Key, condition: str, timeout: float) -> Snapshot:
        # Waiting requests hold a thread each: past the limit they are answered at once, and ask
        # again.
        if not self._waiters.acquire(blocking=False):
            return snapshot
        try:
            deadline = time.monotonic() + timeout
            while not met(_manifest(snapshot, key), condition):
                changed = self._store.wait(snapshot, max(0.0, deadline - time.monotonic()))
                if changed is None:
                    break
                snapshot = changed[0]
            return snapshot
        finally:
            self._waiters.release()


def _asked(route: Route) -> _Asked:
    dry_run = requests.query(route).get("dryRun", False)
    return _Asked(dry_run, requests.idempotency_key(), preconditions())


def _patched(manifest: dict[str, Any], patch: Any) -> Any:
    if request.mimetype == patches.JSON_PATCH:
        return patches.patched(manifest, patch)
    if not isinstance(patch, dict):
        raise IntentError(Problem("patch", "", "WrongType", "expected an object"))
    return patches.merged(manifest, patch)


def _traced(error: IntentError, patch: Any, found: Mapping[str, Any]) -> IntentError:
    """The error with pointers into the patch, rather than into what it made of what it found."""
    if not isinstance(patch, list):
        requests.place({problem.object: "" for problem in error.problems})
        return error
    origins = Origins(found, patch)
    return IntentError(
        *(replace(one, pointer=origins.of(pointer(one.field))) for one in error.problems)
    )


def _placed(
    manifest: Any, verb: Literal["create", "apply"], kind: Kind, tenant: str, name: str | None
) -> Edit:
    """The edit of a manifest sent to a path; what the path says need not be repeated."""
    if not isinstance(manifest, dict):
        raise IntentError(Problem("request body", "", "WrongType", "expected a manifest object"))
    metadata = manifest.get("metadata", {})
    said = {"kind": kind.name, "metadata.tenant": tenant or None, "metadata.name": name}
    problems = []
    for field, value in said.items():
        holder, leaf = (metadata, field[9:]) if "." in field else (manifest, field)
        given = holder.get(leaf) if isinstance(holder, dict) else None
        if value is not None and given is not None and given != value:
            message = f"the path says {value!r}, the body says {given!r}"
            problems.append(Problem("request body", field, "PathMismatch", message))
    if problems:
        requests.place({"request body": ""})
        raise IntentError(*problems)
    full = {"apiVersion": API_VERSION, "kind": kind.name, **manifest}
    if isinstance(metadata, dict):
        identity = {"tenant": tenant, "name": name}
        full["metadata"] = {leaf: value for leaf, value in identity.items() if value} | metadata
        if tenant and metadata.get("tenant") is None:  # null says no more than nothing
            full["metadata"]["tenant"] = tenant
    return resources.edit_of(full, verb, "request body")


def _manifest(snapshot: Snapshot, key: Key) -> dict[str, Any]:
    found = listed.manifest(snapshot, key)
    if found is None:
        raise NotFound(f"there is no {key}")
    return found


def _object_answer(manifest: Mapping[str, Any], status: int = 200) -> Response:
    response = json_answer(manifest, status)
    response.set_etag(tag_of(manifest))
    return response
