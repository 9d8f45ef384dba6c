# SPDX-License-Identifier: Apache-2.0
"""Who must answer whom, and what a difference means. Pure.

The promise: workloads of one tenant reach each other at each of their addresses; nothing
reaches another tenant. Tenants may use the same addresses, so an answer alone proves nothing:
who answered, and who heard the question, decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Peer:
    """A workload, as far as who may reach whom goes."""

    tenant: str
    name: str
    addresses: tuple[str, ...]
    """Without prefix length."""

    @property
    def identity(self) -> str:
        """``red/web1``."""
        return f"{self.tenant}/{self.name}"


@dataclass(frozen=True, slots=True)
class Question:
    """One probe: may `source` reach what answers at an address that `target` has?"""

    source: str
    """Identity."""
    target: str
    """Identity; the one that answers may be another, of the source's tenant."""
    address: str
    protocol: str
    """``icmp``, ``tcp`` or ``udp``."""
    port: int = 0

    @property
    def family(self) -> int:
        """4 or 6."""
        return ip_address(self.address).version


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a question."""

    answered: str | None
    """Identity that answered; None when nobody did."""
    heard: frozenset[str] = frozenset()
    """Identities that received it, whether or not their answer came back."""
    error: str = ""
    """Why there was no answer, if the system said."""
    milliseconds: float = 0.0


class Finding(StrEnum):
    """What a question proved."""

    REACHED = "reached"
    """The right one answered, as it must."""
    SILENT = "silent"
    """Nobody answered, as it must be."""
    UNREACHABLE = "unreachable"
    """The right one did not answer."""
    MISTAKEN = "mistaken"
    """Another workload of the same tenant answered or heard it."""
    LEAK = "leak"
    """A workload of another tenant answered or heard it."""

    @property
    def good(self) -> bool:
        """Whether it agrees with what was expected."""
        return self in (Finding.REACHED, Finding.SILENT)


def questions(
    peers: Sequence[Peer],
    protocols: Iterable[tuple[str, int]],
    families: Iterable[int] = (4, 6),
) -> list[Question]:
    """Every ordered pair of workloads, at every address, by every protocol and port.

    A pair is asked by a family only if the source has an address of it.
    """
    wanted, ways = set(families), list(protocols)
    found = []
    for source in peers:
        own = {ip_address(address).version for address in source.addresses}
        for target in peers:
            if target is source:
                continue
            for address in target.addresses:
                if ip_address(address).version in own & wanted:
                    found += [
                        Question(source.identity, target.identity, address, protocol, port)
                        for protocol, port in ways
                    ]
    return found


def expected(peers: Sequence[Peer], asked: Sequence[Question]) -> dict[Question, str | None]:
    """Who must answer each question: the owner of the address in the source's own tenant."""
    owners = {
        (peer.tenant, ip_address(address)): peer.identity
        for peer in peers
        for address in peer.addresses
    }
    tenants = {peer.identity: peer.tenant for peer in peers}
    return {one: owners.get((tenants[one.source], ip_address(one.address))) for one in asked}


def judge(source: str, wanted: str | None, seen: Seen) -> Finding:
    """What an outcome proves.

    Args:
        source: Identity of who asked.
        wanted: Identity of who must answer; None when nobody may.
        seen: What came of it.
    """
    touched = seen.heard | ({seen.answered} if seen.answered else set())
    wrong = touched - ({wanted} if wanted else set())
    if any(_tenant(one) != _tenant(source) for one in wrong):
        return Finding.LEAK
    if wrong:
        return Finding.MISTAKEN
    if wanted is None:
        return Finding.SILENT
    return Finding.REACHED if seen.answered == wanted else Finding.UNREACHABLE


def findings(
    wanted: Mapping[Question, str | None], seen: Mapping[Question, Seen]
) -> dict[Question, Finding]:
    """What each question proved; one without an outcome counts as unanswered."""
    nothing = Seen(None)
    return {one: judge(one.source, who, seen.get(one, nothing)) for one, who in wanted.items()}


def _tenant(identity: str) -> str:
    return identity.partition("/")[0]
