# SPDX-License-Identifier: Apache-2.0
"""Paths of objects on the REST server."""

from __future__ import annotations

from urllib.parse import quote

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.northbound import resources


def path_to(kind: str, tenant: str = "", name: str = "") -> str:
    """Of an object, or of a kind's objects: ``/v1/tenants/red/networks/web``.

    Raises:
        IntentError: there is no such kind, or it takes a tenant and there is none.
    """
    found = resources.find_kind(kind)
    parts = ["v1", *(["tenants", tenant] if tenant and found.tenanted else []), found.plural]
    if found.tenanted and name and not tenant:
        message = f"objects of kind {found.name} belong to a tenant: say which"
        raise IntentError(Problem(f"{found.name} {name}", "metadata.tenant", "Missing", message))
    return "".join(f"/{quote(part, safe='')}" for part in (*parts, *([name] if name else [])))
