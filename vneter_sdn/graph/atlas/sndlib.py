# SPDX-License-Identifier: Apache-2.0
"""SNDlib's native XML: ``<network><networkStructure>…</networkStructure><demands>…</network>``.

Source: Orlowski et al., "SNDlib 1.0 - Survivable Network Design Library", Networks 55(3), 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas.form import Demand, Link, Node, Sheet
from vneter_sdn.graph.atlas.gathering import Place, delay, names_of, on_earth
from vneter_sdn.model.documents import Document

Row = tuple[str, str]
"""The ids of both ends."""


def read(data: bytes, source: str) -> tuple[Sheet, Document, list[str]]:
    """What an SNDlib file says. O(size).

    A link's capacity is what is installed already, else its largest module; it counts each way.
    Where the coordinates are geographic, the delay is that of the great circle.

    Raises:
        IntentError: it is no such XML, or a number or a reference in it is wrong.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise _malformed(source, "declarations of entities are not read")
    try:
        root = ET.fromstring(data)  # noqa: S314 -- without entities nothing can grow
    except (ET.ParseError, ValueError, LookupError) as error:
        raise _malformed(source, str(error)) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    holder = root.find("./networkStructure/nodes")
    if root.tag != "network" or holder is None:
        raise _malformed(source, "no <network> with a <networkStructure> and <nodes>")
    places: dict[str, Place | None] = {}
    for node in holder:
        name = node.get("id", "")
        if name in places:
            raise _malformed(source, f"a second node has the id {name!r}")
        places[name] = _place(node, source)
    geographic = holder.get("coordinatesType") == "geographical" and all(
        on_earth(*place) for place in places.values() if place
    )
    sheet = composed(
        places,
        _links(root, places, source),
        _demands(root, places, source),
        geographic=geographic,
        description=" ".join((root.findtext("./meta/origin") or "").split()),
    )
    return sheet, Document(None, source, 1), []


def composed(
    places: Mapping[str, Place | None],
    links: Iterable[tuple[str, str, float | None]],
    demands: Iterable[tuple[str, str, float]],
    *,
    geographic: bool,
    description: str = "",
) -> Sheet:
    """The sheet of an SNDlib network.

    Args:
        places: of every node, by its id.
        links: both ends and the capacity.
        demands: both ends and how much.
        geographic: whether places are longitude and latitude, so that they tell the delay.
        description: for people.
    """
    names = names_of({one: one for one in places})
    near = places if geographic else {}
    return Sheet(
        description=description,
        switches=tuple(names.values()),
        nodes={names[one]: Node(label=one, id=one, at=place) for one, place in places.items()},
        links=tuple(
            Link(
                ends=(names[one], names[other]),
                capacity=capacity,
                latency=delay(near.get(one), near.get(other)),
            )
            for one, other, capacity in links
        ),
        demands=tuple(Demand(names[one], names[other], mbps) for one, other, mbps in demands),
    )


def _links(
    root: ET.Element, known: Mapping[str, object], source: str
) -> Iterator[tuple[str, str, float | None]]:
    for element in root.iterfind("./networkStructure/links/link"):
        modules = [_number(module, source) for module in element.iter("capacity")]
        installed = _number(element.find("./preInstalledModule/capacity"), source)
        capacity = installed or max((size for size in modules if size), default=None)
        yield *_ends(element, known, source), capacity


def _demands(
    root: ET.Element, known: Mapping[str, object], source: str
) -> Iterator[tuple[str, str, float]]:
    for element in root.iterfind("./demands/demand"):
        mbps = _number(element.find("demandValue"), source)
        yield *_ends(element, known, source), mbps or 0.0


def _ends(element: ET.Element, known: Mapping[str, object], source: str) -> Row:
    ends = [(element.findtext(end) or "").strip() for end in ("source", "target")]
    for end in ends:
        if end not in known:
            what = f"{element.tag} {element.get('id', '?')}"
            raise _malformed(source, f"{what} leads to {end!r}, which is no node")
    return ends[0], ends[1]


def _place(node: ET.Element, source: str) -> Place | None:
    x = _number(node.find("./coordinates/x"), source)
    y = _number(node.find("./coordinates/y"), source)
    return None if x is None or y is None else (x, y)


def _number(element: ET.Element | None, source: str) -> float | None:
    if element is None or not (element.text or "").strip():
        return None
    try:
        number = float(element.text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _malformed(source, f"<{element.tag}> is {element.text!r}, no number")
    return number


def _malformed(source: str, message: str) -> IntentError:
    return IntentError(Problem(source, "", "MalformedXml", message))
