# SPDX-License-Identifier: Apache-2.0
"""Many changes in one transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from flask import Response

from vneter_sdn.admission.admit import Problems
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.advice import advice
from vneter_sdn.model.fieldpaths import below
from vneter_sdn.northbound import foreign, resources
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.answers import applied_answer
from vneter_sdn.northbound.routes import Route
from vneter_sdn.northbound.schemas import MOST_OBJECTS
from vneter_sdn.store.port import Edit, Store


class Batches:
    """The handler of ``POST /v1/apply``."""

    def __init__(self, store: Store, cluster: str = foreign.CLUSTER) -> None:
        """Write to a store.

        Namespaces of Kubernetes that say nothing else belong to the tenant ``cluster``.
        """
        self._store, self._cluster = store, cluster

    def apply(self, route: Route) -> Response:
        """Many changes, in one transaction."""
        dry_run = requests.query(route).get("dryRun", False)
        found = batch(requests.body(), self._accepted)
        try:
            applied = self._store.apply(
                found.edits,
                author=requests.author(),
                message=found.message,
                dry_run=found.dry_run or dry_run,
                idempotency_key=requests.idempotency_key(),
            )
        except IntentError as error:
            raise found.accepted.told(error) from None
        told = [foreign.renumbered(note) for note in found.accepted.notes]
        return applied_answer(applied, [*told, *applied.notes])

    def _accepted(self, values: Sequence[Any]) -> foreign.Accepted:
        if not any(map(foreign.is_foreign, values)):
            return foreign.Accepted(tuple(values))
        return foreign.accept_into(self._store.snapshot(), values, tenant=self._cluster)


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
    problems = Problems()
    fields = _checked(asked, problems)
    places = _places(fields["objects"])
    try:
        accepted = _taken_in(fields["objects"], accept, places, problems)
        edits = [
            *_edits("objects", accepted.manifests, places, problems),
            *_edits("delete", fields["delete"], places, problems),
        ]
    finally:
        requests.place(places)
    if problems:
        raise IntentError(*problems)
    return Batch(edits, fields["message"], fields["dryRun"], accepted)


def _taken_in(
    objects: Sequence[Any], accept: Accept, places: dict[str, str], problems: Problems
) -> foreign.Accepted:
    try:
        return accept(objects)
    except IntentError as error:
        for one in error.problems:
            name = foreign.renumbered(one.object)
            places.setdefault(name, _pointed(name))
            problems.add([Problem(name, one.field, one.reason, one.message)])
    return as_given(())


def _edits(
    group: str, items: Sequence[Any], places: dict[str, str], problems: Problems
) -> Iterator[Edit]:
    for index, item in enumerate(items):
        origin = f"{group}[{index}]"
        places.setdefault(origin, f"/{group}/{index}")
        try:
            edit = _edit(group, item, origin)
        except IntentError as error:
            problems.add(error.problems)
            continue
        if group == "delete":
            places[str(edit.key)] = f"/{group}/{index}"
        yield edit


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
_MOST_UNKNOWN = 50


def _checked(asked: Any, problems: Problems) -> dict[str, Any]:
    if not isinstance(asked, dict):
        raise IntentError(Problem("request", "", "WrongType", "expected an object"))
    fields = {name: default for name, (_, default, _) in _APPLY.items()}
    for name in islice((one for one in asked if one not in _APPLY), _MOST_UNKNOWN):
        message = f"no such field; {advice(name, _APPLY)}"
        problems.append(Problem("request", below("", name), "UnknownField", message))
    for name in (one for one in _APPLY if one in asked):
        if isinstance(asked[name], _APPLY[name][0]):
            fields[name] = asked[name]
        else:
            message = f"expected {_APPLY[name][2]}"
            problems.append(Problem("request", name, "WrongType", message))
    for name in ("objects", "delete"):
        if len(fields[name]) > MOST_OBJECTS:
            message = f"at most {MOST_OBJECTS} in one transaction; send several"
            raise IntentError(Problem("request", name, "TooMany", message))
    if len(fields["message"]) > _MAX_MESSAGE:
        message = f"at most {_MAX_MESSAGE} characters"
        problems.append(Problem("request", "message", "TooLong", message))
    return fields


_REFERENCE = ("kind", "tenant", "name")


def _edit(group: str, item: Any, origin: str) -> Edit:
    if group == "objects":
        return resources.edit_of(item, "apply", origin)
    if not isinstance(item, dict):
        raise IntentError(Problem(origin, "", "WrongType", "expected {kind, tenant, name}"))
    unknown = list(islice((one for one in item if one not in _REFERENCE), _MOST_UNKNOWN))
    if unknown:
        text = f"no such field; it is one of {', '.join(_REFERENCE)}"
        raise IntentError(
            *(Problem(origin, below("", one), "UnknownField", text) for one in unknown)
        )
    metadata = {name: item[name] for name in ("tenant", "name") if name in item}
    try:
        key = resources.key_of({"kind": item.get("kind"), "metadata": metadata}, origin)
    except IntentError as error:
        raise IntentError(*map(_of_reference, error.problems)) from None
    return Edit("delete", key)


def _of_reference(problem: Problem) -> Problem:
    """A problem of a manifest's identity as one of a reference, which has no metadata."""
    field = problem.field.removeprefix("metadata.")
    message = problem.message.replace("metadata.", "")
    return Problem(problem.object, field, problem.reason, message)
