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


def _lab_module() -> ModuleType:
    # importlib mode does not put this directory on the path, and its name is no package's.
    spec = importlib.util.spec_from_file_location("mininet_lab", HERE / "lab.py")
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
    with _lab_module().lab() as made:
        yield made
