# SPDX-License-Identifier: Apache-2.0
"""What an object of one tenant may not claim of what belongs to the whole fleet. Pure.

Two fields of tenants' objects reach beyond their tenant:

* An endpoint is where a port has its iface-id, ``TENANT/NAME`` unless it says another one. Whoever
  says another tenant's has its workload, when the port is there before the endpoint is.
* A network that learns takes in whoever speaks by a port that is nobody's, wherever that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vneter_sdn.model.network_kinds import EndpointSpec, NetworkSpec
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.northbound.access.authorise import may
from vneter_sdn.northbound.access.identity import WRITES, Identity
from vneter_sdn.store.port import Edit


def usurped(identity: Identity, edit: Edit, stored: Object | None) -> str:
    """What an edit would claim that is not its tenant's; empty when that is nothing.

    Args:
        identity: whose edit it is; not one that may write everything.
        edit: not yet admitted, of whatever shape.
        stored: the object as it is now; what it has it may keep, for somebody gave it that.
    """
    spec = (edit.manifest or {}).get("spec")
    now = stored.spec if stored is not None else None
    if not isinstance(spec, Mapping):
        return ""
    if edit.key.kind == "Endpoint":
        return _interface(identity, spec, now if isinstance(now, EndpointSpec) else None)
    if edit.key.kind == "Network":
        network = now if isinstance(now, NetworkSpec) else None
        return _learning(spec, network)
    return ""


def _interface(identity: Identity, spec: Mapping[str, Any], now: EndpointSpec | None) -> str:
    wanted = spec.get("interfaceId")
    if not isinstance(wanted, str) or (now is not None and now.interface_id == wanted):
        return ""
    owner, slash, name = wanted.partition("/")
    theirs = Key("Endpoint", owner, name)
    if not slash or any(may(identity, verb, theirs) for verb in WRITES):
        return ""
    return f"the interface id {wanted!r}, which is for a tenant of that name"


def _learning(spec: Mapping[str, Any], now: NetworkSpec | None) -> str:
    if not spec.get("learning") or (now is not None and now.learning):
        return ""
    return "learning, which takes in ports of the whole fleet"
