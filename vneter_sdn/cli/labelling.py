# SPDX-License-Identifier: Apache-2.0
"""``vneterctl label`` and ``annotate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from vneter_sdn.cli.objects import PLAINLY, present, selected, tell
from vneter_sdn.cli.output import Form
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, Usage
from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Manifest
from vneter_sdn.errors import Conflict
from vneter_sdn.northbound.resources import key_of

_TRIES = 5


class Which(NamedTuple):
    """Which objects."""

    kind: str
    tenant: str = ""
    selector: str = ""
    everything: bool = False


class How(NamedTuple):
    """What of them to change, and how."""

    field: Literal["labels", "annotations"]
    overwrite: bool = False
    dry_run: bool = False
    form: Form = PLAINLY
    message: str = ""


class Wish(NamedTuple):
    """What to set, and what to remove."""

    put: Mapping[str, str]
    take: frozenset[str]


def change(client: Client, which: Which, words: Sequence[str], how: How) -> None:
    """Set and remove labels or annotations, of all objects in one transaction.

    Raises:
        Usage: the command line makes no sense.
        Answer: one has another value already, and that was not to be replaced.
        Conflict: others kept changing the objects.
    """
    name, pairs = _apart(words)
    if name and (which.selector or which.everything):
        raise Usage("a name and a selector together", "give one of NAME, -l SELECTOR, --all")
    wish = wished(pairs)
    with patience("changing " + how.field):
        keys = selected(client, which.kind, name, which.tenant, which.selector, which.everything)
        for left in range(_TRIES - 1, -1, -1):
            there = present(client, keys)
            changed = [_changed(there.get(key) or client.get(*key), wish, how) for key in keys]
            try:
                done = client.apply(changed, how.message, how.dry_run)
                break
            except Conflict:  # somebody changed one between our reading and our writing
                if not left:
                    raise
    tell(done, how.dry_run, how.form)


def wished(pairs: Sequence[str]) -> Wish:
    """What ``a=b c-`` asks for.

    Raises:
        Usage: it is not written so, or contradicts itself.
    """
    put: dict[str, str] = {}
    take: set[str] = set()
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals and pair.endswith("-"):
            key = pair[:-1]
            again, wrong = key in take, key in put
            take.add(key)
        else:
            again, wrong = key in put, not equals or key in take
            put[key] = value
        if wrong or again or not key:
            hint = "write KEY=VALUE to set, KEY- to remove, each key once"
            raise Usage(f"{pair!r} says nothing to do", hint)
    if not pairs:
        raise Usage("nothing to set or to remove", "write KEY=VALUE, or KEY- to remove")
    return Wish(put, frozenset(take))


def _apart(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The name, where the first word is one, and the rest."""
    first = words[0] if words else ""
    is_name = first and "=" not in first and not first.endswith("-")
    return (first, words[1:]) if is_name else ("", words)


def _changed(manifest: Manifest, wish: Wish, how: How) -> dict[str, Any]:
    key = key_of(manifest)
    metadata = manifest["metadata"]
    if "revision" not in metadata:
        message = f"{key} was found, and nobody declared it, so it can have no {how.field}"
        raise Answer(
            REFUSED, message, f"`vneterctl get {key.kind} {key.path} -o yaml` can be applied"
        )
    have = dict(metadata.get(how.field, {}))
    held = [name for name, value in wish.put.items() if have.get(name, value) != value]
    if held and not how.overwrite:
        told = ", ".join(f"{name}={have[name]}" for name in held)
        raise Answer(REFUSED, f"{key} has {told} already", "--overwrite replaces it")
    left = {name: value for name, value in have.items() if name not in wish.take} | dict(wish.put)
    return {**_without_status(manifest), "metadata": {**metadata, how.field: left}}


def _without_status(manifest: Manifest) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "status"}
