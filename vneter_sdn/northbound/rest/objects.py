# SPDX-License-Identifier: Apache-2.0
"""Handlers that read and write objects."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from flask import Response

from vneter_sdn.errors import IntentError, NotFound, Problem
from vneter_sdn.model.kinds import API_VERSION, Kind
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound import foreign, listed, resources
from vneter_sdn.northbound.conditions import met
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import json_answer
from vneter_sdn.northbound.rest.listing import kind_of
from vneter_sdn.northbound.routes import Route
from vneter_sdn.store.port import Applied, Edit, Store

LONGEST_WAIT = 20.0
"""Seconds a request may wait for a condition."""


class Objects:
    """Handlers of objects, one method per operation of `routes`."""

    def __init__(self, store: Store, waiters: int, cluster: str = foreign.CLUSTER) -> None:
        """Serve a store; at most ``waiters`` requests wait for conditions at once.

        Namespaces of Kubernetes that say nothing else belong to the tenant ``cluster``.
        """
        self._store, self._cluster = store, cluster
        self._waiters = threading.BoundedSemaphore(waiters)

    def get(self, route: Route, name: str, tenant: str = "") -> Response:
        """One object, at once or when a condition of it is met."""
        query = requests.query(route)
        key = Key(kind_of(route).name, tenant, name)
        snapshot = self._store.snapshot()
        if "waitFor" in query:
            timeout = min(query.get("timeout", LONGEST_WAIT), LONGEST_WAIT)
            snapshot = self._await(snapshot, key, query["waitFor"], timeout)
        return json_answer(_manifest(snapshot, key))

    def create(self, route: Route, tenant: str = "") -> Response:
        """A new object."""
        return self._write(route, "create", tenant, None)

    def put(self, route: Route, name: str, tenant: str = "") -> Response:
        """A new object, or a new state of an old one."""
        return self._write(route, "apply", tenant, name)

    def delete(self, route: Route, name: str, tenant: str = "") -> Response:
        """No object any more."""
        requests.query(route)
        key = Key(kind_of(route).name, tenant, name)
        applied = self._store.apply([Edit("delete", key)], author=requests.author())
        notes = {"notes": list(applied.notes)} if applied.notes else {}
        return json_answer(resources.applied_values(applied) | notes)

    def apply(self, route: Route) -> Response:
        """Many changes, in one transaction."""
        requests.query(route)
        asked = requests.body()
        found = batch(asked, self._accepted)
        try:
            applied = self._store.apply(
                found.edits, author=requests.author(), message=found.message, dry_run=found.dry_run
            )
        except IntentError as error:
            raise found.accepted.told(error) from None
        told = [foreign.renumbered(note) for note in found.accepted.notes]
        told += applied.notes
        notes = {"notes": told} if told else {}
        return json_answer(resources.applied_values(applied) | notes)

    def _accepted(self, values: Sequence[Any]) -> foreign.Accepted:
        if not any(map(foreign.is_foreign, values)):
            return foreign.Accepted(tuple(values))
        return foreign.accept_into(self._store.snapshot(), values, tenant=self._cluster)

    def _write(
        self, route: Route, verb: Literal["create", "apply"], tenant: str, name: str | None
    ) -> Response:
        requests.query(route)
        manifest = requests.body()
        edit = _placed(manifest, verb, kind_of(route), tenant, name)
        requests.place({str(edit.key): ""})
        applied = self._store.apply([edit], author=requests.author())
        response = json_answer(
            _manifest(self._store.snapshot(), edit.key), 201 if applied.created else 200
        )
        if applied.created:
            response.headers["Location"] = resources.path_of(edit.key)
        return _remarked(response, applied)

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


class Batch(NamedTuple):
    """A request to apply."""

    edits: list[Edit]
    message: str
    dry_run: bool
    accepted: foreign.Accepted


Accept = Callable[[Sequence[Any]], foreign.Accepted]


def as_given(values: Sequence[Any]) -> foreign.Accepted:
    """Take manifests for what they are."""
    return foreign.Accepted(tuple(values))


def batch(asked: Any, accept: Accept = as_given) -> Batch:
    """What a request to apply asks for.

    Args:
        asked: the request's body.
        accept: takes in its objects.

    Raises:
        IntentError: every problem with the request's shape or with the identity of an object.
    """
    problems: list[Problem] = []
    fields = _checked(asked, problems)
    places = _places(fields["objects"])
    requests.place(places)
    accepted = as_given(())
    try:
        accepted = accept(fields["objects"])
    except IntentError as error:
        for one in error.problems:
            name = foreign.renumbered(one.object)
            places.setdefault(name, _pointed(name))
            problems.append(Problem(name, one.field, one.reason, one.message))
    edits: list[Edit] = []
    for group, items in (("objects", accepted.manifests), ("delete", fields["delete"])):
        for index, item in enumerate(items):
            origin = f"{group}[{index}]"
            places.setdefault(origin, f"/{group}/{index}")
            try:
                edit = _edit(group, item, origin)
            except IntentError as error:
                problems.extend(error.problems)
                continue
            if group == "delete":
                places[str(edit.key)] = f"/{group}/{index}"
            edits.append(edit)
    requests.place(places)
    if problems:
        raise IntentError(*problems)
    return Batch(edits, fields["message"], fields["dryRun"], accepted)


def _places(objects: Sequence[Any]) -> dict[str, str]:
    """Where manifests are in a request, by what problems call them."""
    found: dict[str, str] = {}
    for index, value in enumerate(objects):
        if foreign.is_foreign(value):
            found |= {t: f"/objects/{index}{pointer}" for t, pointer in foreign.titles(value)}
            continue
        with suppress(IntentError):
            found[str(resources.key_of(value))] = f"/objects/{index}"
    return found


def _pointed(name: str) -> str:
    """``/objects/2/items/0`` of what is called ``Pod in objects[2] items[0]``."""
    found = re.search(r"objects\[(\d+)\](?: items\[(\d+)\])?", name)
    if found is None:
        return ""
    return f"/objects/{found[1]}" + (f"/items/{found[2]}" if found[2] else "")


_APPLY: Mapping[str, tuple[type, Any, str]] = {
    "objects": (list, [], "an array"),
    "delete": (list, [], "an array"),
    "message": (str, "", "text"),
    "dryRun": (bool, False, "a boolean"),
}
_MAX_MESSAGE = 1024


def _checked(asked: Any, problems: list[Problem]) -> dict[str, Any]:
    if not isinstance(asked, dict):
        raise IntentError(Problem("request", "", "WrongType", "expected an object"))
    fields = {name: default for name, (_, default, _) in _APPLY.items()}
    for name, value in asked.items():
        if name not in _APPLY:
            message = f"no such field; known: {', '.join(_APPLY)}"
            problems.append(Problem("request", name, "UnknownField", message))
        elif not isinstance(value, _APPLY[name][0]):
            message = f"expected {_APPLY[name][2]}"
            problems.append(Problem("request", name, "WrongType", message))
        else:
            fields[name] = value
    if len(fields["message"]) > _MAX_MESSAGE:
        message = f"at most {_MAX_MESSAGE} characters"
        problems.append(Problem("request", "message", "TooLong", message))
    return fields


def _edit(group: str, item: Any, origin: str) -> Edit:
    if group == "objects":
        return resources.edit_of(item, "apply", origin)
    if not isinstance(item, dict):
        raise IntentError(Problem(origin, "", "WrongType", "expected {kind, tenant, name}"))
    metadata = {name: item[name] for name in ("tenant", "name") if name in item}
    key = resources.key_of({"kind": item.get("kind"), "metadata": metadata}, origin)
    return Edit("delete", key)


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
    return resources.edit_of(full, verb, "request body")


def _manifest(snapshot: Snapshot, key: Key) -> dict[str, Any]:
    found = listed.manifest(snapshot, key)
    if found is None:
        raise NotFound(f"there is no {key}")
    return found


def _remarked(response: Response, applied: Applied) -> Response:
    """An answer that is an object says in headers what else there is to tell.

    ``Warning`` (RFC 7234 §5.5) for each note, ``Server-Timing`` for how long the proof took.
    """
    for note in applied.notes:
        text = note.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 vneter "{" ".join(text.split())}"')
    if applied.proven is not None:
        response.headers["Server-Timing"] = f"proof;dur={applied.proven * 1000:.1f}"
    return response
