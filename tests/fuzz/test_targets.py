# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target runs for a moment without finding anything."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TARGETS = sorted(path.name for path in HERE.glob("fuzz_*.py"))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris not installed")
@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(HERE / name), "-runs=3000", "-timeout=2", "-seed=7"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_there_are_targets():
    assert len(TARGETS) >= 7
