# SPDX-License-Identifier: Apache-2.0
"""Two tenants, and one that tries by every way to see or change what is the other one's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
from vneter_sdn.northbound.access.identity import grant_of
from vneter_sdn.northbound.rest.app import create_app

sys.path.insert(0, str(Path(__file__).parent))

from two_tenants import VNI, Asker, endpoint, manifest, network


@pytest.fixture
def app(store):
    settings = Settings(api_read_rate=0, api_write_rate=0)
    return create_app(store, settings, doorkeeper=Doorkeeper(store))


@pytest.fixture
def root(app, store):
    """Made the world: two tenants that look alike, hosts, and a link that was found."""
    asker = Asker(app, store, "root", grant_of("admin"))
    for tenant, vni in (("red", 100), ("blue", VNI)):
        done = asker.apply(
            manifest("Tenant", tenant), network(tenant, vni=vni), endpoint(tenant),
            message=f"secret of {tenant}",
        )  # fmt: skip
        assert done.status_code == 200, done.json
    hosts = (
        manifest("Host", f"h{n}", ovsdb=f"unix:/run/h{n}.sock", tunnelAddresses=[f"192.0.2.{n}"])
        for n in (1, 2)
    )
    assert asker.apply(*hosts).status_code == 200
    seen = {"edge": "h1>h2", "source": "h1", "target": "h2", "medium": "tunnel", "state": "up"}
    store.report(
        [
            Status(Key("Link", "", "h1-h2"), details=seen),
            Status(Key("Endpoint", "blue", "a"), conditions=(Condition("Ready", "True", "x"),)),
        ]
    )
    return asker


@pytest.fixture
def red(root, app, store):
    """An administrator of one tenant."""
    return Asker(app, store, "red", grant_of("admin", ["red"]))


@pytest.fixture
def editor(root, app, store):
    """An editor of it."""
    return Asker(app, store, "editor", grant_of("editor", ["red"]))
