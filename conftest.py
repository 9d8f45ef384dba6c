# SPDX-License-Identifier: Apache-2.0
"""Which tests run beside which, where several workers (pytest-xdist) share them.

Fleets run one after another: one worker takes all of them, first, in the usual order. These tests
mostly wait. Meanwhile others take the rest, file by file, and at less priority, so that fleets are
not late because of them.
"""

from __future__ import annotations

import os

import pytest

FLEETS = (
    "mininet-tests/",
    "tests/daemon/test_bench.py",
    "tests/fleet/",
    "tests/system/",
)
"""How paths begin of tests that run fleets or Mininet."""
APART = (
    "tests/apps/",
    "tests/compile/test_real_bridge.py",
    "tests/fleet/test_lifecycle.py",
    "tests/system/test_faults.py",
    "tests/system/test_refusals.py",
    "tests/system/test_restored.py",
    "tests/system/test_tls.py",
)
"""Of those that measure nothing: a bridge in a namespace of its own, hosts without a controller, a
controller of bridges without packets."""


def group_of(nodeid: str) -> str:
    """What one worker gets at once: a file, or all fleets."""
    file = nodeid.partition("::")[0]
    return "fleets" if file.startswith(FLEETS) and not file.startswith(APART) else file


def in_worker() -> bool:
    """Whether this process got its tests from another."""
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """``--dist loadfile`` as above; other ways of xdist are left as they are."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In workers fleets come first, so that who gets them has run nothing else before."""
    if in_worker():
        items.sort(key=lambda item: group_of(item.nodeid) != "fleets")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Who begins with anything else gives way to fleets for good."""
    if in_worker() and group_of(item.nodeid) != "fleets":
        os.setpriority(os.PRIO_PROCESS, 0, 5)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test fails that is marked as a fleet's, and would run beside others."""
    if item.get_closest_marker("fleet") and not item.nodeid.startswith((*FLEETS, *APART)):
        pytest.fail(f"{item.path.name} runs a fleet: add it to FLEETS in {__file__}", pytrace=False)
