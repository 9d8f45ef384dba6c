# SPDX-License-Identifier: Apache-2.0
"""Policy tables of one bridge, to be found by the identities that their flows are about.

What policies say of an endpoint's packets depends on few of a bridge's flows: those that name its
identity, the other clauses of their conjunctions, and those that name none. Everything else cannot
be met. A flow is found here by what it matches, never by who wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Conjunction, Conntrack, Flow, SetField, Term
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.pipeline.registers import LOCAL, OUT_PORT, PEER, RULE, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.index import BridgeIndex
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
_SORTED: dict[int, str] = {
    FIRST["egress"]: "in_port",
    FIRST["ingress"]: OUT_PORT.field,
    **dict.fromkeys(VERDICT.values(), RULE.field),
}
"""Tables whose flows are found by the one value that they match of a field."""
_PEER_OF: dict[int, Direction] = {number: way for way, number in PEERS.items()}
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
_Homes = defaultdict[int | None, dict[int, Flow]]


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


class Known:
    """Facts of flows; bridges have most flows in common."""

    def __init__(self) -> None:
        self._facts: dict[int, Facts] = {}

    def __call__(self, flow: Flow) -> Facts:
        """Facts of one flow, remembered by its identity."""
        found = self._facts.get(id(flow))
        if found is None:
            if len(self._facts) > _MOST:
                self._facts.clear()  # those of flows that are gone as well
            found = self._facts[id(flow)] = _facts(flow)
        return found


class About(NamedTuple):
    """What packets of an endpoint may meet in a table of rules; equal where it is the same."""

    own: frozenset[tuple[object, ...]]
    """Flows that match its identity, without that."""
    shared: frozenset[frozenset[int]]
    """Other clauses of their conjunctions, by the identities of these flows."""
    plain: frozenset[int]


class _Stage:
    """The flows of one table of rules."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.local: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the identity of the endpoint here that they match; by identity of the flow."""
        self.shared: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By conjunction, those that match no such identity."""
        self.plain: dict[int, Flow] = {}
        """Those of no conjunction that match none."""
        self.named: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the identity at the other end that they match."""
        self.deciding: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By the number of the rule that they decide by."""
        self.members: defaultdict[int, dict[int, Flow]] = defaultdict(dict)
        """By conjunction, those that match an identity here."""
        self._clauses: dict[int, bool] = {}
        self._tokens: dict[int, frozenset[int]] = {}
        self._open: frozenset[int] | None = None
        self._found: dict[int, About] = {}

    def note(self, flow: Flow, count: int) -> None:
        """One flow more, or less."""
        _, _, here, there, numbers, _, _, rule = self._known(flow)
        self._found.clear()
        self._open = None
        for number in numbers:
            self._clauses.pop(number, None)
            self._tokens.pop(number, None)
        homes = [self.plain] if here is None and not numbers else []
        if here is not None:
            homes += [self.local[here], *(self.members[number] for number in numbers)]
        else:
            homes += [self.shared[number] for number in numbers]
        if there is not None:
            homes.append(self.named[there])
        if rule is not None:
            homes.append(self.deciding[rule])
        for home in homes:
            if count > 0:
                home[id(flow)] = flow
            else:
                home.pop(id(flow), None)

    def about(self, identity: int) -> About:
        """What packets of an endpoint here may meet, whatever its identity is called."""
        found = self._found.get(identity)
        if found is None:
            mine = self.local.get(identity, {})
            numbers = self._numbers(mine)
            found = self._found[identity] = About(
                frozenset(_unnamed(flow) for flow in mine.values()),
                frozenset(self._token(number) for number in numbers),
                frozenset(self.plain),
            )
        return found

    def flows(self, identity: int) -> tuple[Flow, ...]:
        """The flows of that."""
        mine = self.local.get(identity, {})
        held = {**mine, **self.plain}
        for number in self._numbers(mine):
            held |= self.shared.get(number, {})
        return tuple(held.values())

    def _numbers(self, mine: Mapping[int, Flow]) -> set[int]:
        numbers = {number for flow in mine.values() for number in self._known(flow).numbers}
        if self._open is None:
            self._open = frozenset(number for number in self.shared if self._is_open(number))
        return numbers | self._open

    def _token(self, number: int) -> frozenset[int]:
        """What a conjunction is made of besides identities here."""
        found = self._tokens.get(number)
        if found is None:
            found = self._tokens[number] = frozenset(self.shared.get(number, ()))
        return found

    def _is_open(self, number: int) -> bool:
        """Whether a conjunction can be met without a flow that matches an identity here."""
        found = self._clauses.get(number)
        if found is None:
            needed: set[int] = set()
            met: set[int] = set()
            for flow in self.shared[number].values():
                for action in flow.actions:
                    if isinstance(action, Conjunction) and action.id == number:
                        met.add(action.clause)
                        needed |= set(range(1, action.of + 1))
            found = self._clauses[number] = needed <= met
        return found

    def whom(self, flow: Flow) -> frozenset[int] | None:
        """Identities here of whose packets some may meet a flow; None for anybody's."""
        _, _, here, _, numbers, *_ = self._known(flow)
        if here is not None:
            return frozenset((here,))
        if not numbers or any(self._is_open(number) for number in numbers):
            return None
        return frozenset(
            local
            for number in numbers
            for one in self.members.get(number, {}).values()
            if (local := self._known(one).here) is not None
        )


class PolicyTables:
    """Policy tables of one bridge, kept up to date. Each is read when it is first asked for.

    Args:
        index: the bridge.
        known: facts of flows.
    """

    def __init__(self, index: BridgeIndex, known: Known) -> None:
        self._index, self._known = index, known
        self.wild = sum(known(flow).wild for number in RULED for flow in index.flows(number))
        """Flows that do more than say whether packets go on."""
        self._mixes: bool | None = None
        self._stages: dict[int, _Stage] = {}
        self._peers: dict[Direction, dict[Address, dict[int, Flow]]] = {}
        self._whose: dict[Direction, defaultdict[int, set[Address]]] = {}
        self._homes: dict[int, _Homes] = {}
        index.watchers.append(self.note)

    def note(self, before: Flow | None, after: Flow | None) -> None:
        """A flow took the place of another."""
        for flow, count in ((before, -1), (after, 1)):
            if flow is not None and flow.table in RULED:
                self.wild += count * self._known(flow).wild
                if flow.table not in STAGES:
                    self._mixes = None
                self._note(flow, count)

    def _note(self, flow: Flow, count: int) -> None:
        number = flow.table
        if number in self._stages:
            self._stages[number].note(flow, count)
        elif number in _PEER_OF and _PEER_OF[number] in self._peers:
            self._note_peer(_PEER_OF[number], flow, count)
        elif number in self._homes:
            _kept(self._homes[number][exactly(flow, _SORTED[number])], flow, count)

    def _note_peer(self, way: Direction, flow: Flow, count: int) -> None:
        address = self._known(flow).address
        if address is None:
            return
        held, whose = self._peers[way].setdefault(address, {}), self._whose[way]
        whose[_first(held, self._known)].discard(address)
        _kept(held, flow, count)
        whose[_first(held, self._known)].add(address)

    def _stage(self, number: int) -> _Stage:
        found = self._stages.get(number)
        if found is None:
            found = self._stages[number] = _Stage(self._known)
            for flow in self._index.flows(number):
                found.note(flow, 1)
        return found

    def _addresses(self, way: Direction) -> dict[Address, dict[int, Flow]]:
        found = self._peers.get(way)
        if found is None:
            found = self._peers[way] = {}
            self._whose[way] = defaultdict(set)
            for flow in self._index.flows(PEERS[way]):
                self._note_peer(way, flow, 1)
        return found

    def _sorted(self, number: int, value: int | None) -> dict[int, Flow]:
        home = self._homes.get(number)
        if home is None:
            home = self._homes[number] = defaultdict(dict)
            for flow in self._index.flows(number):
                home[exactly(flow, _SORTED[number])][id(flow)] = flow
        return home.get(value, {})

    # ---- what is asked

    def peer(self, way: Direction, address: Address) -> int:
        """The identity that an address at the other end has; 0 for none."""
        return _first(self._addresses(way).get(address), self._known)

    def whose(self, way: Direction) -> Mapping[int, Collection[Address]]:
        """Addresses at the other end, by their identity; some of 0 have none any more."""
        self._addresses(way)
        return self._whose[way]

    def single(self, flow: Flow) -> bool:
        """Whether a flow gives an address an identity, and is the only one that does."""
        address = self._known(flow).address
        way = _PEER_OF.get(flow.table)
        if address is None or way is None:
            return False
        return len(self._addresses(way).get(address, ())) == 1

    def first(self, way: Direction, port: int) -> tuple[Flow, ...]:
        """Where policies of an endpoint begin."""
        number = FIRST[way]
        both = self._sorted(number, port), self._sorted(number, None)
        return tuple(flow for held in both for flow in held.values())

    def state(self, way: Direction) -> tuple[Flow, ...]:
        """What is said of connections."""
        return tuple(self._index.flows(STATE[way]))

    def about(self, number: int, identity: int) -> About:
        """What packets of an endpoint here may meet of a table of rules."""
        return self._stage(number).about(identity)

    def rules(self, number: int, identity: int) -> tuple[Flow, ...]:
        """The flows of that."""
        return self._stage(number).flows(identity)

    def verdicts(self, way: Direction, rule: int) -> tuple[Flow, ...]:
        """Where what a rule decides is acted on."""
        both = self._sorted(VERDICT[way], rule), self._sorted(VERDICT[way], None)
        return tuple(flow for held in both for flow in held.values())

    @property
    def mixes(self) -> bool:
        """Whether what is remembered of packets on their way out is asked on their way in."""
        if self._mixes is None:
            wrote = {"ct_mark": 0, "ct_label": 0}
            for flow in self._of_state("egress"):
                for action in flow.actions:
                    for write in action.actions if isinstance(action, Conntrack) else ():
                        if isinstance(write, SetField):
                            wrote[write.field] |= write.mask
                        else:
                            wrote[write.target] |= -1
            self._mixes = any(
                term.mask & wrote.get(term.field, 0)
                for flow in self._of_state("ingress")
                if not _is_of_replies(flow)
                for term in flow.match
            )
        return self._mixes

    def _of_state(self, way: Direction) -> Iterator[Flow]:
        yield from self._index.flows(STATE[way])
        yield from self._index.flows(VERDICT[way])

    def whom(self, flow: Flow) -> frozenset[int] | None:
        """Identities here of whose packets some may meet a flow of a rule; None: anybody's."""
        return self._stage(flow.table).whom(flow)

    def deciders(self, way: Direction, number: int) -> frozenset[int] | None:
        """Identities here that a rule of some number is about; None: anybody's."""
        found: set[int] = set()
        for stage in STAGES_OF[way]:
            held = self._stage(stage)
            for flow in held.deciding.get(number, {}).values():
                whom = held.whom(flow)
                if whom is None:
                    return None
                found |= whom
        return frozenset(found)

    def identities(self, way: Direction, port: int) -> frozenset[int]:
        """Identities that an endpoint has here; more than one where its flows differ."""
        flows = self.first(way, port)
        return frozenset(who for f in flows if (who := loaded(f, LOCAL.field)) is not None)

    def apart(self, way: Direction, one: int, other: int) -> frozenset[int] | None:
        """Identities here whose rules tell two identities at the other end apart; None: anybody's.

        Two are alike where the flows that name them are equal but for that name.
        """
        found: set[int] = set()
        for number in STAGES_OF[way]:
            stage = self._stage(number)
            ours = {_renamed(f): f for f in stage.named.get(one, {}).values()}
            theirs = {_renamed(f): f for f in stage.named.get(other, {}).values()}
            for shape in ours.keys() ^ theirs.keys():
                whom = stage.whom(ours.get(shape) or theirs[shape])
                if whom is None:
                    return None
                found |= whom
        return frozenset(found)


def _first(held: Mapping[int, Flow] | None, known: Known) -> int:
    """The identity that an address gets by the first of some flows."""
    if not held:
        return 0
    return known(max(held.values(), key=lambda flow: flow.priority)).whom


def _unnamed(flow: Flow) -> tuple[object, ...]:
    """A flow, whoever is here."""
    rest = tuple(term for term in flow.match if term.field != LOCAL.field)
    return flow.priority, rest, flow.actions, flow.goto


_REPLY = TRACKED["rpl"]


def _is_of_replies(flow: Flow) -> bool:
    """Whether a flow is about replies alone."""
    return any(term.field == "ct_state" and term.value & _REPLY for term in flow.match)


def _kept(home: dict[int, Flow], flow: Flow, count: int) -> None:
    if count > 0:
        home[id(flow)] = flow
    else:
        home.pop(id(flow), None)


def _renamed(flow: Flow) -> tuple[object, ...]:
    """A flow, whoever is at the other end."""
    rest = tuple(term for term in flow.match if term.field != PEER.field)
    return flow.priority, rest, flow.actions, flow.goto


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


def _facts(flow: Flow) -> Facts:
    numbers = {action.id for action in flow.actions if isinstance(action, Conjunction)}
    numbers |= {term.value for term in flow.match if term.field == "conj_id"}
    way = _PEER_OF.get(flow.table)
    address = None if way is None else address_of(flow, way)
    astray = way is not None and address is None and _differs(flow, way)
    return Facts(
        flow,
        astray or not (is_tame(flow) and _is_whole_written(flow) and _is_spoken(flow)),
        exactly(flow, LOCAL.field),
        exactly(flow, PEER.field),
        frozenset(numbers),
        address,
        (loaded(flow, PEER.field) or 0) if address is not None else 0,
        loaded(flow, RULE.field),
    )


def _differs(flow: Flow, way: Direction) -> bool:
    """Whether a flow of the other end's identities does more than lead on who has none."""
    return bool(flow.match or flow.actions or flow.goto != TIERS[way])


def address_of(flow: Flow, way: Direction) -> Address | None:
    """The address that a flow gives an identity; None when it does something else."""
    held = {term.field: term for term in flow.match}
    names = held.keys() & _ADDRESSES[way]
    if len(names) != 1 or flow.goto != TIERS[way]:
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
    own = _SORTED.get(flow.table, "")
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
