# SPDX-License-Identifier: Apache-2.0
"""Which group and meter numbers are ours: these carry no cookie, so a range has to say it.

Open vSwitch 3.1 takes any group up to 0xffffff00. It announces 0x40000 meters on the userspace
datapath and accepts higher numbers too; ours stay below what is announced.
"""

from __future__ import annotations

GROUPS = range(0x7600_0000, 0x7700_0000)
"""Group numbers this package allocates, and the only ones it ever changes or deletes."""
METERS = range(0x3_0000, 0x4_0000)
"""Meter numbers this package allocates, and the only ones it ever changes or deletes."""
