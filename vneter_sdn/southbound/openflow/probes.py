# SPDX-License-Identifier: Apache-2.0
"""Which probes are out, and whether one that came in may be believed. No sockets, no clocks."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import lldp
from vneter_sdn.southbound.openflow.lldp import Probe

PLACES = 8
"""Where a probe may come in; who sends it to more places than that is not told apart any more."""


class Place(NamedTuple):
    """A port of a bridge."""

    dpid: int
    port: int


class Refusal(StrEnum):
    """Why a discovery frame is not believed; label of a counter."""

    MALFORMED = "malformed"
    FOREIGN = "foreign"
    """Of somebody else: another controller, or a switch of its own mind."""
    EPOCH = "epoch"
    """Made with the key of another life, or of another controller of this kind."""
    FORGED = "forged"
    """The digest is wrong."""
    REPLAYED = "replayed"
    """It came before, or so long after it left that it was forgotten."""
    RELAYED = "relayed"
    """It was seen at another place too, or left or came where a wire to another port is."""
    ENDPOINT = "endpoint"
    """It came, or left, by the port of an endpoint."""
    LOOPED = "looped"
    """It came back to the bridge it left."""
    CROSSED = "crossed"
    """It left by a tunnel and came by a wire, or the other way round."""
    UNKNOWN = "unknown"
    """It came by a port that nobody told us of, or left by one that is gone."""
    FLOOD = "flood"
    """Too many came by this port."""


@dataclass(slots=True)
class Issued:
    """A probe that is out."""

    place: Place
    sequence: int
    at: float
    """When it was sent, seconds."""
    seen: tuple[Place, ...] = ()
    """Where it came in, in the order of time; `PLACES` at most."""
    accepted: bool = False
    """Whether that was believed."""
    excused: bool = False
    """Its loss says nothing: we were late, or somebody could not have told us."""


class Ledger:
    """Probes made with one key.

    Args:
        key: at least 16 random octets.
        epoch: `lldp.EPOCH_OCTETS` octets that name the key.
        lifetime: seconds for which a probe may still come in.
    """

    def __init__(self, key: bytes, epoch: bytes, lifetime: float) -> None:
        self._key, self._epoch, self._lifetime = key, epoch, lifetime
        self._sequence = 0
        self._out: OrderedDict[int, Issued] = OrderedDict()
        self._unjudged: deque[Issued] = deque()

    def issue(self, place: Place, now: float) -> tuple[Issued, bytes]:
        """A new probe from a place, and its frame."""
        self._sequence += 1
        issued = Issued(place, self._sequence, now)
        self._out[self._sequence] = issued
        self._unjudged.append(issued)
        probe = Probe(place.dpid, place.port, self._epoch, self._sequence, int(now * 1e9))
        return issued, lldp.encode(probe, self._key)

    def accept(self, frame: bytes, at: Place, now: float) -> Issued | Refusal:
        """The probe that a genuine frame is of; once for each place it comes in at.

        Whether it may come in there is for others to say: ``seen`` tells where else it did.
        """
        try:
            signed = lldp.decode(frame)
        except DecodeError:
            return Refusal.MALFORMED
        if signed is None:
            return Refusal.FOREIGN
        if signed.probe.epoch != self._epoch:
            return Refusal.EPOCH
        if not signed.genuine(self._key):
            return Refusal.FORGED
        self._forget(now)
        issued = self._out.get(signed.probe.sequence)
        if issued is None:
            return Refusal.REPLAYED
        if at in issued.seen:
            return Refusal.REPLAYED
        if len(issued.seen) == PLACES:
            return Refusal.RELAYED
        issued.seen = (*issued.seen, at)
        return issued

    def due(self, now: float, patience: float) -> Iterator[Issued]:
        """Probes that have been out for ``patience`` seconds, each once, the oldest first."""
        while self._unjudged and now - self._unjudged[0].at >= patience:
            yield self._unjudged.popleft()
        self._forget(now)

    def excuse(self) -> None:
        """Have the loss of everything that is out say nothing."""
        for issued in self._unjudged:
            issued.excused = True

    def _forget(self, now: float) -> None:
        """Forget what is too old; sequences are in the order of time."""
        while self._out:
            oldest = next(iter(self._out.values()))
            if now - oldest.at < self._lifetime:
                return
            self._out.popitem(last=False)

    @property
    def out(self) -> int:
        """How many probes may still come in."""
        return len(self._out)
