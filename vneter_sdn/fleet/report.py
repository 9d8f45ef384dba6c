# SPDX-License-Identifier: Apache-2.0
"""Probes, streams and hosts as tables for people and documents for programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vneter_sdn.fleet.expectation import Finding, Question
from vneter_sdn.fleet.lifecycle import HostStatus
from vneter_sdn.fleet.probe import ProbeReport
from vneter_sdn.fleet.strands import LinkStatus
from vneter_sdn.fleet.stream import StreamReport
from vneter_sdn.fleet.topology import Impairment

_SIGN = {
    Finding.REACHED: ("●", "green"),
    Finding.SILENT: ("·", "dim"),
    Finding.UNREACHABLE: ("○", "bold red"),
    Finding.MISTAKEN: ("?", "bold red"),
    Finding.LEAK: ("!", "bold white on red"),
}
_MEANING = {
    Finding.REACHED: "reached the one it must",
    Finding.SILENT: "nobody answered, as it must be",
    Finding.UNREACHABLE: "no answer, though there must be one",
    Finding.MISTAKEN: "another workload of the tenant answered or heard it",
    Finding.LEAK: "another tenant's workload answered or heard it",
}
_SEVERITY = {
    finding: place
    for place, finding in enumerate(
        (
            Finding.SILENT,
            Finding.REACHED,
            Finding.UNREACHABLE,
            Finding.MISTAKEN,
            Finding.LEAK,
        )
    )
}
_SHOWN = 20
_BRIEF = 10
"""Above so many workloads, a cell shows only the worst of its findings."""


def matrix(report: ProbeReport) -> RenderableType:
    """Expected versus seen: a row per source, a column per target, a sign per question."""
    cells: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in report.findings:
        cells[question.source, question.target].append(question)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("from \\ to")
    for number in range(1, len(report.peers) + 1):
        table.add_column(f"{number}", justify="center", no_wrap=True)
    brief = len(report.peers) > _BRIEF
    for number, source in enumerate(report.peers, 1):
        row = [Text(f"{number} {source.identity}", no_wrap=True)]
        row += [_cell(report, cells[source.identity, to.identity], brief) for to in report.peers]
        table.add_row(*row)
    return Group(table, _legend(report)) if report.peers else Text()


def _cell(report: ProbeReport, asked: Sequence[Question], brief: bool) -> Text:
    """A sign per question, a gap between families; only the worst one if it must be brief."""
    text = Text()
    found = [(question.family, report.findings[question]) for question in asked]
    found.sort(key=lambda pair: pair[0])
    if brief and found:
        found = [max(found, key=lambda pair: _SEVERITY[pair[1]])]
    family = 0
    for version, finding in found:
        if family and version != family:
            text.append(" ")
        family = version
        text.append(*_SIGN[finding])
    return text


def _legend(report: ProbeReport) -> Text:
    order = dict.fromkeys(f"{q.protocol}{f'/{q.port}' if q.port else ''}" for q in report.findings)
    families = sorted({q.family for q in report.findings})
    text = Text(f"in a cell, for IPv{' and IPv'.join(map(str, families))}: {', '.join(order)}\n")
    for finding, count in counts(report).items():
        sign, style = _SIGN[finding]
        text.append(sign, style)
        text.append(f" {count} {_MEANING[finding]}\n")
    return text


def counts(report: ProbeReport) -> dict[Finding, int]:
    """How many questions came out how."""
    counted = Counter(report.findings.values())
    return {finding: counted[finding] for finding in Finding if counted[finding]}


def verdict(report: ProbeReport) -> Text:
    """One line that says whether all agree, and the differences, if there are any."""
    total, wrong = len(report.findings), len(report.differences)
    if report.good:
        said = f"PASS: all {total} probes agree with what is expected ({report.seconds:.1f} s)"
        return Text(said, "bold green")
    text = Text(f"FAIL: {wrong} of {total} probes differ from what is expected", "bold red")
    if not total:
        return Text("FAIL: nothing to probe: fewer than two workloads", "bold red")
    for question in report.differences[:_SHOWN]:
        text.append(f"\n  {difference(report, question)}", "not bold red")
    if wrong > _SHOWN:
        text.append(f"\n  and {wrong - _SHOWN} more (-o json shows all)")
    return text


def difference(report: ProbeReport, question: Question) -> str:
    """One question whose outcome is not the expected one, in words."""
    seen = report.seen[question]
    way = f"{question.protocol}{f'/{question.port}' if question.port else ''}"
    heard = f", heard by {', '.join(sorted(seen.heard))}" if seen.heard else ""
    return (
        f"{question.source} -> {question.target} {question.address} {way}: "
        f"expected {report.wanted[question] or 'nobody'}, "
        f"seen {seen.answered or seen.error or 'nobody'}{heard} ({report.findings[question]})"
    )


def probe_document(report: ProbeReport) -> dict[str, Any]:
    """A probe as JSON."""
    return {
        "good": report.good,
        "probes": len(report.findings),
        "seconds": round(report.seconds, 3),
        "findings": {str(finding): count for finding, count in counts(report).items()},
        "results": [
            {
                "source": question.source,
                "target": question.target,
                "address": question.address,
                "protocol": question.protocol,
                "port": question.port or None,
                "expected": report.wanted[question],
                "seen": report.seen[question].answered,
                "heard": sorted(report.seen[question].heard),
                "error": report.seen[question].error or None,
                "milliseconds": report.seen[question].milliseconds,
                "finding": str(finding),
            }
            for question, finding in report.findings.items()
        ],
    }


def status_table(hosts: Sequence[HostStatus], seen: Mapping[str, Mapping[str, Any]]) -> Table:
    """How the hosts are, and what a controller says of them.

    Args:
        hosts: from `lifecycle.status`.
        seen: the controller's ``hosts`` of ``GET /v1/status`` by name; empty when none answers.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("HOST", "DAEMONS", "NAMESPACE", "UNDERLAY"):
        table.add_column(heading, no_wrap=True)
    for heading in ("CONTROLLER", "TUNNELS UP", "WORKLOADS"):
        table.add_column(heading)
    for host in hosts:
        told = seen.get(host.name)
        tunnels = f"{told['tunnels']['up']}/{told['tunnels']['total']}" if told else "-"
        table.add_row(
            host.name,
            Text("run", "green") if host.ready else Text(_lacking(host), "red"),
            host.netns,
            ", ".join(host.addresses + host.wires) or "-",
            _told(told),
            tunnels,
            ", ".join(host.workloads) or "-",
        )
    return table


def link_table(links: Sequence[LinkStatus]) -> Table:
    """How links are, and what their relays do."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("LINK", "KIND", "STATE", "INTERFACES", "RELAY"):
        table.add_column(heading, no_wrap=heading != "RELAY")
    for link in links:
        style = {"up": "green", "broken": "red"}.get(link.state, "yellow")
        interfaces = " - ".join(link.interfaces)
        table.add_row(
            link.name, link.kind, Text(link.state, style), interfaces, _does(link.impairment)
        )
    return table


def _does(impairment: Impairment | None) -> str:
    if impairment is None:
        return "-"
    said = [f"{impairment.delay:g} ms" if impairment.delay else ""]
    said += [f"± {impairment.jitter:g} ms" if impairment.jitter else ""]
    said += [f"{impairment.loss * 100:g} % lost" if impairment.loss else ""]
    said += [f"{impairment.rate:g} Mbit/s" if impairment.rate else ""]
    return ", ".join(filter(None, said))


def _lacking(host: HostStatus) -> str:
    daemons = {"ovsdb-server": host.ovsdb_pid, "ovs-vswitchd": host.vswitchd_pid}
    dead = [name for name, pid in daemons.items() if not pid]
    return f"no {', '.join(dead)}" if dead else "half made"


def _told(host: Mapping[str, Any] | None) -> Text:
    if host is None:
        return Text("-")
    if host["ready"] == "True":
        return Text("in sync", "green")
    broken = "not in sync" if host["openflow"].startswith("OpenFlow1") else host["openflow"]
    return Text(broken if host["database"] == "Connected" else host["database"], "red")


def stream_line(report: StreamReport) -> str:
    """A stream in one line."""
    return (
        f"sent {report.sent}, received {report.received}, lost {report.lost}, "
        f"duplicates {report.duplicates}, out of order {report.out_of_order}, "
        f"longest gap {report.longest_gap * 1000:.0f} ms"
    )
