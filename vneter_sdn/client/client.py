# SPDX-License-Identifier: Apache-2.0
"""A client of the REST server, on the standard library.

Every method raises the error the server reported, as its own type: IntentError with every
Problem, Conflict, NotFound; StoreUnavailable also when the server cannot be reached.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from vneter_sdn.errors import IntentError, NotFound, Problem, StoreUnavailable, VneterError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound import resources
from vneter_sdn.northbound.conditions import met
from vneter_sdn.northbound.problems import error_from

DEFAULT_SERVER = "http://127.0.0.1:8181"
Manifest = dict[str, Any]
_LONG_POLL = 10.0
_PAUSE = 0.2


class Client:
    """One REST server. Safe to share among threads: each request has its own connection."""

    def __init__(
        self, server: str = DEFAULT_SERVER, *, author: str = "", timeout: float = 60.0
    ) -> None:
        """Talk to a server.

        Args:
            server: ``http://127.0.0.1:8181``, or ``unix:PATH``.
            author: who makes the changes, for the journal.
            timeout: seconds to wait for one answer.

        Raises:
            IntentError: ``server`` is no such address.
        """
        self._server, self._author, self._timeout = server, author, timeout
        self._connect()

    def apply(
        self,
        objects: Iterable[Mapping[str, Any]],
        message: str = "",
        dry_run: bool = False,
        delete: Iterable[Key | Mapping[str, str]] = (),
    ) -> dict[str, Any]:
        """Write and delete many objects in one transaction, or none.

        Returns:
            ``{"revision", "created", "updated", "deleted", "unchanged"}``, the last four as lists
            of ``{"kind", "tenant", "name"}``.
        """
        references = [
            resources.reference(item) if isinstance(item, Key) else dict(item) for item in delete
        ]
        asked = {
            "objects": list(objects),
            "delete": references,
            "message": message,
            "dryRun": dry_run,
        }
        return self._json("POST", "/v1/apply", asked)

    def get(self, kind: str, tenant: str, name: str) -> Manifest:
        """One object; ``tenant`` is empty for kinds that belong to none."""
        return self._json("GET", _path(kind, tenant, name))

    def list(
        self, kind: str, tenant: str | None = None, selector: str | None = None
    ) -> Sequence[Manifest]:
        """Objects of a kind: of one tenant or of all, those a label selector selects."""
        query = {"labelSelector": selector} if selector else {}
        items: Sequence[Manifest] = self._json("GET", _path(kind, tenant or "", ""), query=query)[
            "items"
        ]
        return items

    def delete(self, kind: str, tenant: str, name: str) -> dict[str, Any]:
        """Delete one object; answers as `apply` does."""
        return self._json("DELETE", _path(kind, tenant, name))

    def wait(
        self, kind: str, tenant: str, name: str, condition: str = "Ready", timeout: float = 60.0
    ) -> Manifest:
        """Wait until a condition of an object is True for its current revision.

        Raises:
            TimeoutError: it is not within ``timeout`` seconds; ``args[1]`` is the manifest.
            NotFound: there is no such object.
        """
        deadline = time.monotonic() + timeout
        path = _path(kind, tenant, name)
        while True:
            left = max(0.0, deadline - time.monotonic())
            query = {"waitFor": condition, "timeout": f"{min(left, _LONG_POLL):.3f}"}
            asked = time.monotonic()
            manifest = self._json("GET", path, query=query)
            if met(manifest, condition):
                return manifest
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{kind} {name} is not {condition} yet", manifest)
            if time.monotonic() - asked < _PAUSE:  # the server had no thread to wait with
                time.sleep(min(_PAUSE, left))

    def wait_deleted(self, kind: str, tenant: str, name: str, timeout: float = 60.0) -> None:
        """Wait until there is no such object.

        Raises:
            TimeoutError: there still is after ``timeout`` seconds; ``args[1]`` is the manifest.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                manifest = self.get(kind, tenant, name)
            except NotFound:
                return
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{kind} {name} is still there", manifest)
            time.sleep(_PAUSE)

    def status(self) -> dict[str, Any]:
        """The summary: revision, counts per kind, and what is not ready."""
        return self._json("GET", "/v1/status")

    def revisions(self, limit: int = 100, before: int | None = None) -> Sequence[dict[str, Any]]:
        """The journal, newest first."""
        query = {"limit": limit} | ({} if before is None else {"before": before})
        items: Sequence[dict[str, Any]] = self._json("GET", "/v1/revisions", query=query)["items"]
        return items

    def topology(self) -> dict[str, Any]:
        """The graph as it is; `graph.atlas.exchange.topology_of` reads it."""
        return self._json("GET", "/v1/topology")

    def inject(self, packet: Mapping[str, Any]) -> dict[str, Any]:
        """Inject a packet (`schemas.Injection`); where it was seen (`schemas.Injected`)."""
        return self._json("POST", "/v1/inject", dict(packet))

    def snapshot(self) -> dict[str, Any]:
        """Everything stored; `exports.snapshot_from` reads it."""
        return self._json("GET", "/v1/snapshot")

    def ready(self) -> bool:
        """Whether the server and its database can do their work."""
        try:
            self._json("GET", "/readyz")
        except VneterError:
            return False
        return True

    def _json(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        target = f"{path}?{urlencode(query)}" if query else path
        status, data = self._exchange(method, target, body)
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise StoreUnavailable(f"{self._server} does not speak vneter's REST")
        if status >= 400:
            raise error_from(status, value)
        return value

    def _exchange(self, method: str, target: str, body: Any) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Host": "localhost"}
        if self._author:
            headers["X-Vneter-Author"] = self._author.encode("ascii", "replace").decode()
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection = self._connect()
        try:
            _send(connection, method, target, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", "") or str(error) or type(error).__name__
            raise StoreUnavailable(f"cannot reach {self._server}: {reason}") from error
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._server.startswith("unix:"):
            return _UnixConnection(self._server.removeprefix("unix:"), self._timeout)
        try:
            parts = urlsplit(self._server)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme != "http" or not host or parts.path not in {"", "/"}:
            message = f"{self._server!r} is not http://HOST:PORT or unix:PATH"
            raise IntentError(Problem("client", "server", "InvalidAddress", message))
        return http.client.HTTPConnection(host, port or 8181, timeout=self._timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path, self._seconds = path, timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(self._path)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    data: bytes | None,
    headers: dict[str, str],
) -> None:
    try:
        connection.request(method, target, data, headers)
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a body by its length answers and closes before it is all sent; the
        # answer is there to read.
        if data is None:
            raise


def _path(kind: str, tenant: str, name: str) -> str:
    found = resources.find_kind(kind)
    parts = ["v1", *(["tenants", tenant] if tenant and found.tenanted else []), found.plural]
    if found.tenanted and name and not tenant:
        message = f"objects of kind {found.name} belong to a tenant: say which"
        raise IntentError(Problem(f"{found.name} {name}", "metadata.tenant", "Missing", message))
    return "".join(f"/{quote(part, safe='')}" for part in (*parts, *([name] if name else [])))
