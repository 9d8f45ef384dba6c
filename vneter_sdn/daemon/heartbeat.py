# SPDX-License-Identifier: Apache-2.0
"""How the API process knows that the core beside it lives: a file the core keeps touching."""

from __future__ import annotations

import time
from pathlib import Path

BEAT = 1.0
"""Seconds between touches; made by the engine's own loop, so a stuck engine has no pulse."""
SILENCE = 10.0
"""Seconds after which the core counts as dead."""


def heartbeat_file(run_dir: str) -> Path:
    """Where it is."""
    return Path(run_dir) / "core.alive"


def errand_socket(run_dir: str) -> Path:
    """Where the API process asks the core to do something at once (`errand`)."""
    return Path(run_dir) / "core.sock"


def beat(run_dir: str) -> None:
    """Say that the core lives."""
    heartbeat_file(run_dir).touch(mode=0o640)


def alive(run_dir: str) -> bool:
    """Whether the core said so lately."""
    try:
        return time.time() - heartbeat_file(run_dir).stat().st_mtime < SILENCE
    except OSError:
        return False
