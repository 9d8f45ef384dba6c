# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
sys.path.insert(0, str(Path(__file__).parent))

from lab import Lab


@pytest.fixture
def lab():
    """A real bridge in a network namespace of its own, with workload namespaces beside it."""
    directory = Path(tempfile.mkdtemp(prefix="vn"))
    lab = Lab(directory, f"vn{uuid.uuid4().hex[:6]}")
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def ofctl():
    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["ovs-ofctl", "-O", "OpenFlow15", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
