# SPDX-License-Identifier: Apache-2.0
"""Tests that need Mininet; each module has a lab of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent


def _module(name: str) -> ModuleType:
    # importlib mode does not put this directory on the path, and its name is no package's.
    spec = importlib.util.spec_from_file_location(f"mininet_{name}", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lab() -> Iterator:
    """Namespaces with Mininet's own Open vSwitch: `lab.mn`, `lab.run`, `lab.python`."""
    if os.geteuid():
        pytest.skip("Mininet needs root")
    if not shutil.which("mn", path="/usr/bin:/usr/local/bin"):
        pytest.skip("mininet is not installed: apt-get install mininet")
    with _module("lab").lab() as made:
        yield made


@pytest.fixture(scope="module")
def mininet(lab) -> ModuleType:
    """Module `network`: `mininet.network(lab, "topologies/ring.yaml")`, `mininet.until`."""
    return _module("network")


@pytest.fixture(scope="module")
def controller(lab, mininet):
    """``vneterctl up --lab`` in the lab, for the module."""
    made = mininet.Controller(lab)
    made.start()
    return made
