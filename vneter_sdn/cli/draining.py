# SPDX-License-Identifier: Apache-2.0
"""``vneterctl drain``: take a link or bridge out of use, and say when nothing uses it any more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from vneter_sdn.cli.objects import tell
from vneter_sdn.cli.targets import key_named
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client import Client
from vneter_sdn.model.kinds import KINDS, LinkSpec
from vneter_sdn.model.links import found_link
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.conditions import condition_of, met

CONDITION = "Drained"
"""True once neither the model nor the counters of its ports show any use."""
WORDS = {"link": "Link", "links": "Link", "ln": "Link", "bridge": "Host", "host": "Host"}
"""What can be drained: a bridge is known by its host."""
_PAUSE = 0.3


def drain(client: Client, what: str, name: str, *, undo: bool, timeout: float | None) -> None:
    """Drain something, or use it again.

    A tunnel that nobody declared becomes an object by it, and is one no more when that is undone.

    Args:
        client: of the server.
        what: one of `WORDS`.
        name: of the link, or of the bridge's host.
        undo: use it again.
        timeout: seconds to wait until it is empty; None does not wait.

    Raises:
        Usage: ``what`` is something else.
        NotFound: there is no such link or host.
        TimeoutError: it is not empty in time.
    """
    key = _key(what, name)
    manifest = client.get(*key)
    drained = bool(manifest["spec"].get("drained"))
    if drained == undo:
        _write(client, key, manifest, drained=not undo)
    elif undo:
        print(f"{_name(key)} is not drained")
    else:
        print(f"{_name(key)} is drained already, as far as it goes")
    if not undo and timeout is not None:
        _await_empty(client, key, timeout)


def try_out(client: Client, what: str, name: str, *, undo: bool) -> None:
    """Say what `drain` would write, as the server has checked it; nothing is written.

    Raises:
        Usage: ``what`` is something else.
        NotFound: there is no such link or host.
        IntentError: it would be refused.
    """
    key = _key(what, name)
    written, deleted = _change(key, client.get(*key), drained=not undo)
    tell(client.apply(written, delete=deleted, dry_run=True), dry_run=True)


def _key(what: str, name: str) -> Key:
    kind = WORDS.get(what.lower())
    if kind is None:
        raise Usage(f"{what!r} cannot be drained", "write `drain link NAME` or `drain bridge HOST`")
    return key_named(KINDS[kind], name)


def _change(
    key: Key, manifest: Mapping[str, Any], *, drained: bool
) -> tuple[list[dict[str, Any]], list[Key]]:
    """What to apply, and what to delete."""
    spec = {**manifest["spec"], "drained": drained}
    if not drained and key.kind == "Link" and _says_nothing(spec, manifest["status"]):
        return [], [key]
    asked = {name: value for name, value in manifest.items() if name != "status"}
    return [{**asked, "spec": spec}], []


def _write(client: Client, key: Key, manifest: Mapping[str, Any], *, drained: bool) -> None:
    written, deleted = _change(key, manifest, drained=drained)
    client.apply(written, f"{'drain' if drained else 'use again'} {key}", delete=deleted)
    if deleted:
        print(f"{_name(key)} is used again, and no longer declared")
    else:
        print(f"{_name(key)} {'is being drained' if drained else 'is used again'}")


def _says_nothing(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether a link's object says no more than what is found anyway.

    Only of tunnels, which need none: a wire is in the graph as long as it has an object.
    """
    found = found_link(status) if status.get("origin") == "tunnel" else None
    return found is not None and found == msgspec.convert(spec, LinkSpec)


def _await_empty(client: Client, key: Key, timeout: float) -> None:
    """Tell every step until it is empty."""
    deadline, told = time.monotonic() + timeout, ""
    while True:
        manifest = client.get(*key)
        step = _step(manifest)
        if step != told:
            print(f"  {step}", flush=True)
            told = step
        if met(manifest, CONDITION):
            print(f"{_name(key)} is drained")
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{_name(key)} is not drained yet: {step}", manifest)
        time.sleep(min(_PAUSE, left))


def _step(manifest: Mapping[str, Any]) -> str:
    state = condition_of(manifest, CONDITION)
    observed = manifest.get("status", {}).get("observedRevision", 0)
    if state is None or observed < manifest["metadata"].get("revision", 0):
        return "waiting for the controller"
    return str(state["message"] or state["reason"])


def _name(key: Key) -> str:
    return f"{'bridge of host' if key.kind == 'Host' else 'link'} {key.name}"
