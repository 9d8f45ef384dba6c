# SPDX-License-Identifier: Apache-2.0
"""``vneterctl reachability``: the whole matrix of who reaches whom, from compiled flows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli import selecting
from vneter_sdn.cli.compiling import compiled
from vneter_sdn.cli.output import Form, form, streamed, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import Usage, columns, paint

if TYPE_CHECKING:
    from vneter_sdn.daemon.picture import Picture
    from vneter_sdn.daemon.reachability import Port, Row

FORMATS = ("table", "grid", "json", "yaml", "jsonpath")
_USUAL = "tcp/80"
_MOST = 64
"""Ports that are tried when none are given."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the network to look at is from."""

    offline: Sequence[str] = ()
    """Manifests: files and directories; none: a running controller."""
    tenant: str = ""
    """Offline: of Kubernetes namespaces that say nothing else."""
    server: str = ""
    resolve: Sequence[str] = ()
    """``NAME=ADDRESS[,ADDRESS]``."""


def picture_of(source: Source) -> Picture:
    """The network, compiled here.

    Raises:
        IntentError: the manifests are malformed or not acceptable.
        StoreUnavailable: no controller answers.
        Usage: a name is resolved to no address.
    """
    from vneter_sdn.daemon.picture import Picture

    names = selecting.resolved(source.resolve)
    if source.offline:
        result = compiled(source.offline, source.tenant)
        picture = Picture(result.snapshot, result.compiler, result.hosted)
        picture.observe(names)
        return picture
    from vneter_sdn.cli.targets import connect
    from vneter_sdn.northbound.exports import snapshot_from

    with patience("reading the network, and compiling it"):
        snapshot = snapshot_from(connect(source.server).snapshot())
        return Picture.of_fleet(snapshot, names)


def reach(
    source: Source, ports: str, senders: Sequence[str], targets: Sequence[str], output: str
) -> None:
    """Print the matrix.

    Raises:
        Usage: a selector, port or format is none, or nothing of what is asked can be tried.
        Answer: a selector selects nobody.
    """
    how = form(output, FORMATS)
    wanted = selecting.ports(ports)
    for text in (*senders, *targets):
        selecting.Who(text)
    picture = picture_of(source)
    from vneter_sdn.daemon.reachability import matrix

    sides = [selecting.selected(picture, texts) for texts in (senders, targets)]
    outside = (str(end.address) == end.name for end in (*sides[0], *sides[1]))
    if all(outside) and all(sides):
        raise Usage("between two addresses outside there is nothing to ask", "name an endpoint")
    wanted = wanted or _usual(picture)
    rows = matrix(picture, sides[0], sides[1], wanted)
    if how.name == "json":
        _write_json(rows)
    elif how.name == "grid":
        _write_grid(list(rows), wanted)
    elif how.for_people:
        _write_table(list(rows))
    else:
        print(structured([_values(row) for row in rows], how))


def _write_json(rows: Iterable[Row]) -> None:
    """A list, a row to a line: it may be long."""
    before = "[\n"
    for row in rows:
        sys.stdout.write(before + streamed(_values(row), Form("json")))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _values(row: Row) -> dict[str, Any]:
    return {
        "from": row.source,
        "to": row.target,
        "port": row.port,
        "allowed": row.allowed,
        "rule": row.rule,
    }


def _write_table(rows: Sequence[Row]) -> None:
    words = {True: "yes", False: "no"}
    table = [["FROM", "TO", "PORT", "ALLOWED", "RULE"]]
    table += [[r.source, r.target, r.port, words[r.allowed], r.rule] for r in rows]
    print("\n".join(columns(table)))
    allowed = sum(row.allowed for row in rows)
    print(paint(f"{allowed} of {len(rows)} allowed", "bold"), file=sys.stderr)


def _write_grid(rows: Sequence[Row], ports: Sequence[Port]) -> None:
    """For each port a square: senders down, targets across by number."""
    targets = list(dict.fromkeys(row.target for row in rows))
    signs = {(row.source, row.target, row.port): "." if row.allowed else "X" for row in rows}
    numbers = [str(number) for number in range(1, len(targets) + 1)]
    for port in ports:
        print(paint(f"{port.name}: . allowed, X not", "bold"))
        lines = [["FROM \\ TO", *numbers]]
        for source in dict.fromkeys(row.source for row in rows):
            marks = [signs.get((source, target, port.name), " ") for target in targets]
            lines.append([source, *marks])
        print("\n".join(columns(lines)))
    print("\n".join(columns([*zip(numbers, targets, strict=True)])))


def _usual(picture: Picture) -> list[Port]:
    """The ports that policies and endpoints name."""
    words = {6: "tcp", 17: "udp", 132: "sctp"}
    found: set[tuple[str, int]] = set()
    tenants = {key.tenant for key in picture.snapshot.objects if key.kind == "Endpoint"}
    for tenant in tenants:
        for rule in picture.rules(tenant).values():
            for one in rule.ports or ():
                if one.protocol in words and not one.name and one.first:
                    found |= {(words[one.protocol], one.first), (words[one.protocol], one.last)}
    for key, stored in picture.snapshot.objects.items():
        if key.kind == "Endpoint":
            found |= {(one.protocol, one.port) for one in stored.spec.ports}
    names = [f"{protocol}/{number}" for protocol, number in sorted(found)]
    if len(names) > _MOST:
        told = (
            f"note: {len(names)} ports are named; the first {_MOST} are tried, --ports for others"
        )
        print(told, file=sys.stderr)
    return selecting.ports(",".join(names[:_MOST]) or _USUAL)
