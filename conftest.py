# SPDX-License-Identifier: Apache-2.0
"""Which tests run beside which, where several workers (pytest-xdist) share them.

Whatever runs daemons or namespaces, or goes by the clock, runs alone of its kind: one worker takes
all of it, first, in the usual order. It mostly waits. Meanwhile others take files that only
compute, and these at less priority, so that nobody is late because of them.
"""

from __future__ import annotations

import os

import pytest

COMPUTE = (
    "tests/admission/",
    "tests/compile/",
    "tests/edge/",
    "tests/engine/",
    "tests/fuzz/",
    "tests/graph/",
    "tests/kubernetes/",
    "tests/model/",
    "tests/openflow/wire/",
    "tests/pipeline/",
    "tests/policy/",
    "tests/property/",
    "tests/reconcile/",
    "tests/telemetry/",
    "tests/verify/",
)
"""Areas of tests that only compute; a new one runs alone until it is named here."""
DAEMONS = (
    "tests/compile/test_real_bridge.py",
    "tests/openflow/wire/test_bench.py",
    "tests/openflow/wire/test_roundtrip.py",
    "tests/reconcile/test_renewal.py",
)
"""What does not in these areas."""
ALONE = "what runs alone"


def group_of(nodeid: str) -> str:
    """What one worker gets at once: a file, or all that runs alone."""
    file = nodeid.partition("::")[0]
    return file if file.startswith(COMPUTE) and file not in DAEMONS else ALONE


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
    """What runs alone comes first, in workers: so whoever gets it has run nothing else before."""
    for item in items:
        if item.get_closest_marker("fleet") and group_of(item.nodeid) != ALONE:
            raise pytest.UsageError(f"{item.nodeid} runs a fleet: name its file in {__file__}")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: group_of(item.nodeid) != ALONE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """A worker yields to what runs alone for good, once it computes."""
    if "PYTEST_XDIST_WORKER" in os.environ and group_of(item.nodeid) != ALONE:
        os.setpriority(os.PRIO_PROCESS, 0, 5)
