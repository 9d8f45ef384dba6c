# SPDX-License-Identifier: Apache-2.0
"""What a fleet asks of a controller, and the manifests it hands over."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Protocol

from vneter_sdn.errors import IntentError, NotFound, Problem, SouthboundError
from vneter_sdn.fleet.layout import digest_of
from vneter_sdn.fleet.records import HostRecord
from vneter_sdn.fleet.topology import Wire

API_VERSION = "vneter.io/v1"
_NAME_MAX = 63
Manifest = dict[str, Any]


class Controller(Protocol):
    """The part of the REST client that a fleet uses."""

    def apply(self, objects: list[Manifest], message: str = "") -> Manifest:
        """Apply objects in one transaction."""

    def get(self, kind: str, tenant: str, name: str) -> Manifest:
        """One object; `vneter_sdn.errors.NotFound` when there is none."""

    def delete(self, kind: str, tenant: str, name: str) -> Any:
        """Delete one object."""

    def list(self, kind: str) -> Sequence[Manifest]:
        """All objects of a kind."""


def host_manifest(record: HostRecord) -> Manifest:
    """The Host object of a host."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Host",
        "metadata": {"name": record.name},
        "spec": {
            "ovsdb": record.ovsdb,
            # One that has wires alone is no end of any tunnel.
            **({"tunnelAddresses": list(record.addresses)} if record.addresses else {}),
            "underlayMtu": record.mtu,
            "datapathType": record.datapath,
        },
    }


def link_manifest(wire: Wire) -> Manifest:
    """The Link object that declares a wire: where it is, and what cannot be measured of it."""
    (source, target), (port, peer) = wire.ends, wire.ports
    spec: Manifest = {"source": source, "target": target, "medium": "wire"}
    spec |= {"sourcePort": port, "targetPort": peer}
    if wire.impairment and wire.impairment.rate:
        spec["capacityMbps"] = wire.impairment.rate
    number = port.partition(".")[2]
    name = f"{source}-{target}" + (f".{number}" if number else "")
    metadata = {"name": name if len(name) <= _NAME_MAX else digest_of(name)[:_NAME_MAX]}
    return {"apiVersion": API_VERSION, "kind": "Link", "metadata": metadata, "spec": spec}


def register(controller: Controller, hosts: Sequence[HostRecord]) -> None:
    """Tell the controller of hosts, all in one transaction."""
    controller.apply([host_manifest(host) for host in hosts], "fleet: hosts")


def deregister(controller: Controller, hosts: Sequence[HostRecord]) -> None:
    """Take back the Host objects that name these hosts' own databases, and no others.

    Links that end at one of them go first, declared or discovered: there is nothing left of them.
    Those that are only reported, as tunnels are, go with their hosts.

    Raises:
        IntentError: some are still in use; the others were taken back.
    """
    kept: list[Problem] = []
    mine = {host.name for host in hosts if _is_known(controller, host)}
    for link in controller.list("Link"):
        if mine & {link["spec"]["source"], link["spec"]["target"]}:
            _delete_link(controller, link["metadata"]["name"])
    for name in sorted(mine):
        try:
            controller.delete("Host", "", name)
        except NotFound:
            continue
        except IntentError as refused:
            kept += refused.problems
    if kept:
        raise IntentError(*kept)


def _delete_link(controller: Controller, name: str) -> None:
    try:
        controller.delete("Link", "", name)
    except NotFound:
        return
    except IntentError as refused:
        if any(problem.reason != "NotDeclared" for problem in refused.problems):
            raise


def _is_known(controller: Controller, host: HostRecord) -> bool:
    try:
        known = controller.get("Host", "", host.name)
    except NotFound:
        return False
    return bool(known.get("spec", {}).get("ovsdb") == host.ovsdb)


def answers(server: str, path: str = "/readyz", seconds: float = 2.0) -> bool:
    """Whether the REST server at a URL says that it is ready."""
    try:
        with urllib.request.urlopen(server.rstrip("/") + path, timeout=seconds) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def await_ready(
    controller: Controller, kind: str, tenant: str, name: str, seconds: float, *, host: str = ""
) -> Manifest:
    """The object, once its Ready condition is True and, if a host is given, it is there.

    Raises:
        SouthboundError: it did not get ready in time; says what its conditions say.
    """
    deadline = time.monotonic() + seconds
    pause = 0.02
    while True:
        seen = controller.get(kind, tenant, name)
        place = (seen.get("status") or {}).get("host")
        if condition(seen, "Ready").get("status") == "True" and host in ("", place):
            return seen
        if time.monotonic() >= deadline:
            why = condition(seen, "Ready") or {"message": "no Ready condition yet"}
            said = f"{why.get('reason', '')} {why.get('message', '')}".strip()
            what = f"{kind} {tenant}/{name}" if tenant else f"{kind} {name}"
            what += f" on {host}" if host else ""
            raise SouthboundError(f"{what} is not ready after {seconds:g} s: {said}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def await_attachment(controller: Controller, tenant: str, name: str, seconds: float) -> Manifest:
    """What an endpoint's interface has to look like, once the controller has decided it.

    Returns:
        ``{"addresses": ["10.0.1.5/24"], "gateways": [...], "mtu": 1400, "mac": "02:…",
        "interfaceId": "red/web1"}``

    Raises:
        SouthboundError: nothing was decided in time; says what the conditions say.
    """
    deadline = time.monotonic() + seconds
    pause = 0.02
    while True:
        seen = controller.get("Endpoint", tenant, name)
        attachment = _attachment(seen)
        if attachment:
            return attachment
        if time.monotonic() >= deadline:
            said = "; ".join(
                f"{c.get('type')}={c.get('status')} {c.get('reason', '')} {c.get('message', '')}"
                for c in seen.get("status", {}).get("conditions", [])
            )
            raise SouthboundError(
                f"Endpoint {tenant}/{name} has no addresses after {seconds:g} s: {said or 'silent'}"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _attachment(seen: Manifest) -> Manifest | None:
    status = seen.get("status") or {}
    found = status.get("interfaces") or status.get("interface")
    if isinstance(found, list):
        found = found[0] if found else None
    if not found or not found.get("mac") or not found.get("addresses"):
        return None
    # One gateway per prefix: fewer addresses mean that some are yet to be given.
    complete = len(found["addresses"]) >= len(found.get("gateways") or ())
    return found if complete else None


def condition(seen: Manifest, kind: str) -> Manifest:
    """One condition of an object, empty when it has none of that type."""
    for one in (seen.get("status") or {}).get("conditions") or []:
        if one.get("type") == kind:
            found: Manifest = one
            return found
    return {}
