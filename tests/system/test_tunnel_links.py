# SPDX-License-Identifier: Apache-2.0
"""Tunnels between real hosts: measured by probes, and down as soon as BFD says so."""

import os
import signal
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]
PAIRS = ("h1-h2", "h1-h3", "h2-h3")


def links(fleet):
    found = fleet.controller.client.list("Link")
    return {item["metadata"]["name"]: item["status"] for item in found}


@contextmanager
def stopped(fleet, host):
    """A host whose switch stands still."""
    pid = int((fleet.directory(host) / "ovs-vswitchd.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_tunnels_are_measured_and_fail_and_recover(fleet):
    fleet.up(3)

    def measured():
        found = links(fleet)
        both = ("latencyMs" in found.get(name, {}) and found[name].get("back") for name in PAIRS)
        return all(both) and found

    found = fleet.until(measured, 60, "a latency of every tunnel, both ways")
    for name in PAIRS:
        assert 0 <= found[name]["latencyMs"] < 1000
        assert found[name]["origin"] == "tunnel"

    def states():
        return [links(fleet)[name]["state"] for name in PAIRS]

    fleet.until(lambda: states() == ["up"] * 3, 60, "every tunnel up")
    with stopped(fleet, "h3"):
        fleet.until(lambda: states() == ["up", "down", "down"], 60, "h3's tunnels down")
    fleet.until(lambda: states() == ["up"] * 3, 90, "every tunnel up again")
