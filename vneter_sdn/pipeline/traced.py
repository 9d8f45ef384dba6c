# SPDX-License-Identifier: Apache-2.0
"""How a packet that is injected to be followed is marked, and who may hold what for it.

Its mark is a DSCP that nobody else has a meaning for, and all its addresses and ports; what it
carries says exactly which one it is (design 0014). OpenFlow's ``metadata`` is kept for it: a bit
for each table it was seen in. It is zero for all other packets, and no flow that stays on a bridge
matches or sets it.

The user data of a copy: reason (1 octet), number of the trace (4), table that it came to (1).
"""

from __future__ import annotations

from struct import Struct

from vneter_sdn.model.flow import Meter
from vneter_sdn.pipeline.reserved import METERS

DSCP = 0b110111
"""Of the codepoints for local use (RFC 2474 §6, pool 2)."""
SEEN = "metadata"
"""Field with a bit for each table that it was seen in."""
PRIORITY = 0xFFFF
"""Above every flow that stays."""
METER = METERS.start + 6
TRACE_METER = Meter(METER, 500, 500)
"""Limits the copies that a bridge sends, should one go in circles or somebody feign one."""
LENGTH = 192
"""Octets of a copy: headers, and what it is known by."""
MAGIC = 0x74
"""High octet of the cookies of flows that follow a packet: not ours to keep, so nobody keeps them,
and they go by themselves."""
HOLD = 10
"""Seconds after which they do."""
_REASON = 6
"""After those of `punts`."""
_USERDATA = Struct("!BIB")


def cookie(number: int) -> int:
    """The cookie of all flows of a trace, by its number (32 bits)."""
    return MAGIC << 56 | number


def userdata(number: int, table: int) -> bytes:
    """What a copy says of itself."""
    return _USERDATA.pack(_REASON, number, table)


def read_userdata(data: bytes) -> tuple[int, int] | None:
    """Number of the trace and of the table; None when it is no copy of a traced packet."""
    if len(data) != _USERDATA.size or data[0] != _REASON:
        return None
    _, number, table = _USERDATA.unpack(data)
    return number, table
