# SPDX-License-Identifier: Apache-2.0
"""Who has which address, by tenant: for packets that come to the controller, which are few."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.snapshot import Key, Pools, Snapshot
from vneter_sdn.simulate.meaning import Station, meaning_of

PATIENCE = 1.0
"""Seconds that it may be behind while objects change all the time: it is read as a whole."""


class Directory:
    """Read from the store when somebody asks. O(endpoints) after a change, else O(1)."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._stale, self._read = False, -PATIENCE
        self._owners: Mapping[tuple[str, IPAddress], Station] = {}
        self._tenants: Mapping[int, str] = {}
        self._networks: Mapping[Key, int] = {}

    def stored(self, snapshot: Snapshot) -> None:
        """The store is at this."""
        self._snapshot, self._stale = snapshot, True

    def tenant(self, number: int) -> str | None:
        """Name of the tenant of a number."""
        self._look()
        return self._tenants.get(number)

    def owner(self, tenant: str, address: IPAddress) -> Station | None:
        """The endpoint that has an address."""
        self._look()
        return self._owners.get((tenant, address))

    def vni(self, network: Key) -> int | None:
        """The number of a network."""
        self._look()
        return self._networks.get(network)

    def _look(self) -> None:
        now = time.monotonic()
        snapshot = self._snapshot
        if not self._stale or snapshot is None or now - self._read < PATIENCE:
            return
        self._stale, self._read = False, now
        stations = meaning_of(snapshot).stations.values()
        self._owners = {(s.tenant, address): s for s in stations for address in s.addresses}
        held = [one for one in snapshot.allocations.values() if one.released is None]
        tenants = (one for one in held if one.pool == Pools.TENANT)
        self._tenants = {int(one.value): one.owner.partition(" ")[2] for one in tenants}
        vnis = {one.owner: int(one.value) for one in held if one.pool == Pools.VNI}
        networks = (key for key in snapshot.objects if key.kind == "Network")
        self._networks = {key: vnis[str(key)] for key in networks if str(key) in vnis}
