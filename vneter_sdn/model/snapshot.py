# SPDX-License-Identifier: Apache-2.0
"""Everything that was asked for, decided and seen, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec


class Key(NamedTuple):
    """Identity of an object; ``tenant`` is empty for kinds that belong to none."""

    kind: str
    tenant: str
    name: str

    def __str__(self) -> str:
        """``Network red/web``, ``Host h1``."""
        return (
            f"{self.kind} {self.tenant}/{self.name}" if self.tenant else f"{self.kind} {self.name}"
        )

    @property
    def path(self) -> str:
        """``red/web`` or ``h1``: how people write it."""
        return f"{self.tenant}/{self.name}" if self.tenant else self.name


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """One stored object. ``spec`` is the Struct of its kind, with defaults filled in."""

    key: Key
    spec: Any
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    revision: int = 0
    """Revision of the store that last changed it."""
    created: str = ""
    """RFC 3339, UTC."""


class Pools:
    """Names of the pools that allocations come from. (pool, value) has one owner, ever."""

    TENANT = "tenant"
    """Tenant ids, 1..2^20-1; owner ``Tenant x``."""
    VNI = "vni"
    """Network identifiers, 1..2^24-1; owner ``Network x/y``."""
    BRIDGE = "bridge"
    """Bridge ids, 1..28671 (they are also tunnel port numbers); owner ``Host x``."""
    SLOT = "slot"
    """Arrival slots of locators, 1..2^24-1, fleet-wide; owner a Network (its routing context)
    or an Endpoint."""
    POLICY = "policy"
    """Numbers of path policies, 1..4095; owner ``PathPolicy x``."""
    PATH = "path"
    """Routes that have a colour; value is the route's text, in the direction whose source sorts
    first, and owner ``Colour 5`` (`vneter_sdn.model.colours`)."""

    @staticmethod
    def address(network: Key, prefix: str) -> str:
        """Addresses of one prefix of one network; owner an Endpoint or the Network (gateway)."""
        return f"address/{network.path}/{prefix}"

    @staticmethod
    def mac(network: Key) -> str:
        """Ethernet addresses of one network; owner an Endpoint or the Network (gateway)."""
        return f"mac/{network.path}"

    @staticmethod
    def block(network: Key, prefix: str) -> str:
        """Address blocks of one prefix; owner ``Host x``, or ``-`` for endpoints of no host."""
        return f"block/{network.path}/{prefix}"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One value of one pool, and who owns it."""

    pool: str
    value: str
    """Decimal number, address, MAC, prefix or route."""
    owner: str
    """``str(Key)`` of the owner; of a route, its colour."""
    released: float | None = None
    """POSIX time at which it was released; it rests until the pool's delay is over."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where an endpoint is, as its host's OVSDB said. The newest wins, by ``sequence``."""

    endpoint: Key
    host: str
    interface: str
    """Name of the OVS interface."""
    ofport: int
    sequence: int
    """Grows by one with every new binding the controller sees, fleet-wide."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of an object's state, as in Kubernetes."""

    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str
    """CamelCase word for programs."""
    message: str = ""
    changed: str = ""
    """RFC 3339 time of the last change of ``status``."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the controller last reported of one object."""

    key: Key
    observed_revision: int = 0
    conditions: tuple[Condition, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """Kind-specific, plain JSON: counters, peers, flow counts."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One transaction on the intent."""

    number: int
    author: str
    time: str
    """RFC 3339, UTC."""
    message: str = ""
    changes: tuple[str, ...] = ()
    """``created Network red/web``, ``updated …``, ``deleted …``, at most 1,000 lines."""
    digest: str = ""
    """Of the revision before, and of all that this one did; empty before release 1.2.0 of the
    schema."""


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at one instant. Mappings are never mutated once here."""

    revision: int = 0
    objects: Mapping[Key, Object] = field(default_factory=_nothing)
    allocations: Mapping[tuple[str, str], Allocation] = field(default_factory=_nothing)
    """By (pool, value)."""
    bindings: Mapping[Key, Binding] = field(default_factory=_nothing)
    """By endpoint."""
    statuses: Mapping[Key, Status] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed between two snapshots: the keys, whatever happened to them."""

    objects: frozenset[Key] = frozenset()
    allocations: frozenset[tuple[str, str]] = frozenset()
    bindings: frozenset[Key] = frozenset()
    statuses: frozenset[Key] = frozenset()
