# SPDX-License-Identifier: Apache-2.0
"""The one place that decides who may do what. Pure, and deny by default.

`allowed` is asked once for each request, with its route; `may` for each object that a request turns
out to touch. A tenant is never believed because a path says so: both compare it with what was
granted to whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access.identity import SHARED, WRITES, Identity
from vneter_sdn.northbound.access.needs import NEEDS
from vneter_sdn.northbound.routes import Route

_FILTERED = SHARED | {"Tenant"}
"""Kinds without a tenant whose lists hold for everybody what they may see."""


_KNOWING = ("get", "list", "watch", "create", "update", "delete")


def owner_of(key: Key) -> str:
    """The tenant whose an object is; empty for what belongs to none. A Tenant is its own.

    A tenant that somebody wrote where none belongs does not count.
    """
    if key.kind == "Tenant":
        return key.name
    kind = KINDS.get(key.kind)
    return key.tenant if kind is not None and kind.tenanted else ""


def may(identity: Identity, verb: str, key: Key) -> bool:
    """Whether somebody may do something with an object; its name may be empty, for any."""
    owner = owner_of(key)
    return any(grant.gives(verb, key.kind, owner) for grant in identity.grants)


def sees(identity: Identity, key: Key) -> bool:
    """Whether somebody may know of an object: who may write it may see what they wrote."""
    return any(may(identity, verb, key) for verb in _KNOWING)


def anywhere(identity: Identity, verb: str) -> bool:
    """Whether somebody may do something at all, in whichever tenant."""
    verbs = WRITES if verb == "write" else {verb}
    return any(grant.verbs & verbs for grant in identity.grants)


def in_tenant(identity: Identity, verb: str, tenant: str) -> bool:
    """Whether somebody may do something in a tenant."""
    return any(
        verb in grant.verbs and (grant.everywhere or tenant in grant.tenants)
        for grant in identity.grants
    )


def everywhere(identity: Identity, verb: str) -> bool:
    """Whether somebody may do something with all there is."""
    return any(grant.everywhere and verb in grant.verbs for grant in identity.grants)


def allowed(identity: Identity, route: Route, parameters: Mapping[str, str]) -> bool:
    """Whether somebody may use a route.

    Args:
        identity: who asks.
        route: which; one whose operation is not in `needs.NEEDS` is nobody's.
        parameters: of its path.
    """
    needs = NEEDS.get(route.operation)
    if needs is None:
        return False
    match needs.scope:
        case "open":
            return True
        case "cluster":
            return everywhere(identity, needs.verb)
        case "objects":
            return anywhere(identity, needs.verb)
        case "tenant":
            return in_tenant(identity, needs.verb, parameters.get("tenant", ""))
        case "object":
            return _on_path(identity, needs.verb, route, parameters)
    return False


def _on_path(identity: Identity, verb: str, route: Route, parameters: Mapping[str, str]) -> bool:
    if route.kind is None:
        return False
    tenant, name = parameters.get("tenant", ""), parameters.get("name", "")
    across = route.kind.tenanted and not tenant
    if not name and verb == "list" and (across or route.kind.name in _FILTERED):
        return anywhere(identity, verb)
    key = Key(route.kind.name, tenant, name)
    verbs = ("create", "update") if verb == "write" else (verb,)
    return any(may(identity, one, key) for one in verbs)
