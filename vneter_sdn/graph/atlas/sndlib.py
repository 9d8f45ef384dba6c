# SPDX-License-Identifier: Apache-2.0
"""SNDlib's native XML: ``<network><networkStructure>…</networkStructure><demands>…</network>``.

Source: Orlowski et al., "SNDlib 1.0 - Survivable Network Design Library", Networks 55(3), 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.graph.atlas.form import Demand, Link, Node, Sheet
from vneter_sdn.graph.atlas.gathering import Place, delay, names_of, on_earth
from vneter_sdn.model.documents import Document


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
    labels = {node.get("id", ""): node.get("id", "") for node in holder}
    names = names_of(labels)
    places = {node.get("id", ""): _place(node, source) for node in holder}
    geographic = holder.get("coordinatesType") == "geographical" and all(
        on_earth(*place) for place in places.values() if place
    )
    links = tuple(_links(root, names, places if geographic else {}, source))
    nodes = {names[one]: Node(label=one, id=one, at=places[one]) for one in labels}
    description = " ".join((root.findtext("./meta/origin") or "").split())
    sheet = Sheet(
        description=description,
        switches=tuple(names.values()),
        nodes=nodes,
        links=links,
        demands=tuple(_demands(root, names, source)),
    )
    return sheet, Document(None, source, 1), []


def _links(
    root: ET.Element, names: dict[str, str], places: dict[str, Place | None], source: str
) -> Iterator[Link]:
    for element in root.iterfind("./networkStructure/links/link"):
        one, other = _ends(element, names, source)
        modules = [_number(module, source) for module in element.iter("capacity")]
        installed = _number(element.find("./preInstalledModule/capacity"), source)
        yield Link(
            ends=(names[one], names[other]),
            capacity=installed or max((size for size in modules if size), default=None),
            latency=delay(places.get(one), places.get(other)),
        )


def _demands(root: ET.Element, names: dict[str, str], source: str) -> Iterator[Demand]:
    for element in root.iterfind("./demands/demand"):
        one, other = _ends(element, names, source)
        mbps = _number(element.find("demandValue"), source)
        yield Demand(names[one], names[other], mbps or 0.0)


def _ends(element: ET.Element, names: dict[str, str], source: str) -> tuple[str, str]:
    ends = [(element.findtext(end) or "").strip() for end in ("source", "target")]
    for end in ends:
        if end not in names:
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
