# SPDX-License-Identifier: Apache-2.0
"""Labs: endpoints of whoever was heard behind a port of a host without a database.

What is heard is a claim: this MAC and address are behind that interface. The newest claim wins,
within limits: each MAC may move a few times a minute and no more (flapping is damped), and an ARP
reply takes nothing from somebody who is there and was heard himself, for a machine with two
interfaces answers by both for the address of one. Endpoints of which somebody else took the port,
whose port is gone for a while, or turned out to be a wire's, are deleted. Nothing that somebody
declared is ever touched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Address, ip_network
from typing import Any

from vneter_sdn.engine.bindings import interface_id
from vneter_sdn.engine.links import wire_of
from vneter_sdn.model.addresses import mac_number, mac_text
from vneter_sdn.model.kinds import API_VERSION, EndpointSpec
from vneter_sdn.model.links import INTERFACES, ORIGIN, is_found
from vneter_sdn.model.snapshot import Key, Object, Pools, Snapshot
from vneter_sdn.pipeline.locator import ANY_COLOUR_MASK, Locator
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.survey import End

AUTHOR = "lab"
LEARNED = "learned"
GONE = 60.0
"""Seconds after which an endpoint whose port is gone is deleted."""
MOVES, MOVE_REFILL = 5.0, 10.0
"""Changes that one MAC may make at once, and seconds until it may make another."""
ANSWERS = 5.0
"""Seconds within which a second answer for one address, by another interface, says nothing."""
REMEMBERED = 1 << 16
"""Addresses, and MACs, that are remembered."""
_LONGEST = 63
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody was heard behind an interface."""

    end: End
    mac: int
    address: IPv4Address
    weak: bool = False
    """Whether it was said in answer to a question (an ARP reply)."""

    @property
    def key(self) -> tuple[str, str]:
        """Its MAC and address, as endpoints have them."""
        return mac_text(self.mac), str(self.address)


@dataclass(slots=True)
class _Allowance:
    tokens: float
    since: float


class Learning:
    """What is learned, and from where."""

    def __init__(self) -> None:
        self.network: Key | None = None
        """The network that learns; None where none does."""
        self.counts: Counter[str] = Counter()
        """Claims by what became of them."""
        self._learners: set[Key] = set()
        self._entries: dict[Key, tuple[tuple[dict[Any, Any], Any, Any], ...]] = {}
        """By endpoint: what it has entered where."""
        self._learned: dict[End, Object] = {}
        self._by_mac: dict[str, End] = {}
        self._by_address: dict[str, End] = {}
        self._declared: dict[str, Key] = {}
        """Endpoints that are not learned, by interface id."""
        self._addresses: dict[str, Key] = {}
        """The same, of the network that learns, by address."""
        self._wires: dict[Key, tuple[End, ...]] = {}
        self._wired: Counter[End] = Counter()
        self._ports: dict[str, frozenset[str]] = {}
        """Interfaces of connected hosts without a database."""
        self._macs: dict[str, Mapping[str, int]] = {}
        """Their Ethernet addresses, of hosts that are away too."""
        self._doubted: set[End] = set()
        """Where who was learned is to be forgotten."""
        self._since: set[str] | None = None
        """Hosts that were there since the lab was last made anew; None where it was not."""
        self._found: dict[Key, Object] = {}
        """Wires that discovery found."""
        self._cut: set[Key] = set()
        """Those of them that went with an interface."""
        self._heard: set[End] = set()
        """Learned endpoints that were heard themselves since their port came."""
        self._gone: dict[End, float] = {}
        self._claims: dict[End, Claim] = {}
        self._allowances: dict[int, _Allowance] = {}
        self._answered: dict[IPv4Address, tuple[End, float]] = {}
        """By address: where a claim was taken last, and when."""

    # -- what there is --------------------------------------------------------------------------

    def index(self, snapshot: Snapshot, keys: Iterable[Key]) -> None:
        """Note what changed of networks, links and endpoints; little where no network learns."""
        keys = tuple(keys)
        for key in keys:
            if key.kind == "Network":
                stored = snapshot.objects.get(key)
                learns = stored is not None and stored.spec.learning
                (self._learners.add if learns else self._learners.discard)(key)
        before, self.network = self.network, min(self._learners, default=None)
        if before != self.network:
            keys = tuple(snapshot.objects)
        for key in keys if self.network else ():
            stored = snapshot.objects.get(key)
            if key.kind == "Link":
                self._index_link(key, stored)
            elif key.kind == "Endpoint":
                self._index_endpoint(key, stored)

    def _index_link(self, key: Key, stored: Object | None) -> None:
        self._wired.subtract(self._wires.pop(key, ()))
        self._found.pop(key, None)
        wire = None if stored is None else wire_of(stored.spec)
        if wire is not None:
            self._wires[key] = wire
            self._wired.update(wire)
        if stored is not None and is_found(stored):
            self._found[key] = stored
            if any(self._is_other(end, mac) for end, mac in self._said(stored)):
                self._cut.add(key)

    def _said(self, stored: Object) -> Iterator[tuple[End, int]]:
        """At which interfaces something was found or learned, with their addresses then."""
        end = end_of(stored)
        ends = self._wires.get(stored.key, ()) if end is None else (end,)
        macs = stored.annotations.get(INTERFACES, "").split(",")
        if len(macs) == len(ends):
            for one, mac in zip(ends, macs, strict=True):
                if _MAC.fullmatch(mac):
                    yield one, mac_number(mac)

    def _is_other(self, end: End, mac: int) -> bool:
        """Whether an interface has another address by now."""
        now = self._macs.get(end.host, {}).get(end.port, mac) if end.host in self._ports else mac
        return now not in (mac, 0)

    def _index_endpoint(self, key: Key, stored: Object | None) -> None:
        for index, text, value in self._entries.pop(key, ()):
            if index.get(text) == value:
                del index[text]
        if stored is None:
            return
        spec: EndpointSpec = stored.spec
        end = end_of(stored)
        entries: list[tuple[dict[Any, Any], Any, Any]] = []
        if end is not None:
            if any(self._is_other(*said) for said in self._said(stored)):
                self._doubted.add(end)
            entries = [(self._learned, end, stored), (self._by_mac, spec.mac, end)]
            entries += [(self._by_address, address, end) for address in spec.addresses]
        else:
            entries = [(self._declared, spec.interface_id or key.path, key)]
            if Key("Network", key.tenant, spec.network) == self.network:
                entries += [(self._addresses, address, key) for address in spec.addresses]
        for index, text, value in entries:
            index[text] = value
        self._entries[key] = tuple(entries)

    def ports(self, host: str, interfaces: Mapping[str, int] | None, now: float) -> bool:
        """The interfaces a host has, with their Ethernet addresses; None when it is away, or gone.

        An interface that has another address than before is another one: the lab was made anew, as
        it was when none of a bridge's interfaces is left.
        Whoever was learned behind it is forgotten, and so are those on hosts that are away, and
        wires that were found there. Returns whether there is any such interface.
        """
        if interfaces is None:
            self._ports.pop(host, None)
            return False
        there = self._ports[host] = frozenset(interfaces)
        before = self._before(host, interfaces)
        self._macs[host] = dict(interfaces)
        remade = {name for name, mac in interfaces.items() if mac and before.get(name, mac) != mac}
        anew = bool(before and interfaces) and not before.items() & interfaces.items()
        if remade or anew:
            lost = (remade | before.keys()) - (there - remade)
            self._doubt({End(host, name) for name in lost})
        elif self._since is not None:
            self._since.add(host)
        self._heard = {e for e in self._heard if e.host != host or e.port in there - remade}
        for end in self._learned:
            if end.host == host and end.port not in there:
                self._gone.setdefault(end, now)
        self._gone = {
            end: at for end, at in self._gone.items() if end.host != host or end.port not in there
        }
        return bool(remade or anew)

    def another_lab(self) -> None:
        """Bridges came that nobody knew, and none that was known: forget all who are away."""
        self._doubt(set())

    def _doubt(self, ends: set[End]) -> None:
        """Forget what was said of interfaces that are no more, and of hosts that are away."""
        self._doubted |= ends
        self._since = set(self._ports)
        self._cut.update(key for key in self._found if ends & set(self._wires[key]))
        self._claims = {end: one for end, one in self._claims.items() if end not in ends}
        self._answered = {
            address: (end, at)
            for address, (end, at) in self._answered.items()
            if end not in ends and end.host in self._ports
        }

    def _before(self, host: str, interfaces: Mapping[str, int]) -> Mapping[str, int]:
        """Addresses of a host's interfaces as last seen, or when something was found at them."""
        if self._macs.get(host) == interfaces:  # as when one is only up or down
            return interfaces
        found = [one for end, one in self._learned.items() if end.host == host]
        said = [pair for one in (*found, *self._found.values()) for pair in self._said(one)]
        written = {end.port: mac for end, mac in said if end.host == host}
        return {**written, **self._macs.get(host, {})}

    def is_edge(self, end: End) -> bool:
        """Whether a lab's workload may be behind an interface, as far as is known."""
        declared = interface_id(end.host, end.port) in self._declared
        return end.port in self._ports.get(end.host, ()) and not (self._wired[end] or declared)

    def knows(self, address: IPv4Address) -> bool:
        """Whether an address is somebody's, so that the data plane answers for it."""
        end = self._by_address.get(str(address))
        there = end is not None and self._is_there(end) and not self._is_doubted(end)
        return there or str(address) in self._addresses

    def _is_there(self, end: End) -> bool:
        """Whether its host has an interface still; a host that is away is taken to have all."""
        return end.port in self._ports.get(end.host, (end.port,))

    def _is_doubted(self, end: End) -> bool:
        """Whether it was said in a lab before."""
        return end in self._doubted or (self._since is not None and end.host not in self._since)

    def _counts(self, end: End, snapshot: Snapshot) -> bool:
        """Whether what was heard behind an interface still says anything.

        Nothing does of a host that is no more (its bridge was adopted by another name), of an
        interface that went, of one that a wire was found at, and of a lab before.
        """
        exists = Key("Host", "", end.host) in snapshot.objects
        stands = not self._wired[end] and not self._is_doubted(end)
        return exists and stands and self._is_there(end)

    # -- what is heard --------------------------------------------------------------------------

    def hear(self, claim: Claim, snapshot: Snapshot, now: float) -> bool:
        """Take in a claim; whether it is one to act on."""
        outcome = self._judge(claim, snapshot, now)
        self.counts[outcome] += 1
        if outcome == "known":
            self._heard.add(claim.end)
            self._doubted.discard(claim.end)
        if outcome == "taken":
            self._claims[claim.end] = claim
            self._answered.pop(claim.address, None)
            self._answered[claim.address] = (claim.end, now)
            if len(self._answered) > REMEMBERED:
                del self._answered[next(iter(self._answered))]
        return outcome == "taken"

    def _judge(self, claim: Claim, snapshot: Snapshot, now: float) -> str:
        """What becomes of a claim, in a word."""
        if self.network is None or not self.is_edge(claim.end):
            return "elsewhere"
        if self._claims.get(claim.end) == claim:
            return "pending"
        if not _fits(claim, snapshot, self.network):
            return "unfit"
        if str(claim.address) in self._addresses:
            return "declared"
        mac, address = claim.key
        holder = self._learned.get(claim.end)
        if holder is not None and (holder.spec.mac, *holder.spec.addresses) == (mac, address):
            return "known"
        rivals = {self._by_mac.get(mac), self._by_address.get(address)} - {None}
        if holder is not None:
            rivals.add(claim.end)
        first, since = self._answered.get(claim.address, (claim.end, now))
        prior = {end for end in rivals if end in self._heard}
        if first != claim.end and now - since < ANSWERS:
            prior.add(first)
        if claim.weak and any(self._counts(end, snapshot) for end in prior):
            return "weak"
        if rivals and not self._may_move(claim.mac, now):
            return "damped"
        return "taken"

    def _may_move(self, mac: int, now: float) -> bool:
        held = self._allowances.setdefault(mac, _Allowance(MOVES, now))
        held.tokens = min(MOVES, held.tokens + (now - held.since) / MOVE_REFILL)
        held.since = now
        if len(self._allowances) > REMEMBERED:
            self._allowances.pop(next(iter(self._allowances)))
        if held.tokens < 1:
            return False
        held.tokens -= 1
        return True

    # -- what to write --------------------------------------------------------------------------

    def edits(self, snapshot: Snapshot, now: float) -> list[tuple[Edit, ...]]:
        """What makes the store agree; each group is one endpoint that came, moved or went.

        Groups touch different endpoints, MACs and addresses, so all may be written at once; claims
        that would meet one of them wait for the next time.
        """
        groups, touched = [], set[Any]()
        for end, claim in list(self._claims.items()):
            if Key("Host", "", end.host) not in snapshot.objects or not self.is_edge(end):
                del self._claims[end]
                continue
            mine = {end, *claim.key} | {self._by_mac.get(claim.key[0])}
            mine = (mine | {self._by_address.get(claim.key[1])}) - {None}
            if mine & touched:
                continue
            touched |= mine
            del self._claims[end]
            self._doubted.discard(end)
            groups.append(tuple(self._taking(claim)))
            if not claim.weak:
                self._heard.add(end)
        leaving = [end for end in self._leaving(snapshot, now) if end not in touched]
        gone = [
            *sorted(self._cut & self._found.keys()),
            *(self._learned[end].key for end in leaving),
        ]
        self._cut.clear()
        return groups + [(Edit("delete", key),) for key in gone]

    def _taking(self, claim: Claim) -> Iterator[Edit]:
        assert self.network is not None
        mac, address = claim.key
        for end in {self._by_mac.get(mac), self._by_address.get(address)} - {None, claim.end}:
            if end is not None:
                yield Edit("delete", self._learned[end].key)
                self._heard.discard(end)
        holder = self._learned.get(claim.end)
        name = holder.key.name if holder else endpoint_name(claim.end)
        manifest = {
            "apiVersion": API_VERSION,
            "kind": "Endpoint",
            "metadata": {
                "name": name,
                "tenant": self.network.tenant,
                "annotations": {ORIGIN: LEARNED, **self._told(claim.end)},
            },
            "spec": {
                "network": self.network.name,
                "mac": mac,
                "addresses": [address],
                "interfaceId": interface_id(claim.end.host, claim.end.port),
            },
        }
        key = Key("Endpoint", self.network.tenant, name)
        yield Edit("apply", key, manifest, "an endpoint that was heard")

    def _told(self, end: End) -> dict[str, str]:
        """What is written of the interface somebody was heard by."""
        mac = self._macs.get(end.host, {}).get(end.port)
        return {INTERFACES: mac_text(mac)} if mac else {}

    def _leaving(self, snapshot: Snapshot, now: float) -> Iterator[End]:
        for end in self._learned:
            host = snapshot.objects.get(Key("Host", "", end.host))
            over = now - self._gone.get(end, now) >= GONE
            if host is None or over or self._wired[end] or self._is_doubted(end):
                yield end

    @property
    def waiting(self) -> bool:
        """Whether claims wait to be written."""
        return bool(self._claims)

    def due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether `edits` has anything to say."""
        leaving = next(self._leaving(snapshot, now), None) is not None
        return self.waiting or leaving or bool(self._cut)


def end_of(stored: Object) -> End | None:
    """Where a learned endpoint was heard; None for others."""
    if stored.annotations.get(ORIGIN) != LEARNED:
        return None
    host, slash, port = (stored.spec.interface_id or "").partition("/")
    return End(host, port) if slash else None


def endpoint_name(end: End) -> str:
    """``s1.s1-eth1``; with a digest where that would be no name."""
    name = f"{end.host}.{end.port}"
    if _NAME.fullmatch(name):
        return name
    digest = blake2b(name.encode(), digest_size=5).hexdigest()
    slug = re.sub(r"[^-a-z0-9.]+", "-", name.lower()).strip("-.")
    return f"{slug[: _LONGEST - len(digest) - 1].rstrip('-.') or 'port'}.{digest}"


def _fits(claim: Claim, snapshot: Snapshot, network: Key) -> bool:
    """Whether somebody in the network may have that address and MAC."""
    stored = snapshot.objects.get(network)
    if stored is None:
        return False
    prefixes = [ip_network(prefix) for prefix in stored.spec.prefixes]
    prefix = next((p for p in prefixes if claim.address in p), None)
    ends = prefix and (prefix.network_address, prefix.broadcast_address)
    if prefix is None or not ends or claim.address in ends:
        return False
    pools = (
        (Pools.address(network, str(prefix)), str(claim.address)),
        (
            Pools.mac(network),
            claim.key[0],
        ),
    )
    held = [snapshot.allocations.get(place) for place in pools]
    return not any(one and one.owner == str(network) and one.released is None for one in held)


def is_locator(destination: int, bridges: Container[int]) -> bool:
    """Whether a frame is on its way between bridges, by a wire that is not known yet.

    Args:
        destination: its Ethernet address.
        bridges: ids of the bridges that there are.
    """
    found = Locator.of(destination)
    return found.bridge in bridges and Locator(0, *found[1:]).mac == destination & ANY_COLOUR_MASK
