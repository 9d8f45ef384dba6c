# SPDX-License-Identifier: Apache-2.0
"""From what a file says to a graph, or a refusal that says what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas.atlas import Atlas
from vneter_sdn.graph.atlas.form import Demand, Link, Node, Sheet, whole_demand, whole_link
from vneter_sdn.graph.topology import Edge, Topology, Vertex, tunnel_edge, wire_edge
from vneter_sdn.model.documents import Document

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[!-~]{1,15}")
_MOST_SHOWN = 20
_LEAST_COST, _LARGEST_COST = 1e-6, 1e9
_FARTHEST = 1e9
LARGEST = 1e15
"""Mbit/s: what there is not, but some published networks count in other units."""


def build(sheet: Sheet, document: Document, warnings: Sequence[str] = ()) -> Atlas:
    """The atlas of a sheet. O(V + E).

    Args:
        sheet: what the file says.
        document: where it says so, for messages; its value is not read.
        warnings: what the reader has to say already.

    Raises:
        IntentError: every fault, each with its place in the file.
    """
    links = [whole_link(link) for link in sheet.links]
    demands = [whole_demand(demand) for demand in sheet.demands]
    faults = [
        *_bad_names(sheet),
        *_bad_nodes(sheet),
        *_bad_links(sheet, links),
        *_bad_demands(sheet, demands),
    ]
    if faults:
        raise refused(document, faults)
    kept = tuple(link for link in links if link.ends[0] != link.ends[1])
    sent = tuple(demand for demand in demands if demand.source != demand.target and demand.mbps)
    topology = Topology(_vertices(sheet), _edges(kept))
    return Atlas(
        name=sheet.name or _stem(document.source),
        topology=topology,
        description=sheet.description,
        end_hosts=sheet.hosts,
        switches=sheet.switches,
        links=kept,
        demands=sent,
        idle=len(demands) - len(sent),
        nodes={name: node for name, node in sheet.nodes.items() if node != Node()},
        prefixes=sheet.prefixes,
        mtu=sheet.mtu,
        warnings=(
            *warnings,
            *_dropped(document, links),
            *_unsent(len(demands) - len(sent)),
            *_apart(topology),
        ),
    )


Fault = tuple[str, str, str]
"""Path of the field, reason, message."""


def refused(document: Document, faults: Iterable[Fault]) -> IntentError:
    """The error for faults in a document; beyond the first ones only their number is told."""
    told = list(faults)
    problems = [
        Problem(document.place(path), path, reason, message)
        for path, reason, message in told[:_MOST_SHOWN]
    ]
    if len(told) > _MOST_SHOWN:
        more = f"and {len(told) - _MOST_SHOWN} more faults"
        problems.append(Problem(document.source, "", "InvalidValue", more))
    return IntentError(*problems)


def _bad_names(sheet: Sheet) -> Iterator[Fault]:
    seen: set[str] = set()
    for group, names in (("hosts", sheet.hosts), ("switches", sheet.switches)):
        for index, name in enumerate(names):
            path = f"{group}[{index}]"
            if not _NAME.fullmatch(name):
                shape = "a-z, 0-9, '-' and '.' inside, at most 63; put other text in its label"
                yield path, "InvalidName", f"{name!r} is no name: {shape}"
            if name in seen:
                message = f"{name!r} is there already: names of hosts and switches are unique"
                yield path, "DuplicateName", message
            seen.add(name)
    if not seen:
        yield "", "Empty", "there are no hosts and no switches: list their names"


def _bad_nodes(sheet: Sheet) -> Iterator[Fault]:
    seen = {*sheet.hosts, *sheet.switches}
    for name, node in sheet.nodes.items():
        if name not in seen:
            message = f"{name!r} is neither a host nor a switch: list it among them"
            yield f"nodes.{name}", "UnknownNode", message
        if node.at and not all(abs(number) <= _FARTHEST for number in node.at):
            yield f"nodes.{name}.at", "InvalidValue", f"a coordinate is beyond {_FARTHEST:g}"
    for name in sheet.prefixes:
        if name not in sheet.switches:
            yield f"prefixes.{name}", "UnknownNode", f"{name!r} is no switch"


def _bad_links(sheet: Sheet, links: Sequence[Link]) -> Iterator[Fault]:
    names = {*sheet.hosts, *sheet.switches}
    ports: set[tuple[str, str]] = set()
    for index, link in enumerate(links):
        path = f"links[{index}]"
        between = f"the link {link.ends[0]} - {link.ends[1]}"
        for end in link.ends:
            if end not in names:
                message = f"{end!r} is neither a host nor a switch: list it, or correct {between}"
                yield path, "UnknownNode", message
        for end, port in zip(link.ends, link.ports or (), strict=False):
            if not _PORT.fullmatch(port) or set(port) & set(":>#/"):
                message = f"{port!r} is no name of an interface: 1 to 15 characters, no : > # or /"
                yield f"{path}.ports", "InvalidName", message
            if (end, port) in ports and not link.one_way:
                message = f"port {port} of {end} has a link already: give {between} another"
                yield f"{path}.ports", "DuplicatePort", message
            ports.add((end, port))
        yield from _bad_numbers(path, between, link)


def _bad_numbers(path: str, between: str, link: Link) -> Iterator[Fault]:
    capacity = link.capacity
    if capacity is not None and not 0 < capacity <= LARGEST:
        message = (
            f"{between} has a capacity of {capacity:g} Mbit/s, which is not above 0 and at most"
            f" {LARGEST:g}: give what it carries, leave it out where that is not known, or set"
            " disabled: true where nothing may pass"
        )
        yield f"{path}.capacity", "InvalidCapacity", message
    for name, value, least, most in (
        ("latency", link.latency, 0, 1e6),
        ("jitter", link.jitter, 0, 1e6),
        ("loss", link.loss, 0, 1),
        ("cost", link.cost, _LEAST_COST, _LARGEST_COST),
        ("price", link.price, 0, 1e6),
        ("mtu", link.mtu, 1280, 65535),
    ):
        if value is not None and not least <= value <= most:
            message = f"{between} has a {name} of {value:g}, which is not {least} to {most:g}"
            yield f"{path}.{name}", "InvalidValue", message


def _bad_demands(sheet: Sheet, demands: Sequence[Demand]) -> Iterator[Fault]:
    names = {*sheet.hosts, *sheet.switches}
    for index, demand in enumerate(demands):
        for end in (demand.source, demand.target):
            if end not in names:
                yield f"demands[{index}]", "UnknownNode", f"{end!r} is neither a host nor a switch"
        if not 0 <= demand.mbps <= LARGEST:
            between = f"the demand {demand.source} - {demand.target}"
            message = f"{between} is {demand.mbps:g} Mbit/s, which is not 0 to {LARGEST:g}"
            yield f"demands[{index}]", "InvalidValue", message


def _vertices(sheet: Sheet) -> tuple[Vertex, ...]:
    """Bridge ids are the places in the file, switches first: a host added moves no switch."""
    made = []
    for number, name in enumerate((*sheet.switches, *sheet.hosts), 1):
        node = sheet.nodes.get(name, Node())
        made.append(
            Vertex(
                name,
                number,
                site=node.site,
                region=node.region,
                tags=frozenset(node.tags),
                drained=node.drained,
            )
        )
    return tuple(sorted(made, key=lambda vertex: vertex.host))


def _edges(links: Sequence[Link]) -> tuple[Edge, ...]:
    """Two edges per link; a one-way link without its opposite has a disabled one."""
    counts: Counter[frozenset[str]] = Counter()
    edges: list[Edge] = []
    for forth, back in paired(links):
        rank = counts[frozenset(forth.ends)]
        counts[frozenset(forth.ends)] += 1
        for link, other in ((forth, back), (back, forth)):
            name, reverse = _name(link, rank), _name(other, rank)
            edges.append(_edge(link, name, reverse))
    return tuple(sorted(edges, key=lambda edge: (edge.source, edge.target, edge.name)))


def paired(links: Sequence[Link]) -> Iterator[tuple[Link, Link]]:
    """Each link of a file, and how it looks from the other end.

    A one-way link whose opposite follows is paired with it; without one, its other way is disabled.
    """
    single: defaultdict[tuple[str, str], deque[int]] = defaultdict(deque)
    partner: dict[int, int] = {}
    for index, link in enumerate(links):
        if link.one_way:
            one, other = link.ends
            if single[other, one]:
                partner[single[other, one].popleft()] = index
            else:
                single[one, other].append(index)
    second = set(partner.values())
    for index, link in enumerate(links):
        if index in second:
            continue
        if index in partner:
            yield link, links[partner[index]]
        else:
            yield link, _turned(link)


def _turned(link: Link) -> Link:
    ports = (link.ports[1], link.ports[0]) if link.ports else None
    disabled = link.disabled or link.one_way
    return replace(link, ends=(link.ends[1], link.ends[0]), ports=ports, disabled=disabled)


def _name(link: Link, rank: int) -> str:
    one, other = link.ends
    if link.ports:
        return wire_edge(one, link.ports[0], other, link.ports[1])
    return tunnel_edge(one, other, (rank, rank))


def _edge(link: Link, name: str, reverse: str) -> Edge:
    return Edge(
        name=name,
        reverse=reverse,
        source=link.ends[0],
        target=link.ends[1],
        medium=link.medium or "wire",
        cost=link.cost,
        latency=link.latency,
        loss=link.loss,
        capacity=link.capacity,
        price=link.price,
        mtu=link.mtu,
        encrypted=link.encrypted,
        tags=frozenset(link.tags),
        risks=frozenset(link.risks),
        encapsulation=(link.encapsulation or "geneve") if link.medium == "tunnel" else "",
        port=link.ports[0] if link.ports else "",
        disabled=link.disabled,
        drained=link.drained,
    )


def _dropped(document: Document, links: Sequence[Link]) -> Iterator[str]:
    for index, link in enumerate(links):
        if link.ends[0] == link.ends[1]:
            place = document.place(f"links[{index}]")
            yield f"{place}: the link from {link.ends[0]} to itself is left out: no path needs it"


def _unsent(count: int) -> Iterator[str]:
    if count:
        yield f"demands of nothing, or of a node to itself, are left out: {count}"


def _apart(topology: Topology) -> Iterator[str]:
    """Says when there is no path between some nodes, whichever way links go."""
    near: defaultdict[str, list[str]] = defaultdict(list)
    for edge in topology.edges:
        near[edge.source].append(edge.target)
    left = dict.fromkeys(vertex.host for vertex in topology.vertices)
    parts: list[list[str]] = []
    while left:
        part = open_ = [left.popitem()[0]]
        while open_:
            found = {name for at in open_ for name in near[at] if name in left}
            for name in found:
                del left[name]
            open_ = sorted(found)
            part = part + open_
        parts.append(part)
    if len(parts) > 1:
        parts.sort(key=lambda part: (-len(part), min(part)))
        sizes = ", ".join(f"{min(part)} and {len(part) - 1} more" for part in parts[:5])
        yield f"it falls into {len(parts)} parts without a link between them: {sizes}"


def _stem(source: str) -> str:
    return re.sub(r"\.[A-Za-z]+$", "", source.rsplit("/", 1)[-1])
