# SPDX-License-Identifier: Apache-2.0
"""What a session tells its owner, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vneter_sdn.reconcile.plan import Observed, Step
from vneter_sdn.southbound.openflow import decode
from vneter_sdn.southbound.openflow.multipart import FlowCounters, Port, PortCounters


class Reason(StrEnum):
    """Why a session ended; fit for a condition."""

    OPENFLOW_VERSION = "OpenFlowVersion"
    """The bridge speaks neither 1.5 nor 1.4: add them to its ``protocols``."""
    MALFORMED = "MalformedMessage"
    UNEXPECTED_DATAPATH = "UnexpectedDatapath"
    """The datapath id is not the one this listener or certificate stands for."""
    DUPLICATE_DATAPATH = "DuplicateDatapath"
    """Another connection holds the datapath id, and is alive."""
    REPLACED = "Replaced"
    """A newer connection of the same datapath took over, this one being silent."""
    HANDSHAKE_TIMEOUT = "HandshakeTimeout"
    ECHO_TIMEOUT = "EchoTimeout"
    READ_BACK_TIMEOUT = "ReadBackTimeout"
    READ_BACK_FAILED = "ReadBackFailed"
    BUNDLE_TIMEOUT = "BundleTimeout"
    NOT_MASTER = "NotMaster"
    """Another controller with a newer generation is master of the bridge."""
    SLOW_READER = "SlowReader"
    """The bridge does not read what it is sent."""
    PEER_CLOSED = "PeerClosed"
    SHUTDOWN = "Shutdown"
    TLS_REFUSED = "TlsRefused"
    OVERLOADED = "Overloaded"
    """Too many connections that did not say who they are."""


@dataclass(frozen=True, slots=True)
class Identified:
    """The peer said who it is; the owner answers with ``admit`` or ``close``."""

    dpid: int
    version: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The session is master of the bridge; a read-back is under way."""

    dpid: int
    version: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A read-back is complete."""

    observed: Observed
    ports: tuple[Port, ...]
    unreadable: int = 0
    """Flows with our cookie and a match this version cannot read; left alone."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Every step of a plan is done, and a barrier said so."""

    plan_id: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A plan was refused; nothing of its bundle was done, its meters may have been."""

    plan_id: int
    kind: int
    code: int
    """OpenFlow error type and code (OpenFlow 1.5.1 §7.5.4); -1, -1 when it cannot be encoded."""
    index: int | None = None
    """Which step of the plan, when the bridge said so."""
    step: Step | None = None
    what: str = ""


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet was punted."""

    packet: decode.PacketIn
    raw: bytes


@dataclass(frozen=True, slots=True)
class PortStatus:
    """A port came, went or changed."""

    reason: int
    port: Port
    raw: bytes


@dataclass(frozen=True, slots=True)
class Relayed:
    """Any other accepted message after the handshake, for apps."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An echo came back."""

    seconds: float
    sent: float = 0.0
    """When the request was sent, on the session's clock."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What every port has carried, as was asked."""

    counters: tuple[PortCounters, ...]


@dataclass(frozen=True, slots=True)
class FlowsCounted:
    """What some flows have matched, as was asked."""

    counters: tuple[FlowCounters, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; nothing follows."""

    reason: Reason
    message: str = ""


Event = (
    Identified
    | Opened
    | Seen
    | Confirmed
    | Rejected
    | PacketIn
    | PortStatus
    | Relayed
    | Answered
    | Counted
    | FlowsCounted
    | Closed
)
