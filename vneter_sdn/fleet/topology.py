# SPDX-License-Identifier: Apache-2.0
"""The underlay: hosts, switches and the links between them, from a file or from two numbers.

Switches that are linked make one **segment**: one Ethernet, one prefix; a link that closes a loop
of switches stays unused, as the spanning tree protocol would have it. Every link of a host is a
NIC of it, in the order of the file, with one address of the segment. A link between two hosts
is a segment of its own, unless it says that it is a **wire**: that joins the two hosts' bridges
themselves. Segments are routed to one another, so that every host reaches every tunnel address, as
in a leaf and spine fabric. The form of the file is in topologies/README.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

import msgspec

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.fleet.layout import digest_of
from vneter_sdn.graph.atlas import read_atlas
from vneter_sdn.graph.atlas.form import DEFAULT_MTU
from vneter_sdn.graph.atlas.form import Link as AtlasLink

UNLIMITED = 1000.0
"""Mbit/s of capacity from which on the machine is the limit, and no relay."""
_PORT = re.compile(r"[-A-Za-z0-9_.]{1,15}\Z")
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?\Z")
_INTERFACE_MAX = 15
_PLANE_SPACE = IPv4Network("198.18.0.0/15")


class Link(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A link in full; what else a file says of it is for path choice, not for the fleet."""

    ends: tuple[str, str]
    medium: Literal["wire", "tunnel"] = "wire"
    """Between two hosts: a wire joins their bridges, a tunnel's segment joins their NICs."""
    ports: tuple[str, str] | None = None
    """Wires: names of the interfaces on both bridges; chosen when absent."""
    capacity: float | None = None
    """Mbit/s each way."""
    latency: float | None = None
    """One-way delay in milliseconds."""
    jitter: float | None = None
    """How far the delay strays, in milliseconds."""
    loss: float = 0.0
    """Share of packets lost, 0 to 1."""


class Impairment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a relay in the middle of a link does to frames, each way."""

    delay: float = 0.0
    """Milliseconds."""
    jitter: float = 0.0
    """Milliseconds."""
    loss: float = 0.0
    """0 to 1."""
    rate: float = 0.0
    """Mbit/s; 0 is no limit."""


class Topology(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An underlay, as its file says it."""

    hosts: tuple[str, ...]
    """Names of hosts."""
    switches: tuple[str, ...] = ()
    """Names of underlay switches."""
    links: tuple[tuple[str, str] | Link, ...] = ()
    """Pairs of names, or more about them. A host's links are its NICs, in this order."""
    prefixes: dict[str, str] = {}
    """Prefix of a segment, by the name of one of its switches; the others are chosen."""
    mtu: int = DEFAULT_MTU
    """Largest IP packet on every link, in bytes."""
    description: str = ""
    """For people."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A cable between a port of each of two hosts' bridges."""

    ends: tuple[str, str]
    ports: tuple[str, str]
    """Interface on the bridge of each end: ``w-h2`` on h1, ``w-h1`` on h2."""
    impairment: Impairment | None = None

    def port_of(self, host: str) -> str:
        """The interface at one end."""
        return self.ports[self.ends.index(host)]


@dataclass(frozen=True, slots=True)
class Segment:
    """One Ethernet of the underlay."""

    prefix: IPv4Network | IPv6Network
    switches: tuple[str, ...]
    """Its switches; a link between two hosts gets one of its own, named ``~N``."""
    cables: tuple[tuple[str, str], ...]
    """Links between its switches: a tree, as the spanning tree protocol would leave."""

    @property
    def gateway(self) -> str:
        """The router's address with prefix length: the last one that is usable."""
        return f"{self.prefix[-2]}/{self.prefix.prefixlen}"


@dataclass(frozen=True, slots=True)
class Nic:
    """One NIC of one host."""

    host: str
    index: int
    """0 for the first link of the host."""
    segment: int
    """Index in `Underlay.segments`."""
    switch: str
    address: str
    """With prefix length: ``192.0.2.1/24``."""
    peer: str = ""
    """The other end of the link: a switch, or another host."""
    impairment: Impairment | None = None

    @property
    def interface(self) -> str:
        """Its name in the host: ``e0``."""
        return f"e{self.index}"

    @property
    def bridge(self) -> str:
        """The bridge that holds its address: ``br-phy``, then ``br-phy1``."""
        return f"br-phy{self.index or ''}"


@dataclass(frozen=True, slots=True)
class Underlay:
    """A topology, worked out."""

    hosts: tuple[str, ...]
    mtu: int
    segments: tuple[Segment, ...]
    nics: tuple[Nic, ...]
    wires: tuple[Wire, ...] = ()
    impaired: tuple[tuple[tuple[str, str], Impairment], ...] = ()
    """Cables between switches that have a relay."""

    def wires_of(self, host: str) -> tuple[Wire, ...]:
        """Wires of one host, in order."""
        return tuple(wire for wire in self.wires if host in wire.ends)

    def nics_of(self, host: str) -> tuple[Nic, ...]:
        """NICs of one host, in order."""
        return tuple(nic for nic in self.nics if nic.host == host)


def star(hosts: int, nics: int = 1, mtu: int = DEFAULT_MTU) -> Topology:
    """Hosts ``h1`` to ``hN``, each with one link to each of K underlay switches.

    Raises:
        IntentError: a number is out of range.
    """
    if not 1 <= hosts <= 1000:
        raise _refused("hosts", f"{hosts} is not 1 to 1000")
    if not 1 <= nics <= 16:
        raise _refused("nics", f"{nics} is not 1 to 16")
    names = tuple(f"h{number}" for number in range(1, hosts + 1))
    switches = tuple(f"u{plane}" for plane in range(nics))
    links = tuple((host, switch) for host in names for switch in switches)
    return Topology(hosts=names, switches=switches, links=links, mtu=mtu)


def read_topology(path: Path) -> Topology:
    """The topology in a file of any form that `graph.atlas` reads.

    Where a file has no hosts, as those of wide area networks, its switches are the hosts.

    Raises:
        IntentError: there is no such file, or it is not in its form; names the field.
    """
    atlas = read_atlas(path)
    return Topology(
        hosts=atlas.end_hosts or atlas.switches,
        switches=atlas.switches if atlas.end_hosts else (),
        links=tuple(_of_file(link) for link in atlas.links),
        prefixes=dict(atlas.prefixes) if atlas.end_hosts else {},
        mtu=atlas.mtu,
        description=atlas.description,
    )


def _of_file(link: AtlasLink) -> tuple[str, str] | Link:
    made = Link(
        ends=link.ends,
        medium=link.medium or "tunnel",
        ports=link.ports,
        capacity=link.capacity,
        latency=link.latency,
        jitter=link.jitter,
        loss=link.loss,
    )
    return link.ends if made == Link(ends=link.ends, medium="tunnel") else made


def as_wires(topology: Topology) -> Topology:
    """The same with every link between two hosts a wire."""
    hosts = frozenset(topology.hosts)
    links = (whole(link) for link in topology.links)
    turned = (
        msgspec.structs.replace(link, medium="wire") if hosts.issuperset(link.ends) else link
        for link in links
    )
    return msgspec.structs.replace(topology, links=tuple(turned))


def work_out(topology: Topology) -> Underlay:
    """Segments, NICs, addresses and wires of a topology: the same ones every time.

    Raises:
        IntentError: a name is bad, doubled or unknown, switches form a loop, a host has no link,
            a number makes no sense, or a prefix has too few addresses.
    """
    links = tuple(whole(link) for link in topology.links)
    _check_names(topology, links)
    hosts = frozenset(topology.hosts)
    for link in links:
        _check_numbers(link)
    segments = _segments(topology, links)
    nics, wires = _nics(topology, links, segments), _wires(hosts, links)
    for host in topology.hosts:
        if not any(nic.host == host for nic in nics) and not any(host in w.ends for w in wires):
            raise _refused("links", f"host {host} has no link")
    impaired = tuple(
        (link.ends, seen)
        for link in links
        if hosts.isdisjoint(link.ends) and (seen := impairment(link))
    )
    return Underlay(topology.hosts, topology.mtu, tuple(segments), nics, wires, impaired)


def whole(link: tuple[str, str] | Link) -> Link:
    """A link in full; a pair alone is no wire, as it always meant a segment."""
    return link if isinstance(link, Link) else Link(ends=link, medium="tunnel")


def impairment(link: Link) -> Impairment | None:
    """What a relay has to do on a link, None when it needs none."""
    capacity = link.capacity or 0.0
    made = Impairment(
        delay=link.latency or 0.0,
        jitter=link.jitter or 0.0,
        loss=link.loss,
        rate=capacity if capacity < UNLIMITED else 0.0,
    )
    return None if made == Impairment() else made


def _check_numbers(link: Link) -> None:
    for field, value, most in (
        ("latency", link.latency, 60_000),
        ("jitter", link.jitter, 60_000),
        ("loss", link.loss, 1),
    ):
        if value is not None and not 0 <= value <= most:
            raise _refused("links", f"{' - '.join(link.ends)}: {field} {value} is not 0 to {most}")
    if link.capacity is not None and not link.capacity > 0:
        raise _refused("links", f"{' - '.join(link.ends)}: capacity {link.capacity} is not above 0")


def _is_wire(link: Link, hosts: frozenset[str]) -> bool:
    return link.medium == "wire" and hosts.issuperset(link.ends)


def _nics(topology: Topology, links: tuple[Link, ...], segments: list[Segment]) -> tuple[Nic, ...]:
    place = {switch: index for index, part in enumerate(segments) for switch in part.switches}
    hosts = frozenset(topology.hosts)
    taken = [0] * len(segments)
    counts: dict[str, int] = {}
    nics = []
    for number, link in enumerate(links):
        seen = impairment(link)
        for end, other in (link.ends, link.ends[::-1]):
            if end not in hosts or _is_wire(link, hosts):
                continue
            switch = f"~{number}" if other in hosts else other
            segment = place[switch]
            taken[segment] += 1
            prefix = segments[segment].prefix
            if taken[segment] > prefix.num_addresses - 3:
                raise _refused("prefixes", f"{prefix} has too few addresses for its hosts")
            address = f"{prefix[taken[segment]]}/{prefix.prefixlen}"
            index = counts[end] = counts.get(end, -1) + 1
            # Between two hosts one relay is enough: it is in the first end's half.
            relayed = seen if end == link.ends[0] or other not in hosts else None
            nics.append(Nic(end, index, segment, switch, address, other, relayed))
    return tuple(nics)


def _wires(hosts: frozenset[str], links: tuple[Link, ...]) -> tuple[Wire, ...]:
    taken: set[tuple[str, str]] = set()
    wires = []
    for link in links:
        if not _is_wire(link, hosts):
            continue
        one, other = link.ends
        ports = link.ports or (_free(taken, one, other), _free(taken, other, one))
        for end, port in zip(link.ends, ports, strict=True):
            if not _PORT.match(port) or (end, port) in taken:
                raise _refused("links", f"port {port!r} of {end}: no interface's name, or taken")
            taken.add((end, port))
        wires.append(Wire(link.ends, ports, impairment(link)))
    return tuple(wires)


def _free(taken: set[tuple[str, str]], host: str, peer: str) -> str:
    """``w-h2``, or ``w-h2.2`` for a second wire to h2; a digest of a name that is too long."""
    number = 1
    while True:
        name = f"w-{peer}" + (f".{number}" if number > 1 else "")
        if len(name) > _INTERFACE_MAX:
            name = f"w{digest_of(peer, str(number))[:12]}"
        if (host, name) not in taken:
            return name
        number += 1


def _check_names(topology: Topology, links: tuple[Link, ...]) -> None:
    names = topology.hosts + topology.switches
    for name in names:
        if not _HOST.match(name) or name == "underlay" or name.startswith("w-"):
            raise _refused("hosts", f"{name!r} is no name: a-z, 0-9 and '-' inside, at most 32")
    if len(set(names)) != len(names):
        raise _refused("hosts", "two hosts or switches have the same name")
    for link in links:
        for end in link.ends:
            if end not in names:
                raise _refused("links", f"{end!r} is neither a host nor a switch")
        if link.ends[0] == link.ends[1]:
            raise _refused("links", f"{link.ends[0]} is linked to itself")
    if not 1280 <= topology.mtu <= 9216:
        raise _refused("mtu", f"{topology.mtu} is not 1280 to 9216 bytes")


def _segments(topology: Topology, links: tuple[Link, ...]) -> list[Segment]:
    """Connected parts of the graph of switches, in the order of their first switch."""
    leader = {switch: switch for switch in topology.switches}
    cables = []
    for left, right in (link.ends for link in links):
        if left in leader and right in leader:
            if leader[left] == leader[right]:
                continue
            old, new = leader[right], leader[left]
            leader = {switch: new if head == old else head for switch, head in leader.items()}
            cables.append((left, right))
    parts: dict[str, list[str]] = {}
    for switch in topology.switches:
        parts.setdefault(leader[switch], []).append(switch)
    hosts = frozenset(topology.hosts)
    for number, link in enumerate(links):
        if hosts.issuperset(link.ends) and not _is_wire(link, hosts):
            parts[f"~{number}"] = [f"~{number}"]
    chosen = _prefixes(topology, list(parts.values()))
    return [
        Segment(prefix, tuple(members), tuple(pair for pair in cables if pair[0] in members))
        for prefix, members in zip(chosen, parts.values(), strict=True)
    ]


def _prefixes(topology: Topology, parts: list[list[str]]) -> list[IPv4Network | IPv6Network]:
    """One prefix per segment: what the file says, TEST-NET-1, or a part of 198.18.0.0/15.

    Source: RFC 5737 (192.0.2.0/24) and RFC 2544 (198.18.0.0/15).
    """
    chosen: list[IPv4Network | IPv6Network] = []
    length = 24 if len(topology.hosts) <= 250 else 20
    spare = _PLANE_SPACE.subnets(new_prefix=length)
    for index, members in enumerate(parts):
        said = [topology.prefixes[name] for name in members if name in topology.prefixes]
        if said:
            chosen.append(_prefix(said[0]))
        elif index == 0 and length == 24:
            next(spare)
            chosen.append(IPv4Network("192.0.2.0/24"))
        else:
            chosen.append(next(spare))
    for index, prefix in enumerate(chosen):
        for other in chosen[:index]:
            if prefix.version == other.version and prefix.overlaps(other):
                raise _refused("prefixes", f"{prefix} overlaps {other}")
    return chosen


def _prefix(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise _refused("prefixes", str(error)) from error


def _refused(field: str, message: str, name: str = "topology") -> IntentError:
    return IntentError(Problem(name, field, "InvalidValue", message))


def as_document(topology: Topology) -> dict[str, Any]:
    """The topology in the form of its file."""
    document: dict[str, Any] = msgspec.to_builtins(topology)
    return document
