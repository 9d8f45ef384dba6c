# SPDX-License-Identifier: Apache-2.0
"""The underlay: hosts, switches and the links between them, from a file or from two numbers.

Switches that are linked make one **segment**: one Ethernet, one prefix. Every link of a host is a
NIC of it, in the order of the file, with one address of the segment. A link between two hosts
is a segment of its own. Segments are routed to one another, so that every host reaches every
tunnel address, as in a leaf and spine fabric. The form of the file is in topologies/README.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import msgspec
import yaml

from vneter_sdn.errors import IntentError, Problem

DEFAULT_MTU = 1600
"""Bytes of an IP packet on the underlay: an inner 1500 and any encapsulation fit."""

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?\Z")
_PLANE_SPACE = IPv4Network("198.18.0.0/15")


class Topology(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An underlay, as its file says it."""

    hosts: tuple[str, ...]
    """Names of hosts."""
    switches: tuple[str, ...] = ()
    """Names of underlay switches."""
    links: tuple[tuple[str, str], ...] = ()
    """Pairs of names. A host's links are its NICs, in this order."""
    prefixes: dict[str, str] = {}
    """Prefix of a segment, by the name of one of its switches; the others are chosen."""
    mtu: int = DEFAULT_MTU
    """Largest IP packet on every link, in bytes."""
    description: str = ""
    """For people."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One Ethernet of the underlay."""

    prefix: IPv4Network | IPv6Network
    switches: tuple[str, ...]
    """Its switches; a link between two hosts gets one of its own, named ``~N``."""
    cables: tuple[tuple[str, str], ...]
    """Links between its switches."""

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
    """The topology in a file.

    Raises:
        IntentError: there is no such file, or it is not in the form; names the field.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _refused("", f"cannot be read: {error}", str(path)) from error
    try:
        return msgspec.convert(document, Topology)
    except msgspec.ValidationError as error:
        raise _refused("", str(error), str(path)) from error


def work_out(topology: Topology) -> Underlay:
    """Segments, NICs and addresses of a topology: the same ones every time.

    Raises:
        IntentError: a name is bad, doubled or unknown, switches form a loop, a host has no link,
            or a prefix has too few addresses.
    """
    _check_names(topology)
    segments = _segments(topology)
    place = {switch: index for index, part in enumerate(segments) for switch in part.switches}
    taken = [0] * len(segments)
    counts: dict[str, int] = {}
    nics = []
    for number, (left, right) in enumerate(topology.links):
        for end, other in ((left, right), (right, left)):
            if end not in topology.hosts:
                continue
            switch = f"~{number}" if other in topology.hosts else other
            segment = place[switch]
            taken[segment] += 1
            prefix = segments[segment].prefix
            if taken[segment] > prefix.num_addresses - 3:
                raise _refused("prefixes", f"{prefix} has too few addresses for its hosts")
            address = f"{prefix[taken[segment]]}/{prefix.prefixlen}"
            index = counts[end] = counts.get(end, -1) + 1
            nics.append(Nic(end, index, segment, switch, address))
    for host in topology.hosts:
        if host not in counts:
            raise _refused("links", f"host {host} has no link")
    return Underlay(topology.hosts, topology.mtu, tuple(segments), tuple(nics))


def _check_names(topology: Topology) -> None:
    names = topology.hosts + topology.switches
    for name in names:
        if not _HOST.match(name) or name == "underlay" or name.startswith("w-"):
            raise _refused("hosts", f"{name!r} is no name: a-z, 0-9 and '-' inside, at most 32")
    if len(set(names)) != len(names):
        raise _refused("hosts", "two hosts or switches have the same name")
    for pair in topology.links:
        for end in pair:
            if end not in names:
                raise _refused("links", f"{end!r} is neither a host nor a switch")
        if pair[0] == pair[1]:
            raise _refused("links", f"{pair[0]} is linked to itself")
    if not 1280 <= topology.mtu <= 9216:
        raise _refused("mtu", f"{topology.mtu} is not 1280 to 9216 bytes")


def _segments(topology: Topology) -> list[Segment]:
    """Connected parts of the graph of switches, in the order of their first switch."""
    leader = {switch: switch for switch in topology.switches}
    cables = []
    for left, right in topology.links:
        if left in leader and right in leader:
            if leader[left] == leader[right]:
                raise _refused("links", f"{left} - {right} closes a loop of switches")
            old, new = leader[right], leader[left]
            leader = {switch: new if head == old else head for switch, head in leader.items()}
            cables.append((left, right))
    parts: dict[str, list[str]] = {}
    for switch in topology.switches:
        parts.setdefault(leader[switch], []).append(switch)
    for number, (left, right) in enumerate(topology.links):
        if left in topology.hosts and right in topology.hosts:
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
