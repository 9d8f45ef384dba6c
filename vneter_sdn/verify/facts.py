# SPDX-License-Identifier: Apache-2.0
"""What is asked of single flows of policy tables: whom they name, and what they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vneter_sdn.model.flow import Conjunction, Conntrack, Flow, SetField, Term
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.priorities import MISS
from vneter_sdn.pipeline.registers import LOCAL, OUT_PORT, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.alike import Numbers, said
from vneter_sdn.verify.policed import is_tame
from vneter_sdn.verify.written import STAGES, WAYS, loaded

FIRST: dict[Direction, int] = {way: table(way).id for way in WAYS}
STATE: dict[Direction, int] = {way: table(f"{way}_state").id for way in WAYS}
PEERS: dict[Direction, int] = {way: table(f"{way}_peer").id for way in WAYS}
TIERS: dict[Direction, int] = {way: table(f"{way}_tiers").id for way in WAYS}
VERDICT: dict[Direction, int] = {way: table(f"{way}_verdict").id for way in WAYS}
STAGES_OF: dict[Direction, tuple[int, ...]] = {
    way: tuple(number for number, of in STAGES.items() if of == way) for way in WAYS
}
SORTED: dict[int, str] = {
    FIRST["egress"]: "in_port",
    FIRST["ingress"]: OUT_PORT.field,
    **dict.fromkeys(VERDICT.values(), RULE.field),
}
"""Tables whose flows are found by the one value that they match of a field."""
_FIRST, _ASKED = frozenset(FIRST.values()), frozenset(STATE.values())
PEER_OF: dict[int, Direction] = {number: way for way, number in PEERS.items()}
_END: dict[Direction, str] = {"egress": "dst", "ingress": "src"}
_ADDRESSES: dict[Direction, frozenset[str]] = {
    way: frozenset((f"ip_{end}", f"ipv6_{end}")) for way, end in _END.items()
}
RULED = frozenset((*FIRST.values(), *STATE.values(), *PEERS.values(), *STAGES, *VERDICT.values()))
"""Tables of policies."""
_SPOKEN = frozenset(
    (
        *("eth_type", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tcp_flags"),
        *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"),
        *(f"{name}_{end}" for name in ("tcp", "udp", "sctp") for end in ("src", "dst")),
        *("ct_state", "ct_label", "ct_mark", "conj_id"),
        *(register.field for register in (TENANT, LOCAL, PEER, RULE)),
    )
)
"""What policies go by."""
_MOST = 1 << 20
"""Flows whose facts are remembered."""


class Address(NamedTuple):
    """An address at the other end, of a tenant."""

    tenant: int
    field: str
    value: int


class Facts(NamedTuple):
    """What is asked of a flow, again and again."""

    flow: Flow
    wild: bool
    """Whether it does more than say if packets go on."""
    here: int | None
    """The identity of the endpoint here that it matches."""
    there: int | None
    """And of the one at the other end."""
    numbers: frozenset[int]
    """Conjunctions that it is a clause of, or decides."""
    address: Address | None
    """The address that it gives an identity."""
    whom: int
    """That identity."""
    rule: int | None
    """The number of the rule that decides by it."""
    number: int
    """Of all flows that say the same, wherever they are, whoever asked for them."""
    unnamed: int
    """And of all that do but for the identity of the endpoint here."""
    unheard: int
    """And but for the one at the other end."""


class Known:
    """Facts of flows; bridges have most flows in common."""

    def __init__(self) -> None:
        self._facts: dict[int, Facts] = {}
        self._numbers = Numbers()

    def __call__(self, flow: Flow) -> Facts:
        """Facts of one flow, remembered by its identity."""
        found = self._facts.get(id(flow))
        if found is None:
            if len(self._facts) > _MOST:
                self._facts.clear()  # those of flows that are gone as well
                self._numbers.forget()
            numbers = [self._numbers.of(said(flow, but)) for but in ("", LOCAL.field, PEER.field)]
            found = self._facts[id(flow)] = _facts(flow, numbers)
        return found

    def numbers(self, flows: Iterable[Flow]) -> frozenset[int]:
        """What stands for some flows; equal where they say the same."""
        return frozenset([self(flow).number for flow in flows])


def exactly(flow: Flow, name: str) -> int | None:
    """The one value that a flow takes of a field; None when it takes several."""
    for term in flow.match:
        if term.field == name:
            return term.value if _is_whole(name, term.mask) else None
    return None


FLAGS = 0b10010
"""SYN and ACK, which alone of TCP's flags policies tell apart."""
_NOT_IN_RULES = frozenset((RULE.field, "ct_state", "ct_mark", "ct_label"))
_IDENTITIES = frozenset((LOCAL.field, PEER.field))
_MASKS = {register.field: register.mask for register in (LOCAL, PEER, RULE, OUT_PORT, TENANT)}


def _is_whole(name: str, mask: int) -> bool:
    return name not in _MASKS or mask == _MASKS[name]


def _facts(flow: Flow, said_alike: list[int]) -> Facts:
    numbers = {action.id for action in flow.actions if isinstance(action, Conjunction)}
    numbers |= {term.value for term in flow.match if term.field == "conj_id"}
    way = PEER_OF.get(flow.table)
    address = None if way is None else address_of(flow, way)
    astray = way is not None and address is None and _differs(flow, way)
    astray = astray or (flow.table in _FIRST and _is_nameless(flow))
    return Facts(
        flow,
        astray or not (is_tame(flow) and _is_whole_written(flow) and _is_spoken(flow)),
        exactly(flow, LOCAL.field),
        exactly(flow, PEER.field),
        frozenset(numbers),
        address,
        (loaded(flow, PEER.field) or 0) if address is not None else 0,
        loaded(flow, RULE.field),
        *said_alike,
    )


def _differs(flow: Flow, way: Direction) -> bool:
    """Whether a flow of the other end's identities does more than lead on who has none."""
    return bool(flow.match or flow.actions or flow.goto != TIERS[way])


def _is_nameless(flow: Flow) -> bool:
    """Whether policies are asked, and nobody says who that is about."""
    asks = flow.goto in _ASKED or any(isinstance(one, Conntrack) for one in flow.actions)
    return asks and loaded(flow, LOCAL.field) is None


def address_of(flow: Flow, way: Direction) -> Address | None:
    """The address that a flow gives an identity; None when it does something else."""
    held = {term.field: term for term in flow.match}
    names = held.keys() & _ADDRESSES[way]
    if len(names) != 1 or flow.goto != TIERS[way] or flow.priority <= MISS:
        return None
    name = next(iter(names))
    tenant = exactly(flow, TENANT.field)
    only = held.keys() <= {"eth_type", TENANT.field, name}
    sets = len(flow.actions) == 1 and isinstance(flow.actions[0], SetField)
    whole = held[name].mask == (1 << (32 if name.startswith("ip_") else 128)) - 1
    if not (only and sets and whole) or tenant is None:
        return None
    return Address(tenant, name, held[name].value)


def _is_whole_written(flow: Flow) -> bool:
    """Whether registers are written whole, so that what they held before is of no account."""
    return all(
        action.mask == _MASKS.get(action.field, action.mask)
        for action in flow.actions
        if isinstance(action, SetField)
    )


def _is_spoken(flow: Flow) -> bool:
    """Whether a flow goes by nothing but what policies of its table go by, identities whole."""
    own = SORTED.get(flow.table, "")
    beside = _NOT_IN_RULES if flow.table in STAGES else _IDENTITIES
    if flow.table in VERDICT.values():
        beside = frozenset((LOCAL.field,))
    return all(
        (term.field == own)
        or (term.field in _SPOKEN and term.field not in beside and _is_told(term))
        for term in flow.match
    )


def _is_told(term: Term) -> bool:
    """Whether a flow tells apart no more than what stands for all packets does."""
    if term.field in _IDENTITIES:
        return term.mask == _MASKS[term.field]
    return term.field != "tcp_flags" or not term.mask & ~FLAGS
