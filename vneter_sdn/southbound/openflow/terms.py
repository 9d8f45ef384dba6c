# SPDX-License-Identifier: Apache-2.0
"""What a session insists on, and how far it can be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vneter_sdn.southbound.openflow.events import Reason


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session insists on. Times in seconds."""

    expected: frozenset[int] | None = None
    """Datapath ids the peer may have; None for any."""
    generation: int = 0
    """Generation of the claim to be master (OpenFlow 1.5.1 §6.3.7)."""
    echo_interval: float = 2.0
    echo_misses: int = 3
    handshake: float = 3.0
    """For HELLO, and again for FEATURES."""
    read_back: float = 15.0
    """Without any progress."""
    bundle: float = 30.0
    """From the last byte of a stage to its barrier."""
    backlog: int = 4 << 20
    """Bytes that may wait for a slow reader, plans not counted: they are made as they are sent."""


class Phase(Enum):
    """Where a session is; names of the picture above."""

    HELLO = "hello"
    FEATURES = "features"
    ADMISSION = "admission"
    ROLE = "role"
    READING = "reading"
    IDLE = "idle"
    SENDING = "sending"
    CLOSED = "closed"


_BEFORE_OPEN = (Phase.HELLO, Phase.FEATURES, Phase.ADMISSION, Phase.ROLE)


def too_late_in(phase: Phase) -> Reason:
    """Why a session ends whose deadline passed in a phase."""
    if phase in _BEFORE_OPEN:
        return Reason.HANDSHAKE_TIMEOUT
    return Reason.READ_BACK_TIMEOUT if phase is Phase.READING else Reason.BUNDLE_TIMEOUT
