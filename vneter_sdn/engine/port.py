# SPDX-License-Identifier: Apache-2.0
"""What the engine asks of bridges and hosts, and what it hears of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vneter_sdn.engine.bindings import Port
from vneter_sdn.engine.names import NamesAnswered
from vneter_sdn.engine.spoofing import Spoofed
from vneter_sdn.model.flow import BridgeState, FlowKey
from vneter_sdn.model.kinds import HostSpec
from vneter_sdn.model.rows import HostRows
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.reconcile.plan import Changed
from vneter_sdn.telemetry.matrix import TrafficSeen
from vneter_sdn.telemetry.rules import RulesCounted
from vneter_sdn.telemetry.survey import Sighting


@dataclass(frozen=True, slots=True)
class Stored:
    """The store changed."""

    snapshot: Snapshot
    delta: Delta


@dataclass(frozen=True, slots=True)
class Ports:
    """The whole set of endpoint ports on a host."""

    host: str
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Tunnel:
    """What a host says of one of its tunnel ports."""

    ofport: int
    """OpenFlow port number; 0 or less while it has none."""
    state: str = "unknown"
    """BFD: ``up``, ``down``, ``init``, ``admin_down`` or ``unknown``."""
    fault: str = ""
    peer: str = ""
    """Host at the other end."""
    flaps: int = 0
    """How often BFD changed its mind; 0 while it has never been up."""

    @property
    def works(self) -> bool | None:
        """What BFD says; None while it has never been up, for then it says nothing."""
        if self.state == "up":
            return True
        return False if self.state in ("down", "init") and self.flaps else None


@dataclass(frozen=True, slots=True)
class Tunnels:
    """The whole set of our tunnel ports on a host, by name."""

    host: str
    tunnels: Mapping[str, Tunnel]


@dataclass(frozen=True, slots=True)
class Database:
    """A host's OVSDB came or went; ``reason`` is a CamelCase word."""

    host: str
    connected: bool
    reason: str = ""
    message: str = ""
    dpid: int | None = None
    """Datapath id that the bridge has; None while not known."""
    confused: bool = False
    """Its datapath may mix up megaflows: it has to be made to forget at each change."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A bridge's OpenFlow channel came or went."""

    host: str
    connected: bool
    version: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A bridge holds what was desired at an epoch: a barrier said so."""

    host: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A bridge does not hold what was desired, and why."""

    host: str
    epoch: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A bridge holds what was desired at an epoch, save what some objects asked for."""

    host: str
    epoch: int
    culprits: tuple[tuple[FlowKey, str], ...]
    """For each of them a flow that the bridge refused, and its error."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Places of ours that flows of somebody else hold on a bridge; empty once they are free."""

    host: str
    flows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Somebody else claims the datapath id of a host's bridge, and is not let in."""

    host: str
    message: str
    """Who, and why not; empty once nobody does any more."""


@dataclass(frozen=True, slots=True)
class AssertionsJudged:
    """It was found out which assertions hold."""

    revision: int
    """Of the store, at which that was so."""
    against: Mapping[str, str | None] | None
    """By name, what is wrong with each; empty for what holds. None: it is not known."""
    seconds: float
    why: str = ""
    """Why it is not known."""


@dataclass(frozen=True, slots=True)
class LinksDue:
    """What was measured of links is to be reported now; that one went up or down is at once."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes: ``now`` in seconds, of a clock that only goes forward."""

    now: float


Answer = Channel | Confirmed | Refused | LeftOut | Blocked
"""What became of a bridge, or of what it was told."""
Measured = LinksDue | TrafficSeen | RulesCounted | NamesAnswered | AssertionsJudged | Spoofed
"""What was measured, or seen in passing."""
Event = Tick | Stored | Ports | Tunnels | Database | Answer | Sighting | Measured | Claimed


@dataclass(frozen=True, slots=True)
class Desired:
    """What a bridge should hold."""

    state: BridgeState
    epoch: int
    """Grows with every change of any bridge."""
    revision: int
    """Revision of the store it was compiled from."""
    changed: Changed | None = field(default=None)
    """What differs from the epoch before; None when that is not known."""


class Southbound(Protocol):
    """Sessions with hosts and their bridges. No call blocks; answers come as events."""

    def manage(self, host: str, spec: HostSpec, dpid: int) -> None:
        """Open sessions with a host, or open them anew when its spec changed."""

    def release(self, host: str) -> None:
        """Close sessions with a host; what it holds stays as it is."""

    def desire_rows(self, host: str, rows: HostRows) -> None:
        """What the host's database should hold."""

    def desire_flows(self, host: str, desired: Desired) -> None:
        """What the host's bridge should hold."""
