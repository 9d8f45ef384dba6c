# SPDX-License-Identifier: Apache-2.0
"""What an object of one tenant may not claim of what belongs to the whole fleet. Pure.

An endpoint is where a port has its iface-id, ``TENANT/NAME`` unless it says another one. Whoever
says another tenant's has its workload, when the port is there before the endpoint is.
"""

from __future__ import annotations

from vneter_sdn.model.network_kinds import EndpointSpec
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.northbound.access.authorise import may
from vneter_sdn.northbound.access.identity import WRITES, Identity
from vneter_sdn.store.port import Edit


def usurped(identity: Identity, edit: Edit, stored: Object | None) -> str:
    """The interface id of others that an edit would bind by; empty when it claims none.

    Args:
        identity: whose edit it is.
        edit: not yet admitted, of whatever shape.
        stored: the object as it is now; what it has it may keep, for somebody gave it that.
    """
    spec = (edit.manifest or {}).get("spec")
    wanted = spec.get("interfaceId") if isinstance(spec, dict) else None
    if edit.key.kind != "Endpoint" or not isinstance(wanted, str):
        return ""
    owner, slash, name = wanted.partition("/")
    now = stored.spec if stored is not None else None
    if not slash or (isinstance(now, EndpointSpec) and now.interface_id == wanted):
        return ""
    theirs = Key("Endpoint", owner, name)
    return "" if any(may(identity, verb, theirs) for verb in WRITES) else wanted
