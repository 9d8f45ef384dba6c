# SPDX-License-Identifier: Apache-2.0
"""``vneterctl status``: everything on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.rendering import age
from vneter_sdn.cli.terminal import REFUSED, Answer, columns, paint, plain, terminal_height
from vneter_sdn.client import Client

_CORE = {True: ("running", "green"), False: ("not heard of", "red"), None: ("not known", "yellow")}
_SHOWN = 20
"""Rows of a table; `-o json` has more."""
_LONGEST = 100
"""Characters of a message in a table; `describe` has all."""
_TIPS = 6
"""Reasons that are explained."""
_LOOK = "the message says what lacks; `vneterctl events` tells what led to it"
_NEXT = {
    "NotBound": "attach its workload: a port in br-int with external_ids:iface-id=TENANT/NAME, or "
    "`vneterctl fleet attach HOST NAME -t TENANT --network NET`",
    "Unreachable": "is the host up, and its ovsdb-server listening at spec.ovsdb?",
    "Connecting": "wait a moment; if it lasts: is the host up, does its ovsdb-server listen at "
    "spec.ovsdb, does its bridge reach the controller?",
    "NoChannel": "is the host's ovs-vswitchd running? `ovs-vsctl list controller` on the host",
    "PeerClosed": "is the host's ovs-vswitchd running? `ovs-vsctl show` on the host",
    "EchoTimeout": "is the host, or the way to it, overloaded? it is tried again",
    "CannotListen": "is the directory of the host's ovsdb socket there, and writable for us?",
    "OpenFlowVersion": "ovs-vsctl set bridge BRIDGE protocols=OpenFlow14,OpenFlow15 on the host",
    "DuplicateDatapath": "two bridges have one datapath id: set other-config:datapath-id on one",
    "ForeignFlows": "remove those flows, or give the host a bridge of its own in spec.bridge",
    "ShrinkHeld": "was an old database restored? if it is the intent: `vneterctl up "
    "--accept-older-intent`; if not, restore the newer one",
    "RejectedByBridge": "the bridge cannot hold its flows: is its Open vSwitch older than 2.17?",
    "BundleRejected": "the bridge refused its flows: the controller's log has the error",
    "RowsRefused": "the host's database refused its rows: `vneterctl describe host` has the error",
    "TlsRefused": "certificates: `ovs-vsctl get-ssl` on the host, and --ca-certificate here",
    "UnexpectedDatapath": "the certificate or socket is that of another bridge",
    "PrefixExhausted": "delete endpoints, or make a network with a larger prefix",
    "PoolExhausted": "delete objects of the kind that need none any more; numbers rest 60 s",
    "NoPath": "relax the constraint that the message names, or mend the link: `vneterctl path "
    "SRC DST --policy NAME` tells edge by edge",
    "Full": "ask for less, or another window; `vneterctl get reservations` lists who holds it",
    "CapacityUnknown": "declare capacityMbps in the Link that the message names",
    "NotPlaced": "attach its endpoints: bandwidth is kept between hosts",
    "Programming": "wait; if it lasts, look at the controller's log",
    "Closed": "is the host's ovsdb-server running? it is tried again",
    "Down": "is the way open between the tunnel addresses of both hosts (`ping -I`, UDP 6081 or "
    "4789)? traffic goes other ways meanwhile, where there are any",
    "Damped": "it flapped; it is used again once it has been quiet: is a cable or NIC loose?",
}
"""What to try, by the reason of a Ready condition, or of a link's Up."""


def status(client: Client, how: Form) -> None:
    """Print the summary.

    Raises:
        Answer: exit code 1 when something is not ready, a link is down, an assertion does not
            hold, or the core is not heard of.
    """
    with patience(f"asking {client.server}"):
        summary = client.status()
    if how.for_people:
        print("\n".join(lines(summary, terminal_height())))
    else:
        print(structured(summary, how))
    if summary["core"] is False or _amiss(summary) or _broken(summary):
        raise Answer(REFUSED)


def lines(summary: Mapping[str, Any], height: int = 0) -> list[str]:
    """The summary as text.

    Args:
        summary: as the server tells it.
        height: lines that it may take, if that is possible at all; 0: any number.
    """
    head = [*_head(summary), "", *columns(_kinds(summary))]
    asked = [len(summary["hosts"]), len(summary["notReady"]), _down(summary), _broken(summary)]
    room = height - len(head) - _BETWEEN if height else 0
    hosts, waiting, down, broken = _shares(asked, room)
    text = [*head, *_hosts(summary, hosts), *_waiting(summary, waiting, down)]
    return text + _against(summary, broken)


_BETWEEN = 15
"""Lines that are no rows of what may be cut: headings, and what to try."""
_LEAST = 3


def _shares(asked: Sequence[int], room: int) -> list[int]:
    """How many rows of each table are shown: none has more than it needs, nor than others lack."""
    limit = _SHOWN
    while room and limit > _LEAST and sum(min(one, limit) for one in asked) > room:
        limit -= 1
    return [min(one, limit) for one in asked]


def _head(summary: Mapping[str, Any]) -> list[str]:
    last, fleet = summary["lastChange"], summary.get("fleet") or {}
    change = f", last changed {age(last['time'])} ago by {plain(last['author'])}" if last else ""
    core, colour = _CORE[summary["core"]]
    text = [
        f"vneter {summary['version']}, revision {summary['revision']}{change}",
        f"core: {paint(core, colour)}",
    ]
    if summary["core"] is False:
        text += [
            "  what hosts and endpoints say below is from before; bridges keep forwarding",
            "  it takes a few seconds to start; if it lasts: `vneterctl logs core --tail 20`",
        ]
    if fleet.get("hosts"):
        total, tunnels = fleet["hosts"], fleet["tunnels"]
        text.append(
            f"hosts: {_of(fleet['ready'], total)} ready, {_of(fleet['inSync'], total)} bridges in "
            f"sync, {_of(tunnels['up'], tunnels['total'])} tunnels up"
        )
    return text


def _of(count: int, total: int) -> str:
    return paint(f"{count} of {total}", "green" if count == total else "red")


def _kinds(summary: Mapping[str, Any]) -> list[list[str]]:
    """A row for each kind of which there is anything."""
    rows = [["KIND", "TOTAL", "READY", "NOT READY"]]
    for kind, tally in summary["kinds"].items():
        if tally["total"]:
            rows.append([kind, *(str(tally[name]) for name in ("total", "ready", "notReady"))])
    return rows if len(rows) > 1 else [["nothing is declared yet: `vneterctl apply -f FILE`"]]


def _hosts(summary: Mapping[str, Any], shown: int) -> list[str]:
    """A line per host, those with something amiss first."""
    found: Sequence[Mapping[str, Any]] = summary["hosts"]
    if not found:
        return []
    rows = [["HOST", "READY", "OVSDB", "OPENFLOW", "IN SYNC", "TUNNELS UP", "FLOWS"]]
    rows += [
        [
            host["name"],
            host["ready"],
            host["database"],
            host["openflow"],
            host["inSync"],
            f"{host['tunnels']['up']}/{host['tunnels']['total']}",
            str(host["flows"]),
        ]
        for host in found[:shown]
    ]
    return ["", *columns(rows), *_more(len(found) - shown + summary.get("hostsOmitted", 0))]


def _waiting(summary: Mapping[str, Any], waiting: int, down: int) -> list[str]:
    """What is not ready or down, the slowest first, and what to try, once for each reason."""
    found = _amiss(summary)
    if not found and summary["core"] is False:
        return ["", paint("nothing else was amiss", "yellow")]
    if not found:
        return ["", paint("everything is ready", "green")]
    unready: Sequence[Mapping[str, Any]] = summary["notReady"]
    links: Sequence[Mapping[str, Any]] = summary.get("linksDown", ())
    text = _listed("NOT READY", unready, waiting, summary["notReadyOmitted"])
    text += _listed("DOWN", links, down, summary.get("linksDownOmitted", 0))
    reasons = dict.fromkeys(one["reason"] for one in (*unready[:waiting], *links[:down]))
    text.append("")
    text += [f"{plain(reason)}: {_NEXT.get(reason, _LOOK)}" for reason in list(reasons)[:_TIPS]]
    first = found[0]["object"]
    named = _name(first).partition("/")[2]
    return [*text, f"`vneterctl describe {first['kind'].lower()} {named}` tells all about it"]


def _listed(title: str, found: Sequence[Mapping[str, Any]], shown: int, omitted: int) -> list[str]:
    """A table of objects and why they are not what they should be; nothing of none."""
    if not found:
        return []
    rows = [[title, "FOR", "REASON", "MESSAGE"]]
    for one in found[:shown]:
        since, short = age(one.get("since", "")), _short(one["message"])
        rows.append([_name(one["object"]), since, one["reason"], short or "-"])
    return ["", *columns(rows), *_more(len(found) - shown + omitted)]


def _amiss(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [*summary["notReady"], *summary.get("linksDown", ())]


def _down(summary: Mapping[str, Any]) -> int:
    return len(summary.get("linksDown", ()))


def _broken(summary: Mapping[str, Any]) -> int:
    return int(summary.get("assertions", {}).get("broken", 0))


def _against(summary: Mapping[str, Any], shown: int) -> list[str]:
    """Assertions that do not hold, and what shows it."""
    if not _broken(summary):
        return []
    found = summary["assertions"]["listed"][:shown]
    rows = [["DOES NOT HOLD", "FOR", "BECAUSE"]]
    rows += [[_name(one["object"]), age(one["since"]), _short(one["message"])] for one in found]
    return ["", *columns(rows), *_more(_broken(summary) - len(found))]


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"


def _more(count: int) -> list[str]:
    return [f"and {count} more (-o json)"] if count > 0 else []


def _name(reference: Mapping[str, str]) -> str:
    tenant = reference.get("tenant")
    name = f"{tenant}/{reference['name']}" if tenant else reference["name"]
    return f"{reference['kind'].lower()}/{name}"
