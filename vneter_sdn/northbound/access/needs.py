# SPDX-License-Identifier: Apache-2.0
"""What each operation of `routes` needs, in one table; one that is not here is nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Needs(NamedTuple):
    """What whoever asks must have been granted."""

    verb: str
    """One of `identity.VERBS`; ``write`` is any of create, update and delete."""
    scope: Literal["open", "object", "tenant", "objects", "cluster"]
    """On what: nothing at all; the object or collection in the path; the tenant in the path;
    anything, for the answer or the change is judged object by object; or all there is."""


NEEDS: Mapping[str, Needs] = {
    # objects
    "list": Needs("list", "object"),
    "listAll": Needs("list", "object"),
    "get": Needs("get", "object"),
    "create": Needs("create", "object"),
    "put": Needs("write", "object"),
    "patch": Needs("update", "object"),
    "delete": Needs("delete", "object"),
    "watch": Needs("watch", "objects"),
    "watchTenant": Needs("watch", "tenant"),
    "apply": Needs("write", "objects"),
    # history
    "revisions": Needs("list", "objects"),
    "revision": Needs("get", "objects"),
    "chain": Needs("list", "objects"),
    "rollback": Needs("write", "objects"),
    "audit": Needs("audit", "cluster"),
    # the whole
    "status": Needs("get", "objects"),
    "snapshot": Needs("get", "objects"),
    "topology": Needs("get", "cluster"),
    "metrics": Needs("get", "cluster"),
    "inject": Needs("inject", "objects"),
    # credentials
    "whoami": Needs("", "open"),
    "listTokens": Needs("grant", "objects"),
    "createToken": Needs("grant", "objects"),
    "revokeToken": Needs("grant", "objects"),
    # what everybody may know
    "openapi": Needs("", "open"),
    "docs": Needs("", "open"),
    "docsAsset": Needs("", "open"),
    "healthz": Needs("", "open"),
    "readyz": Needs("", "open"),
}
