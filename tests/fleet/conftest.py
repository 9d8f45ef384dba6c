# SPDX-License-Identifier: Apache-2.0
"""Fleets of this test run alone, and a controller that only hands out addresses."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vneter_sdn.errors import NotFound
from vneter_sdn.fleet.host import vsctl
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.lifecycle import tear_down


class PaperController:
    """Keeps objects in a dict and gives endpoints what a real controller would."""

    def __init__(self):
        self.objects = {}
        self.messages = []

    def apply(self, objects, message=""):
        self.messages.append(message)
        for manifest in objects:
            metadata = manifest["metadata"]
            key = (manifest["kind"], metadata.get("tenant", ""), metadata["name"])
            self.objects[key] = manifest
            if manifest["kind"] == "Endpoint":
                manifest["status"] = self._status(key, manifest["spec"])
        return {}

    def _status(self, key, spec):
        mac = f"02:{':'.join(digest_of(*key)[i : i + 2] for i in range(0, 10, 2))}"
        return {
            "host": spec["host"],
            "interfaces": {
                "addresses": spec["addresses"],
                "gateways": [],
                "mtu": 1400,
                "mac": spec.get("mac", mac),
                "interfaceId": f"{key[1]}/{key[2]}",
            },
            "conditions": [{"type": "Ready", "status": "True"}],
        }

    def get(self, kind, tenant, name):
        try:
            return self.objects[kind, tenant, name]
        except KeyError:
            raise NotFound(f"{kind} {tenant}/{name}") from None

    def list(self, kind):
        return [one for (kind_of, *_), one in self.objects.items() if kind_of == kind]

    def delete(self, kind, tenant, name):
        self.get(kind, tenant, name)
        del self.objects[kind, tenant, name]


@contextmanager
def private_layout() -> Iterator[Layout]:
    """A layout nobody else on this machine uses; everything in it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vt") as scratch:
        prefix = f"vt{digest_of(scratch)[:7]}"
        layout = Layout(prefix, Path(scratch) / prefix)
        try:
            yield layout
        finally:
            tear_down(layout)


@pytest.fixture
def layout() -> Iterator[Layout]:
    if os.geteuid():
        pytest.skip("a fleet needs root")
    with private_layout() as made:
        yield made


@pytest.fixture(scope="module")
def shared_layout() -> Iterator[Layout]:
    if os.geteuid():
        pytest.skip("a fleet needs root")
    with private_layout() as made:
        yield made


@pytest.fixture
def controller() -> PaperController:
    return PaperController()


def wire_by_hand(hosts) -> None:
    """A learning br-int on each host, and tunnels that make a star, which has no loop."""
    hub, *others = hosts
    for host in hosts:
        bridge = ["add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev"]
        vsctl(host, *bridge, "fail_mode=standalone")
    for other in others:
        for here, there in ((hub, other), (other, hub)):
            tunnel = f"t-{there.name}"
            options = f"options:remote_ip={there.addresses[0]}"
            words = ["add-port", "br-int", tunnel, "--", "set", "Interface", tunnel]
            vsctl(here, *words, "type=geneve", options)


@pytest.fixture(scope="session")
def wire():
    """Wires hosts without a controller."""
    return wire_by_hand
