# SPDX-License-Identifier: Apache-2.0
"""The first credential, for a controller that begins open to the network. No default password."""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import suppress

from vneter_sdn.errors import Conflict
from vneter_sdn.model.access import AuditEntry, Credential
from vneter_sdn.model.instants import rfc3339
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.identity import ADMIN, grants_text
from vneter_sdn.store.port import Store

_LOG = logging.getLogger("vneter.api")
NAME = "first"
_DAYS = 90


def first_token(store: Store, path: str, now: float | None = None) -> bool:
    """Write an administrator's token to a file, unless there is any credential already.

    Returns:
        Whether it was written.

    Raises:
        OSError: the file cannot be written; nothing was issued then.
        StoreUnavailable: the credential cannot be kept.
    """
    if not path or store.credentials():
        return False
    now = time.time() if now is None else now
    token = tokens.fresh(NAME)
    digest = tokens.digest(NAME, token.rpartition("_")[2])
    kept = Credential(
        NAME, digest, grants_text([ADMIN]), "vneter", rfc3339(now), rfc3339(now + _DAYS * 86400)
    )
    _write(path, token)
    try:
        store.audit([AuditEntry("vneter", "token create", f"Credential {NAME}", "first one")])
        store.issue(kept)
    except Conflict:  # another server of the cluster was quicker
        os.unlink(path)
        return False
    _LOG.warning("a first token, of an administrator, is in %s until %s", path, kept.expires)
    return True


def _write(path: str, token: str) -> None:
    if os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    with suppress(FileNotFoundError):
        os.unlink(path)  # it may be another's, who has it open
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
