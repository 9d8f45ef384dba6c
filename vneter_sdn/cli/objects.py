# SPDX-License-Identifier: Apache-2.0
"""The commands on objects: apply, delete, wait."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.targets import key_named, kind_named, seconds
from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer, Usage
from vneter_sdn.client import Client
from vneter_sdn.client.results import Manifest
from vneter_sdn.errors import IntentError, NotFound, Problem, VneterError
from vneter_sdn.model import jsontext
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound import manifests
from vneter_sdn.northbound.conditions import condition_of
from vneter_sdn.northbound.manifests import Document
from vneter_sdn.northbound.resources import applied_values, key_of
from vneter_sdn.store.port import Applied

_FEW = 16
"""Objects that are asked for one by one."""
_DONE = ("created", "updated", "deleted", "unchanged")
PLAINLY = Form("text")


def apply(
    client: Client, files: Sequence[str], message: str, dry_run: bool, form: Form = PLAINLY
) -> None:
    """Create or replace the objects of some files, in one transaction."""
    documents = read(files)
    try:
        with patience(f"applying {len(documents)} objects"):
            done = client.apply([one.value for one in documents], message, dry_run)
    except IntentError as error:
        if any(one.reason == "TooLarge" and one.object == "request" for one in error.problems):
            raise _too_large(error, documents) from None
        raise placed(error, documents) from None
    noted(done.notes, documents)
    tell(done, dry_run, form)


def _too_large(error: IntentError, documents: Sequence[Document]) -> Answer:
    """How large it is, and into how many parts it would have to go."""
    size = sum(len(msgspec.json.encode(one.value)) + 1 for one in documents)
    told = [
        f"{len(documents)} objects in one transaction are {size} bytes of JSON, too many: "
        f"{one.message} ({one.reason})"
        for one in error.problems
    ]
    each = max(1, len(documents) * jsontext.MAX_BYTES // (size + 1024))
    hint = f"nothing was changed; apply at most about {each} such objects at a time"
    return Answer(REFUSED, "; ".join(told), hint)


_MOST_ALIKE = 3
"""Notes of the same words that are told one by one."""


def noted(notes: Sequence[str], documents: Sequence[Document]) -> None:
    """Tell on standard error what was left out, and of which document.

    What is to be said of many is said of the first.
    """
    from vneter_sdn.northbound.foreign import numbered

    told: dict[str, list[str]] = {}
    for note in notes:
        number, rest = numbered(note), note.partition(": ")[2]
        if number is not None and number < len(documents):
            told.setdefault(rest, []).append(f"{documents[number].place('')}: {rest}")
        else:
            told.setdefault(note, []).append(note)
    for lines in told.values():
        many = len(lines) > _MOST_ALIKE
        shown = [f"{lines[0]} (and {len(lines) - 1} more)"] if many else lines
        print("\n".join(f"note: {line}" for line in shown), file=sys.stderr)


class Deleting(NamedTuple):
    """How to delete."""

    ignore_missing: bool = False
    dry_run: bool = False
    form: Form = PLAINLY
    message: str = ""


def delete(client: Client, key: Key, how: Deleting) -> None:
    """Delete one object."""
    with patience(f"deleting {key}"):
        missing = how.ignore_missing and not present(client, [key])
        done = None if missing else client.apply([], how.message, how.dry_run, delete=[key])
    if done is None and how.form.for_people:
        print(f"{_name(key)} is not there")
    else:
        tell(done or client.apply([], dry_run=True), how.dry_run, how.form)


def delete_files(client: Client, files: Sequence[str], how: Deleting) -> None:
    """Delete the objects that some files describe, in one transaction.

    Of manifests of Kubernetes, whatever was made of those of that kind and name.
    """
    with patience("deleting"):
        keys = keys_in(client, read(files), ignore_missing=how.ignore_missing)
        if how.ignore_missing:
            there = present(client, keys)
            keys = [key for key in keys if key in there]
        done = client.apply([], how.message, how.dry_run, delete=keys)
    tell(done, how.dry_run, how.form)


def keys_in(
    client: Client, documents: Sequence[Document], *, ignore_missing: bool = False
) -> list[Key]:
    """The objects that manifests describe.

    Raises:
        NotFound: nothing was made of one of Kubernetes, unless that is to be ignored.
        IntentError: one does not say which object it is.
    """
    from vneter_sdn.northbound import foreign

    problems: list[Problem] = []
    keys: list[Key] = []
    written = _written(client, documents)
    for document in documents:
        titles = [title for title, _ in foreign.titles(document.value)]
        keys += [key for title in titles for key in written.get(title, ())]
        missing = [title for title in titles if title not in written]
        if missing and not ignore_missing:
            raise NotFound(f"nothing was made of {missing[0]}")
        if foreign.is_foreign(document.value):
            continue
        try:
            keys.append(key_of(document.value, document.origin))
        except IntentError as error:
            problems.extend(error.problems)
    if problems:
        raise IntentError(*problems)
    return keys


def _written(client: Client, documents: Sequence[Document]) -> dict[str, list[Key]]:
    """What is stored of manifests of Kubernetes, by what it was written as."""
    from vneter_sdn.northbound import foreign

    if not any(foreign.is_foreign(document.value) for document in documents):
        return {}
    stored = (item for kind in KINDS.values() for item in client.list(kind.name))
    return foreign.keys_by_title(
        (key_of(item), item["metadata"].get("annotations", {})) for item in stored
    )


def present(client: Client, keys: Sequence[Key]) -> dict[Key, Manifest]:
    """Those of some objects that there are; many of a kind and tenant by one list of these."""
    groups: dict[tuple[str, str], set[Key]] = {}
    for key in keys:
        groups.setdefault((key.kind, key.tenant), set()).add(key)
    found: dict[Key, Manifest] = {}
    for (kind, tenant), some in groups.items():
        if len(some) <= _FEW:
            found.update(_one_by_one(client, some))
        else:
            listed = ((key_of(item), item) for item in client.iterate(kind, tenant or None))
            found.update((key, item) for key, item in listed if key in some)
    return found


def _one_by_one(client: Client, keys: Iterable[Key]) -> Iterator[tuple[Key, Manifest]]:
    for key in keys:
        with suppress(NotFound):
            yield key, client.get(*key)


def wait(client: Client, keys: Sequence[Key], condition: str, timeout: str) -> None:
    """Wait until a condition is True of some objects, or until they are deleted."""
    condition = condition.removeprefix("condition=")
    deadline = time.monotonic() + seconds(timeout)
    for key in keys:
        left = max(0.0, deadline - time.monotonic())
        with patience(f"waiting for {key}: {condition}"):
            told = _awaited(client, key, condition, left)
        print(f"{_name(key)} {told}")


def _awaited(client: Client, key: Key, condition: str, seconds: float) -> str:
    if condition.lower() in {"delete", "deleted"}:
        client.wait_deleted(*key, timeout=seconds)
        return "deleted"
    try:
        client.wait(*key, condition=condition, timeout=seconds)
    except TimeoutError as error:
        raise TimeoutError(_lacking(key, condition, error.args[1])) from None
    return condition


def selected(
    client: Client, kind: str, name: str, tenant: str, selector: str, everything: bool
) -> list[Key]:
    """The keys of one object, or of those a selector selects, or of all.

    Raises:
        Usage: nothing says which.
        Answer: nothing is selected.
    """
    found = kind_named(kind)
    if name:
        return [key_named(found, name, tenant)]
    if not selector and not everything:
        raise Usage("which objects?", "give a NAME, or -l SELECTOR, or --all")
    items = client.list(found.name, tenant or None, selector or None)
    if not items:
        raise Answer(NOT_FOUND, f"no {found.plural} are selected")
    return [key_of(item) for item in items]


def read(files: Sequence[str]) -> list[Document]:
    """The manifests of files, directories and ``-`` for standard input.

    Raises:
        IntentError: one cannot be read, or there is none.
        Usage: no file is given.
    """
    if not files:
        raise Usage("no manifests are given", "add -f FILE, -f DIRECTORY or -f -")
    documents: list[Document] = []
    for name in files:
        if not name:
            raise Usage("a file is named ''", "write . for this directory; is a variable not set?")
        if name.startswith(("http://", "https://")):
            raise Usage("manifests are not fetched", f"curl -fsSL {name} | vneterctl .. -f -")
        if name == "-":
            data = sys.stdin.buffer.read(jsontext.MAX_BYTES + 1)
            documents += manifests.read_bytes(data, "-")
        else:
            documents += manifests.read_path(Path(name))
    found = manifests.expand(documents)
    if not found:
        raise IntentError(Problem(", ".join(files), "", "Empty", "holds no manifest"))
    return found


def placed(error: IntentError, documents: Sequence[Document]) -> VneterError:
    """The same problems, each with the file and line that caused it.

    An object without a name is called ``objects[N]`` by the server, counted from 0, and
    ``document N`` by the offline compiler, counted from 1.
    """
    by_name = _places(documents)
    problems = []
    for problem in error.problems:
        index, name = by_name.get(problem.object, len(documents)), problem.object
        nameless = _NAMELESS.search(name)
        if nameless and index == len(documents):
            index = int(nameless[1]) if nameless[1] else int(nameless[2]) - 1
        if index < len(documents):
            document = documents[index]
            known = _NAMELESS.sub(f"document {document.number}", name) if nameless else name
            name = f"{document.place(problem.field)}: {known}"
        problems.append((index, Problem(name, problem.field, problem.reason, problem.message)))
    problems.sort(key=lambda placed: placed[0])  # as one reads the files
    return IntentError(*(problem for _, problem in problems))


_NAMELESS = re.compile(r"\bobjects\[(\d+)\]|\bdocument (\d+)")


def _places(documents: Sequence[Document]) -> dict[str, int]:
    """Documents by what problems call them."""
    from vneter_sdn.northbound.foreign import titles

    by_name: dict[str, int] = {}
    for index, document in enumerate(documents):
        foreign = [title for title, _ in titles(document.value)]
        if foreign:
            by_name |= {title: index for title in foreign if title not in by_name}
            continue
        with suppress(IntentError):
            by_name[str(key_of(document.value))] = index
    return by_name


def tell(done: Applied, dry_run: bool = False, form: Form = PLAINLY) -> None:
    """Print what a transaction did, or would do: for programs as the server tells it."""
    if form.name == "name":
        print("".join(f"{_name(key)}\n" for word in _DONE for key in getattr(done, word)), end="")
        return
    if not form.for_people:
        notes = {"notes": list(done.notes)} if done.notes else {}
        print(structured(applied_values(done) | notes, form))
        return
    would = " (dry run)" if dry_run else ""
    for word in _DONE:
        for key in getattr(done, word):
            print(f"{_name(key)} {word}{would}")
    proven = "" if done.proven is None else f", proven in {done.proven:.2f} s"
    print(f"revision {done.revision}{proven}{', nothing was written' if dry_run else ''}")


def _name(key: Key) -> str:
    return f"{KINDS[key.kind].name.lower()}/{key.path}"


def _lacking(key: Key, condition: str, manifest: Mapping[str, Any]) -> str:
    state = condition_of(manifest, condition)
    if state is None:
        known = [one["type"] for one in manifest.get("status", {}).get("conditions", ())]
        return f"{key} has no condition {condition}; it has {', '.join(known) or 'none'}"
    if state["status"] == "True":
        return f"{key} is {condition} as it was before its last change, not yet as it is now"
    told = f": {state['message']}" if state.get("message") else ""
    return f"{key} is not {condition}: {state['reason']}{told}"
