# SPDX-License-Identifier: Apache-2.0
"""Manifests of Kubernetes among manifests of ours: taken in together, answered for by their names.

What a manifest of Kubernetes becomes are objects with names of our own. Whoever wrote it never
sees these in what is refused: problems name the manifest and the field that they are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes.catalogue import CLUSTERED
from vneter_sdn.kubernetes.cluster import stand_in, surroundings
from vneter_sdn.kubernetes.door import Translated, is_foreign, native
from vneter_sdn.kubernetes.naming import ORIGIN, Hosted
from vneter_sdn.kubernetes.wording import (
    field_as_written,
    message_as_written,
    rule_as_written,
)
from vneter_sdn.model.documents import items_of
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound.resources import key_of

CLUSTER = "cluster"
"""The tenant of a cluster where nothing says otherwise."""
__all__ = [
    "CLUSTER",
    "Accepted",
    "accept",
    "accept_into",
    "is_foreign",
    "keys_by_title",
    "numbered",
    "renumbered",
    "rule_as_written",
    "titles",
    "written_as",
]

_DOCUMENT = re.compile(r"\bdocument (\d+)")
_NUMBERED = re.compile(r"document (\d+)\b|objects\[(\d+)\]")
_SURROUNDINGS = ("Tenant", "Namespace", "Network")


@dataclass(frozen=True, slots=True)
class Accepted:
    """Manifests of our own kinds, and what they were written as."""

    manifests: tuple[Any, ...]
    notes: tuple[str, ...] = ()
    """What was left out or added, for people; a manifest without a name is ``document N``."""
    hosted: tuple[Hosted, ...] = ()
    """Pods on the networks of their nodes, of which nothing is made."""
    written: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Annotations that say what objects were written as, by what these are called."""

    def told(self, error: IntentError) -> IntentError:
        """The same problems, of what was written."""
        return IntentError(*map(self._told, error.problems))

    def _told(self, problem: Problem) -> Problem:
        said = self.written.get(problem.object)
        if said is None:
            return problem
        title, kind = written_as(said), str(said[ORIGIN]).partition(" ")[0]
        where = field_as_written(problem.field, kind, said)
        return Problem(title, where, problem.reason, message_as_written(problem.message))


def accept(values: Sequence[Any], *, tenant: str = CLUSTER) -> Accepted:
    """Take in manifests that are all there is: what they need besides is made up.

    Without any of Kubernetes they are left as they are.

    Args:
        values: plain JSON values, of any kinds.
        tenant: of namespaces that say nothing else.

    Raises:
        IntentError: with every problem of every manifest of Kubernetes.
    """
    if not any(map(is_foreign, values)):
        return Accepted(tuple(values))
    made = _translated(values, tenant=tenant or CLUSTER)
    whole = stand_in(made.manifests, made.nodes)
    before = {_name(one) for one in made.manifests}
    added = [name for one in whole if (name := _name(one)) not in before]
    notes = (*made.notes, *_made_up(added))
    return Accepted(whole, notes, made.hosted, _written(whole))


def accept_into(snapshot: Snapshot, values: Sequence[Any], *, tenant: str = CLUSTER) -> Accepted:
    """Take in manifests that come to others.

    Tenants, Namespaces and Networks that manifests of Kubernetes need are added when nobody
    declared them; hosts are not. Those of our own kinds are left as they are.

    Raises:
        IntentError: with every problem of every manifest of Kubernetes.
    """
    if not any(map(is_foreign, values)):
        return Accepted(tuple(values))
    hosts = [key.name for key in snapshot.objects if key.kind == "Host"]
    tenants = {
        origin.partition(" ")[2]: key.tenant
        for key, stored in snapshot.objects.items()
        if key.kind == "Namespace" and (origin := stored.annotations.get(ORIGIN, ""))
    }
    made = _translated(
        values,
        tenant=tenant or CLUSTER,
        tenants={name: held for name, held in tenants.items() if name and held != tenant},
        hosts=hosts,
    )
    given = set(map(id, values))
    translated = [one for one in made.manifests if id(one) not in given]
    declared = {_name(one) for one in made.manifests}
    declared |= {str(key) for key in snapshot.objects if key.kind in _SURROUNDINGS}
    added = [one for one in surroundings(translated) if _name(one) not in declared]
    whole = (*made.manifests, *added)
    notes = (*made.notes, *_made_up(map(_name, added)))
    return Accepted(whole, notes, written=_written(whole))


def _translated(values: Sequence[Any], **known: Any) -> Translated:
    """What the door makes of them; those of ours are known to have names."""
    problems: list[Problem] = []
    for number, value in enumerate(values, 1):
        if not is_foreign(value) and items_of(value) != []:
            try:
                key_of(value, f"document {number}")
            except IntentError as error:
                problems += error.problems
    try:
        made = native(values, **known)
    except IntentError as error:
        problems += error.problems
    if problems:
        raise IntentError(*dict.fromkeys(problems))
    return made


def titles(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """What a manifest of Kubernetes is called in problems, and where in the value it is.

    Lists stand for their items: ``("Pod x/a", "/items/0")``.
    """
    if not is_foreign(value):
        return
    items = items_of(value)
    if items is not None:
        for number, item in enumerate(items):
            yield from titles(item, f"{pointer}/items/{number}")
        return
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if name and isinstance(metadata, Mapping):
        namespace = metadata.get("namespace") or "default"
        place = str(name) if value["kind"] in CLUSTERED else f"{namespace}/{name}"
        yield f"{value['kind']} {place}", pointer


def numbered(text: str) -> int | None:
    """Which document, from 0, a text begins with: ``document 3: …`` or ``objects[2]: …``."""
    found = _NUMBERED.match(text)
    if found is None:
        return None
    return int(found[1]) - 1 if found[1] else int(found[2])


def renumbered(text: str) -> str:
    """``objects[2]`` in place of ``document 3``, as requests count."""
    return _DOCUMENT.sub(lambda found: f"objects[{int(found[1]) - 1}]", text)


def keys_by_title(origins: Iterable[tuple[Key, Mapping[str, str]]]) -> dict[str, list[Key]]:
    """Objects by what they were written as, from their keys and annotations."""
    found: dict[str, list[Key]] = {}
    for key, said in origins:
        if title := written_as(said):
            found.setdefault(title, []).append(key)
    return found


def written_as(annotations: Mapping[str, Any]) -> str:
    """``NetworkPolicy x/p``, from the annotations of an object; empty for our own kinds."""
    return _title(str(annotations.get(ORIGIN, "")))


def _title(origin: str) -> str:
    kind, space, name = origin.partition(" ")
    return f"{kind.rpartition('/')[2]} {name}" if space else ""


def _written(manifests: Iterable[Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for one in manifests:
        metadata = one.get("metadata") if isinstance(one, Mapping) else None
        annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
        if isinstance(annotations, Mapping) and written_as(annotations):
            found[_name(one)] = annotations
    return found


def _name(manifest: Any) -> str:
    if not isinstance(manifest, Mapping) or not isinstance(manifest.get("metadata"), Mapping):
        return ""
    metadata = manifest["metadata"]
    words = (manifest.get("kind"), metadata.get("tenant"), metadata.get("name"))
    kind, tenant, name = (str(word or "") for word in words)
    return str(Key(kind, tenant, name))


def _made_up(names: Iterable[str]) -> Iterator[str]:
    every = list(names)
    if every:
        shown = ", ".join(every[:8]) + (f" and {len(every) - 8} more" if len(every) > 8 else "")
        yield f"made up, as nothing declares it: {shown}"
