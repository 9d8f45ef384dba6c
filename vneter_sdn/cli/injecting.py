# SPDX-License-Identifier: Apache-2.0
"""``vneterctl trace --inject``: a marked packet, and the three verdicts side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli.terminal import CONFLICT, REFUSED, UNREACHABLE, Answer, columns, paint
from vneter_sdn.errors import Conflict, IntentError

if TYPE_CHECKING:
    from vneter_sdn.cli.reaching import Source
    from vneter_sdn.daemon.picture import End, Picture
    from vneter_sdn.daemon.reachability import Port
    from vneter_sdn.daemon.tracing import Trace

_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmp"}
_AWAY = {"NotConnected", "NotFollowed", "NotInjected", "TooBusy"}
"""Why nothing was injected although what is asked makes sense."""
TURNS, PAUSE = 4, 0.4
"""How often, and after how many seconds each, one that comes too early tries again."""
_BY = {"model": "model", "live": "ofproto/trace", "inject": "injected"}


@dataclass(frozen=True, slots=True)
class Case:
    """What is traced."""

    picture: Picture
    ends: list[End]
    port: Port
    model: Trace


def add(document: dict[str, Any], case: Case, where: Source) -> list[str]:
    """Inject the packet, and add what bridges say of it both ways; in what they differ.

    Raises:
        Answer: there is nothing to inject, or another packet is traced just now.
    """
    from vneter_sdn.daemon.injected import follow
    from vneter_sdn.daemon.live_tracing import live_trace
    from vneter_sdn.simulate.text import parse_packet

    told_of = _inject(case, where)
    model, first = case.model, case.model.hops[0]
    packet = parse_packet(told_of["packet"]).at(first.packet["in_port"])
    same = replace(model, hops=(replace(first, packet=packet), *model.hops[1:]))
    live = live_trace(case.picture, same)
    found = follow(case.picture, model, case.ends, told_of)
    document["live"], document["inject"] = live.document(), found.document()
    changed = told_of["revision"] != case.picture.snapshot.revision
    differences = [*live.differences, *found.differences]
    if live.allowed is not None and found.allowed is not None and live.allowed != found.allowed:
        differences.append("ofproto/trace and the injected packet come to different ends")
    document["verdicts"] = {
        "agree": not differences,
        "model": {
            "allowed": model.allowed,
            "where": _model_end(document),
            "rule": model.rule,
        },
        "live": {"allowed": live.allowed, "where": _live_end(document), "rule": ""},
        "inject": {"allowed": found.allowed, "where": found.ended, "rule": found.rule},
    }
    if differences and changed:
        differences.append("the intent changed meanwhile, so ask again")
    return list(dict.fromkeys(differences))


def _inject(case: Case, where: Source) -> Mapping[str, Any]:
    from vneter_sdn.cli.targets import connect

    source, target = (end.key for end in case.ends)
    if source is None or target is None:
        outside = next(end.name for end in case.ends if end.key is None)
        message = f"{outside} is an address outside: no bridge leads there, nothing is injected"
        raise Answer(REFUSED, message, "leave --inject out, or name two endpoints")
    if not case.model.packet:
        raise Answer(REFUSED, f"there is no packet to inject: {case.model.rule}")
    wanted = case.port.wanted
    asked = {
        "tenant": source.tenant,
        "source": source.name,
        "target": target.name,
        "targetTenant": target.tenant,
        "protocol": _PROTOCOLS[wanted.protocol],
        "port": wanted.port,
        "six": wanted.version == 6 or wanted.protocol == 58,
        "hosts": list(dict.fromkeys(hop.host for hop in case.model.hops)),
    }
    try:
        return _in_turn(lambda: connect(where.server).inject(asked))
    except Conflict as busy:
        raise Answer(CONFLICT, str(busy), "try again in a second") from None
    except IntentError as refused:
        if not {one.reason for one in refused.problems} & _AWAY:
            raise
        hint = "`vneterctl status` says which bridges are connected"
        raise Answer(UNREACHABLE, str(refused), hint) from None


def _in_turn(inject: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """One packet a second is traced: whoever comes a moment too early waits for that.

    Raises:
        Conflict: others are traced all the time.
    """
    for _ in range(TURNS):
        with suppress(Conflict):
            return inject()
        time.sleep(PAUSE)
    return inject()


def _model_end(document: Mapping[str, Any]) -> str:
    if there := document["delivered"]:
        return f"{there['host']} port {there['port']}"
    hops = document["hops"]
    return f"{hops[-1]['host']} {hops[-1]['tables'][-1]['table']}" if hops else ""


def _live_end(document: Mapping[str, Any]) -> str:
    asked = [hop for hop in document["live"]["hops"] if hop["asked"] and hop["tables"]]
    if not asked:
        return "not asked"
    last = asked[-1]
    if document["live"]["allowed"]:
        return f"{last['host']} port {', '.join(map(str, last['ports']))}"
    return f"{last['host']} {last['tables'][-1].partition(':')[0]}"


def told(document: Mapping[str, Any]) -> Iterator[str]:
    """For reading."""
    injected, verdicts = document["inject"], document["verdicts"]
    yield f"injected: {injected['packet']}"
    for hop in injected["hops"]:
        by = f" by {hop['edge']}" if hop["edge"] else ""
        if not hop["looked"]:
            yield f"  {hop['host']}{by}: nobody looked: {hop['why']}"
            continue
        yield f"  {hop['host']}{by}: {' > '.join(hop['tables']) or 'not seen'}"
        yield from (f"    assumed: {one}" for one in hop["assumed"])
        yield from (f"    {paint('differs', 'red')}: {one}" for one in hop["differences"])
    yield from (f"  {one}" for one in injected["differences"])
    yield ""
    words = {True: "allowed", False: "not allowed", None: "not known"}
    rows = [
        [title, words[one["allowed"]], one["where"] or "-", one["rule"]]
        for by, title in _BY.items()
        if (one := verdicts[by])
    ]
    yield from columns([["BY", "VERDICT", "ENDS", "RULE"], *rows])
    yield paint("they agree", "green") if verdicts["agree"] else paint("they disagree", "red")
