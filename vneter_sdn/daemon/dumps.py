# SPDX-License-Identifier: Apache-2.0
"""No core dumps: processes hold keys, and tokens while they are judged, in memory."""

from __future__ import annotations

import resource


def forbid() -> None:
    """Have a crash of this process, and of those that it starts, leave no memory on disk.

    Where the kernel pipes dumps to a program (``core_pattern``), it does not look at the limit
    itself: that program is told, and has to respect it, as systemd-coredump does (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
