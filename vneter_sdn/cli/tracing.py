# SPDX-License-Identifier: Apache-2.0
"""``vneterctl trace``: one packet through the model, and through the real bridges beside it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli import selecting
from vneter_sdn.cli.reaching import Source, picture_of
from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer, Usage, columns, paint

if TYPE_CHECKING:
    from vneter_sdn.daemon.picture import End, Picture
    from vneter_sdn.daemon.reachability import Port

_DNS = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    source: str
    target: str
    chosen: Mapping[str, int | None]
    """Port by protocol; None for those that are not asked about."""
    six: bool = False
    live: bool = False


def answer(asked: Question, where: Source, output: str) -> None:
    """Print what becomes of the packet.

    Raises:
        Usage: it is not clear what is asked.
        Answer: there is no such end; or model and bridges disagree.
    """
    if output not in {"text", "json"}:
        raise Usage(f"no output format {output!r}", "one of text, json")
    if asked.live and where.offline:
        raise Usage("manifests have no bridges to ask", "give one of --live and --offline")
    port = _port(asked)
    names = selecting.resolved(where.resolve)
    target, where = _resolved(asked.target, names, where)
    picture = picture_of(where)
    if asked.live:
        from vneter_sdn.daemon.live_tracing import see_ports

        see_ports(picture)
    ends = [selecting.one(picture, text) for text in (asked.source, target)]
    if ends[0].address and ends[1].address:
        raise Usage("between two addresses outside there is nothing to ask", "name an endpoint")
    _print(picture, ends, _of_family(picture, ends, port), asked.live, output)


def _print(picture: Picture, ends: list[End], port: Port, live: bool, output: str) -> None:
    from vneter_sdn.daemon.tracing import trace

    found = trace(picture, ends[0], ends[1], port)
    document: dict[str, Any] = found.document()
    seen = None
    if live and found.packet:
        from vneter_sdn.daemon.live_tracing import live_trace

        seen = live_trace(picture, found)
        document["live"] = seen.document()
    elif live:
        document["live"] = None
    if output == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print("\n".join(told(document)))
    if seen is not None and not seen.agrees:
        hint = "`vneterctl recompute --check` says whether bridges hold what they should"
        raise Answer(REFUSED, f"model and bridges disagree: {'; '.join(seen.differences)}", hint)


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


def _resolved(text: str, names: Mapping[str, tuple[str, ...]], where: Source) -> tuple[str, Source]:
    """The first address of a DNS name, which policies are told of, too; other texts as they are."""
    name = text.lower().rstrip(".")
    if not _DNS.fullmatch(name) or (name not in names and "." not in name):
        return text, where
    if name in names:
        return names[name][0], where
    if where.offline:
        raise Usage(f"what is {name}?", f"offline, say it: --resolve {name}=ADDRESS")
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"{name} is not resolved: {error.strerror or error}"
        raise Answer(NOT_FOUND, message, f"say what it is: --resolve {name}=ADDRESS") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    told_too = f"{name}={','.join(addresses)}"
    return addresses[0], replace(where, resolve=[*where.resolve, told_too])


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
