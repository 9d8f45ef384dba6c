# SPDX-License-Identifier: Apache-2.0
"""Ten hosts and sixty endpoints of four tenants with the same addresses, up and down again."""

import os
import subprocess
import sys

import pytest

from vneter_sdn.cli.recompute import fresh_digests, verdicts
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.system import namespaces, processes_of
from vneter_sdn.northbound.exports import snapshot_from

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
HOSTS, ENDPOINTS = 10, 60
TENANTS = ("red", "blue", "green", "gold")


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(HOSTS)
    fleet.alike(*TENANTS)
    fleet.attach(*(wish(number) for number in range(ENDPOINTS)))


def wish(number):
    """Each tenant, in both networks, on all hosts."""
    tenant = TENANTS[number % len(TENANTS)]
    return tenant, f"e{number}", ("web", "db")[number // len(TENANTS) % 2], f"h{number % HOSTS + 1}"


def test_everything_is_ready(fleet):
    client = fleet.controller.client
    for kind, count in (("Host", HOSTS), ("Endpoint", ENDPOINTS)):
        found = client.list(kind)
        ready = [
            condition["status"]
            for one in found
            for condition in one["status"]["conditions"]
            if condition["type"] == "Ready"
        ]
        assert ready == ["True"] * count


def test_every_pair_is_as_the_intent_has_it(fleet):
    report = probe(list(fleet.records.values()), Method(tcp=(80,), families=(4,)))
    assert report.differences == []
    report = probe(list(fleet.records.values()), Method(families=(6,)))
    assert report.differences == []


def test_every_bridge_is_as_a_fresh_computation_has_it(fleet):
    def words():
        snapshot = snapshot_from(fleet.controller.client.snapshot())
        found = verdicts(snapshot, fresh_digests(snapshot))
        assert len(found) == HOSTS
        return {one.word for one in found if one.confirmed} == {"same"} and found

    found = fleet.until(words, what="the same digests")
    assert [one.word for one in found] == ["same"] * HOSTS


def test_nothing_is_left_of_it(fleet):
    """Last: it takes the fleet down."""
    place = {
        "VNETER_RUN_DIR": str(fleet.layout.run_dir),
        "VNETER_FLEET_PREFIX": fleet.layout.prefix,
    }
    words = ["-m", "vneter_sdn", "fleet", "down", "--server", fleet.controller.server]
    subprocess.run([sys.executable, *words], env={**os.environ, **place}, check=True, timeout=60)
    assert namespaces(fleet.layout) == []
    assert processes_of(fleet.layout) == []
    assert not fleet.layout.fleet_dir.exists()
    client = fleet.controller.client
    assert [client.list(kind) for kind in ("Host", "Endpoint")] == [[], []]
