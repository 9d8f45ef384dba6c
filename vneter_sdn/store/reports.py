# SPDX-License-Identifier: Apache-2.0
"""What both stores say of an admission, and which reports are news to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

from vneter_sdn.admission.admit import Admission
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.access import Credential
from vneter_sdn.model.snapshot import Binding, Key, Snapshot, Status
from vneter_sdn.store.port import Applied

_LONGEST = 4096


def journal_text(text: str) -> str:
    """Text as the journal can hold it: no NUL, no surrogates, 4,096 characters."""
    clean = text[:_LONGEST].encode("utf-8", "replace").decode()
    return clean.replace("\0", "\ufffd")


def require_clean(credential: Credential) -> None:
    """Refuse what no database can hold.

    Raises:
        IntentError: reason ``BadText``.
    """
    for name, value in asdict(credential).items():
        clean = (value or "").encode("utf-8", "replace").decode().replace("\0", "")
        if clean != (value or ""):
            text = "holds NUL or a surrogate, which is not valid UTF-8 text; remove it"
            raise IntentError(Problem("Credential", name, "BadText", text))


def news(
    snapshot: Snapshot,
    bound: Sequence[Binding],
    unbound: Sequence[Key],
    statuses: Sequence[Status],
    gone: Collection[Key] = (),
) -> tuple[dict[Key, Binding | None], dict[Key, Status | None]]:
    """What to write; None removes.

    Older bindings never replace newer ones, and nothing is kept of objects that are gone, save
    links: those that are found have a status and no object.
    """
    bindings: dict[Key, Binding | None] = {key: None for key in unbound if key in snapshot.bindings}
    for binding in bound:
        held = bindings.get(binding.endpoint) or snapshot.bindings.get(binding.endpoint)
        newer = held is None or binding.sequence > held.sequence
        if newer and binding.endpoint in snapshot.objects:
            bindings[binding.endpoint] = binding
    changed: dict[Key, Status | None] = {
        status.key: status
        for status in statuses
        if (status.key in snapshot.objects or status.key.kind == "Link")
        and snapshot.statuses.get(status.key) != status
    }
    changed |= {
        key: None
        for key in gone
        if key.kind == "Link" and key in snapshot.statuses and key not in snapshot.objects
    }
    return bindings, changed


def applied(admission: Admission, revision: int) -> Applied:
    """What an admission did, as the store's answer."""
    return Applied(
        revision, admission.created, admission.updated, admission.deleted, admission.unchanged
    )
