# SPDX-License-Identifier: Apache-2.0
"""``vneterctl trace``: one packet through the model, and through the real bridges beside it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli import selecting
from vneter_sdn.cli.output import TEXT, form, structured
from vneter_sdn.cli.reaching import Source, picture_of
from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer, Usage, columns, paint

if TYPE_CHECKING:
    from vneter_sdn.daemon.picture import End, Picture
    from vneter_sdn.daemon.reachability import Port
    from vneter_sdn.daemon.tracing import Trace


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    source: str
    target: str
    chosen: Mapping[str, int | None]
    """Port by protocol; None for those that are not asked about."""
    six: bool = False
    live: bool = False
    inject: bool = False


def answer(asked: Question, where: Source, output: str) -> None:
    """Print what becomes of the packet.

    Raises:
        Usage: it is not clear what is asked.
        Answer: there is no such end; or model and bridges disagree.
    """
    how = form(output, TEXT)
    if (asked.live or asked.inject) and where.offline:
        option = "--inject" if asked.inject else "--live"
        raise Usage("manifests have no bridges to ask", f"give one of {option} and --offline")
    port = _port(asked)
    names = selecting.resolved(where.resolve)
    target = _given(asked.target, names, where)
    picture = picture_of(where)
    target = _told(picture, asked, target)
    if asked.live or asked.inject:
        from vneter_sdn.daemon.live_tracing import see_ports

        see_ports(picture)
    ends = [selecting.one(picture, text) for text in (asked.source, target)]
    if ends[0].address and ends[1].address:
        raise Usage("between two addresses outside there is nothing to ask", "name an endpoint")
    port = _of_family(picture, ends, port)
    found = trace_of(picture, ends, port)
    document: dict[str, Any] = found.document()
    differences: list[str] = []
    if asked.inject:
        from vneter_sdn.cli import injecting

        differences = injecting.add(document, injecting.Case(picture, ends, port, found), where)
    elif asked.live:
        differences = _add_live(document, picture, found)
    print("\n".join(told(document)) if how.for_people else structured(document, how))
    if differences:
        hint = "`vneterctl recompute --check` says whether bridges hold what they should"
        raise Answer(REFUSED, f"model and bridges disagree: {'; '.join(differences)}", hint)


def trace_of(picture: Picture, ends: list[End], port: Port) -> Trace:
    """The model's trace."""
    from vneter_sdn.daemon.tracing import trace

    return trace(picture, ends[0], ends[1], port)


def _add_live(document: dict[str, Any], picture: Picture, found: Trace) -> list[str]:
    """Add the bridges' side; in what it differs."""
    from vneter_sdn.daemon.live_tracing import live_trace

    document["live"] = None
    if not found.packet:
        return []
    seen = live_trace(picture, found)
    document["live"] = seen.document()
    return list(seen.differences)


def _port(asked: Question) -> Port:
    given = {name: number for name, number in asked.chosen.items() if number is not None}
    if len(given) != 1:
        raise Usage("which packet?", "give one of --tcp PORT, --udp PORT, --sctp PORT and --icmp")
    ((name, number),) = given.items()
    if name == "icmp":
        return selecting.port("icmpv6/128" if asked.six else "icmp/8")
    return selecting.port(f"{'6:' if asked.six else ''}{name}/{number}")


def _of_family(picture: Picture, ends: list[End], port: Port) -> Port:
    """An echo request of the family that both ends have: ICMPv6 where that is IPv6 alone."""
    if port.name != "icmp/8":
        return port
    for end in ends:
        here = picture.station(end)
        held = here.addresses if here else {end.address} if end.address else set()
        if held and all(address.version == 6 for address in held if address):
            return selecting.port("icmpv6/128")
    return port


def _given(text: str, names: Mapping[str, tuple[str, ...]], where: Source) -> str:
    """The first address of a DNS name that is said on the command line; other texts as they are."""
    name = text.lower().rstrip(".")
    if name in names:
        return names[name][0]
    if where.offline and "." in name and selecting.DOMAIN.fullmatch(name):
        hint = f"manifests know no addresses of names; say it: --resolve {name}=ADDRESS"
        raise Usage(f"what is {name}?", hint)
    return text


def _told(picture: Picture, asked: Question, text: str) -> str:
    """What endpoints of the sender's tenant were told that a DNS name is; rules go by that.

    A name that they were not told of is looked up here: bridges know nothing of it.
    """
    name = text.lower().rstrip(".")
    if "." not in name or not selecting.DOMAIN.fullmatch(name):
        return text
    sender = selecting.one(picture, asked.source)
    tenant = sender.key.tenant if sender.key else ""
    known = sorted(picture.learned(tenant).get(name, ()), key=lambda one: (":" in one) != asked.six)
    if known:
        return known[0]
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"{name} is not resolved: {error.strerror or error}"
        raise Answer(NOT_FOUND, message, f"say what it is: --resolve {name}=ADDRESS") from None
    address = str(found[0][4][0])
    note = f"no endpoint of tenant {tenant} under rules about {name} was told what it is, so none"
    print(f"note: {note} lets it through; {address} is what is said here", file=sys.stderr)
    return address


def told(document: Mapping[str, Any]) -> Iterator[str]:
    """A trace for reading."""
    verdict = paint("allowed", "green") if document["allowed"] else paint("not allowed", "red")
    pair = f"{document['from']} -> {document['to']} {document['port']}"
    yield f"{pair}: {verdict} ({document['rule']})"
    for way in ("egress", "ingress"):
        if side := document.get(way):
            stages = f"  [{' > '.join(side['stages'])}]" if side["stages"] else ""
            yield f"  {way}: {side['title'] or _WHY[side['because']]}{stages}"
    if document["note"]:
        yield f"  note: {document['note']}"
    for hop in document["hops"]:
        yield ""
        yield from _of_hop(hop)
    if delivered := document["delivered"]:
        yield ""
        cost = f", cost {document['cost']:g}" if document["cost"] else ""
        yield f"delivered on {delivered['host']}, port {delivered['port']}{cost}"
    if document.get("live"):
        yield ""
        yield from _of_live(document["live"])
    if document.get("inject"):
        from vneter_sdn.cli import injecting

        yield ""
        yield from injecting.told(document)


_WHY = {
    "unasked": "no policy is about it",
    "default": "no rule decides",
    "host": "its own host",
    "rule": "a rule",
    "isolation": "isolated",
}


def _of_hop(hop: Mapping[str, Any]) -> Iterator[str]:
    yield paint(f"{hop['host']} {hop['bridge']}", "bold")
    if hop["packet"]:
        yield f"  packet: {hop['packet']}"
    rows = [
        [
            f"  {one['table']}",
            str(one["priority"]),
            one["of"],
            one["match"] or "any",
            one["actions"],
        ]
        for one in hop["tables"]
    ]
    yield from columns([["  TABLE", "PRIORITY", "OF", "MATCH", "ACTIONS"], *rows])
    for one in hop["rewrites"]:
        yield f"  rewritten: {one['field']} {one['before']} -> {one['after']}"
    for one in hop["sent"]:
        by = f" by {one['medium']} {one['edge']}, cost {one['cost']:g}" if one["edge"] else ""
        to = f" to {one['host']}" if one["host"] else ""
        yield f"  sent: port {one['port']}{to}{by}"
    for one in hop["drops"]:
        yield f"  dropped: in {one['table']} ({one['reason']})"


def _of_live(live: Mapping[str, Any]) -> Iterator[str]:
    for hop in live["hops"]:
        if not hop["asked"]:
            yield f"{hop['host']}: not asked: {hop['why']}"
            continue
        ports = ", ".join(map(str, hop["ports"])) or "none"
        same = "as in the model" if not hop["differences"] else paint("differs", "red")
        yield f"{hop['host']}: {len(hop['tables'])} flows met, sent to port {ports}: {same}"
        yield from (f"  assumed: {one}" for one in hop["assumed"])
    yield from (f"  {one}" for one in live["differences"])
