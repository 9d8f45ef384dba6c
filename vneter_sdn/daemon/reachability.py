# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom, by which rule: tried on the flows that bridges would hold.

Endpoints that neither policies nor paths can tell apart are tried once: those of one class
(`compile.classes`), network and host whose addresses lie in the same prefixes of rules.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from vneter_sdn.compile.classes import class_of
from vneter_sdn.daemon.picture import WAYS, End, Picture
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import PROTO_ICMP, PROTO_ICMPV6
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.attempts import Attempt, Wanted, between, inwards, outwards
from vneter_sdn.simulate.meaning import Station

_STAGES = ("tiers", "isolation", "baseline")
_ADDRESSES = ("ip_src", "ip_dst", "ipv6_src", "ipv6_dst")


class Port(NamedTuple):
    """What is tried: its name as asked for, and what that means."""

    name: str
    wanted: Wanted


class Row(NamedTuple):
    """One cell of the matrix."""

    source: str
    target: str
    port: str
    allowed: bool
    rule: str


def matrix(
    picture: Picture, sources: Sequence[End], targets: Sequence[End], ports: Sequence[Port]
) -> Iterator[Row]:
    """A row for every ordered pair and port, in their order; pairs of addresses are left out.

    A pod on the network of its node is its node: between two of them there are no policies.

    ``rule`` is who decided, in the words of what was written: of an allowed pair the rules of both
    directions, ``default`` where there is none; of another that which stopped it. Besides:

    * ``self``: an endpoint always reaches itself.
    * ``host``: it is spoken to by its own host.
    * ``tenants``: they are endpoints of two tenants.
    * ``not attached``: an endpoint is on no port.
    * ``no such address``: the two have no addresses of one family, or of the one asked for.
    * ``not delivered``: no policy stopped it, and yet it does not get there.
    """
    asker = _Asker(picture)
    for source in sources:
        for target in targets:
            if _outside(source) and _outside(target):
                continue
            for port in ports:
                allowed, rule = asker.ask(source, target, port.wanted)
                yield Row(source.name, target.name, port.name, allowed, rule)


def _outside(end: End) -> bool:
    return end.address is not None and end.name == str(end.address)


_Answer = tuple[bool, str]


class _Asker:
    """Tries what was not tried before."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._known: dict[Hashable, _Answer] = {}
        self._kinds: dict[End, Hashable] = {}
        self._prefixes = _prefixes(picture)

    def ask(self, source: End, target: End, wanted: Wanted) -> _Answer:
        if source == target:
            return True, "self"
        if source.address and target.address:
            return True, "default"
        asked = (self._kind(source), self._kind(target), wanted)
        if asked not in self._known:
            self._known[asked] = answer(self._picture, source, target, wanted)
        return self._known[asked]

    def _kind(self, end: End) -> Hashable:
        """What is the same of all endpoints that need not be told apart."""
        if end not in self._kinds:
            self._kinds[end] = self._told_by(end)
        return self._kinds[end]

    def _told_by(self, end: End) -> Hashable:
        here = self._picture.station(end)
        if end.key is None or here is None:
            return end.address, end.key and end.key.tenant
        within = frozenset(
            (name, mask, value)
            for name, mask, value in self._prefixes
            for address in here.addresses
            if (address.version == 6) == name.startswith("ipv6") and int(address) & mask == value
        )
        versions = frozenset(address.version for address in here.addresses)
        one = class_of(self._picture.snapshot.objects[end.key])
        return one, here.network, here.host, versions, within


def _prefixes(picture: Picture) -> frozenset[tuple[str, int, int]]:
    """Every prefix that a rule mentions on some bridge."""
    numbers = {table(f"{way}_{stage}").id for way in WAYS for stage in _STAGES}
    return frozenset(
        (term.field, term.mask, term.value)
        for host in picture.compiler.hosts()
        for flow in picture.compiler.bridge(host).flows.values()
        if flow.table in numbers
        for term in flow.match
        if term.field in _ADDRESSES
    )


def tried(picture: Picture, source: End, target: End, wanted: Wanted) -> Attempt | str:
    """The attempt, or why there can be none."""
    near, far = picture.station(source), picture.station(target)
    if (source.key and near is None) or (target.key and far is None):
        return "not attached"
    try:
        if near and far:
            if not _common(near, far, wanted):
                return "tenants" if near.tenant != far.tenant else "no such address"
            return between(picture.fleet, picture.meaning, near, far, wanted)
        if near and target.address:
            if not _speaks(near, target.address, wanted):
                return "no such address"
            numbers = picture.numbers(near.tenant)
            return outwards(picture.fleet, numbers, near, target.address, wanted)
        if far and source.address:
            if not _speaks(far, source.address, wanted):
                return "no such address"
            numbers = picture.numbers(far.tenant)
            return inwards(picture.fleet, numbers, source.address, far, wanted)
    except KeyError:  # its host has no bridge yet, or its tenant no number
        return "not attached"
    raise ValueError(f"neither {source.name} nor {target.name} is an endpoint")


def _versions(wanted: Wanted) -> tuple[int, ...]:
    by_protocol = {PROTO_ICMP: (4,), PROTO_ICMPV6: (6,)}
    found = by_protocol.get(wanted.protocol, (4, 6))
    return tuple(v for v in found if wanted.version in (None, v))


def _common(near: Station, far: Station, wanted: Wanted) -> bool:
    sides = [{a.version for a in one.addresses} for one in (near, far)]
    return any(v in sides[0] and v in sides[1] for v in _versions(wanted))


def _speaks(here: Station, there: IPAddress, wanted: Wanted) -> bool:
    has = any(address.version == there.version for address in here.addresses)
    return has and there.version in _versions(wanted)


def answer(picture: Picture, source: End, target: End, wanted: Wanted) -> tuple[bool, str]:
    """Whether the first packet of a connection gets there, and who decided."""
    attempt = tried(picture, source, target, wanted)
    if isinstance(attempt, str):
        return False, attempt
    return attempt.allowed, deciding(picture, source, target, attempt)


def deciding(picture: Picture, source: End, target: End, attempt: Attempt) -> str:
    """Who decided, in the words of `matrix`."""
    near, far = picture.station(source), picture.station(target)
    asked = {"egress": near, "ingress": far}
    found = [picture.decided(way, attempt, here) for way in WAYS if (here := asked[way])]
    if attempt.allowed:
        titles = [one.title for one in found if one.because == "rule"]
        own_host = any(one.because == "host" for one in found)
        return "; ".join(titles) or ("host" if own_host else "default")
    for said in found:
        if not said.passes:
            return "default" if said.because == "default" else said.title
    if near and far and near.tenant != far.tenant:
        return "tenants"
    return "not delivered"
