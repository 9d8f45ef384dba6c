# SPDX-License-Identifier: Apache-2.0
"""What two tenants have who look alike, and clients that ask for it."""

from __future__ import annotations

from typing import Any

from vneter_sdn.model.access import Credential
from vneter_sdn.northbound.access import tokens
from vneter_sdn.northbound.access.identity import grants_text
from vneter_sdn.store.memory import MemoryStore

VNI = 777
"""Of the other tenant's network: who is told of it was told too much."""


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"tenant": tenant} if tenant else {})}
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def network(tenant: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    return manifest("Network", name, tenant, **({"prefixes": ["10.0.0.0/24"]} | spec))


def endpoint(tenant: str, name: str = "a") -> dict[str, Any]:
    return manifest("Endpoint", name, tenant, network="web")


class Asker:
    """A client with a token."""

    def __init__(self, app: Any, store: MemoryStore, name: str, *grants: Any) -> None:
        token = tokens.fresh(name)
        digest = tokens.digest(*(tokens.split(token) or ("", "")))
        store.issue(Credential(name, digest, grants_text(grants)))
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask."""
        given = {} if body is None else {"json": body}
        return self._client.open(path, method=method, headers=self._headers | headers, **given)

    def apply(self, *objects: Any, delete: Any = (), **more: Any) -> Any:
        """Apply a batch."""
        asked = {"objects": list(objects), "delete": list(delete)} | more
        return self("POST", "/v1/apply", asked)


def refused(answer: Any, store: MemoryStore, before: Any) -> None:
    """It is refused, tells nothing, and nothing happened."""
    assert answer.status_code == 403, answer.get_data()
    assert answer.mimetype == "application/problem+json"
    for secret in (str(VNI), "secret of blue"):
        assert secret not in answer.get_data(as_text=True)
    assert store.snapshot() is before
