# SPDX-License-Identifier: Apache-2.0
"""Commands that show what is."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import (
    SERVER,
    Command,
    Fields,
    Kind,
    Name,
    Named,
    NoHeaders,
    Output,
    Selector,
    Server,
    SortBy,
    Stream,
    Tenant,
    Text,
    Values,
)


def status(output: Values = "table", server: Server = SERVER) -> None:
    """Show everything on one screen; exit code 1 unless all is well."""
    from vneter_sdn.cli import summary, targets
    from vneter_sdn.cli.output import VALUES, form

    how = form(output, VALUES)
    summary.status(targets.connect(server), how)


def topology(
    file: Annotated[
        str,
        typer.Option("--topology", metavar="FILE", help="YAML, GML, JSON or XML; - for stdin."),
    ] = "",
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FORMAT",
            help="text, wide, json, yaml, dot, svg or jsonpath=TEMPLATE.",
        ),
    ] = "text",
    server: Server = SERVER,
) -> None:
    """Show, draw or convert the graph, or a topology file."""
    from vneter_sdn.cli import targets, topologies

    topologies.show(lambda: targets.connect(server), file, output)


def get(
    kind: Kind,
    name: Name = "",
    *,
    selector: Selector = "",
    fields: Fields = "",
    tenant: Tenant = "",
    output: Output = "table",
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Then tell what changes, until Ctrl-C.")
    ] = False,
    no_headers: NoHeaders = False,
    sort_by: SortBy = "",
    server: Server = SERVER,
) -> None:
    """List objects, or print one."""
    from vneter_sdn.cli import getting, targets
    from vneter_sdn.cli.output import form

    how = form(output, no_headers=no_headers, sort_by=sort_by)
    asked = getting.Asked(kind, name, tenant, selector, fields)
    if watch:
        from vneter_sdn.cli import watching

        watching.watch(targets.connect(server), asked, how)
    else:
        getting.get(targets.connect(server), asked, how)


def describe(kind: Kind, name: Name, tenant: Tenant = "", server: Server = SERVER) -> None:
    """Tell all about one object."""
    from vneter_sdn.cli import getting, targets

    getting.describe(targets.connect(server), kind, name, tenant)


def kinds(output: Named = "table", no_headers: NoHeaders = False) -> None:
    """List the kinds of objects."""
    from vneter_sdn.cli import explaining
    from vneter_sdn.cli.output import NAMED, form

    explaining.kinds(form(output, NAMED, no_headers=no_headers))


def explain(
    subject: Annotated[str, typer.Argument(metavar="KIND[.FIELD]", help="network.spec.vni")],
    output: Text = "text",
) -> None:
    """Say what a kind and its fields mean."""
    from vneter_sdn.cli import explaining
    from vneter_sdn.cli.output import TEXT, form

    explaining.explain(subject, form(output, TEXT))


def events(
    kind: Annotated[str, typer.Argument(help="Only of this kind.")] = "",
    name: Name = "",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="Of the last 90s, 5m, 2h.")
    ] = "1h",
    tenant: Tenant = "",
    output: Stream = "text",
    server: Server = SERVER,
) -> None:
    """Tell what happened: changes of objects and of their conditions."""
    from vneter_sdn.cli import happening, targets
    from vneter_sdn.cli.output import TEXT, form

    how = form(output, TEXT)
    asked = happening.Asked(kind, name, tenant, targets.seconds(since), follow)
    happening.events(targets.connect(server), asked, how)


def logs(
    process: Annotated[
        str, typer.Argument(help="supervisor, core, api, prover or database; all when absent.")
    ] = "",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    level: Annotated[
        str, typer.Option("--level", help="debug, info, warning or error, and above.")
    ] = "debug",
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="Of the last 90s, 5m, 2h.")
    ] = "",
    tail: Annotated[int, typer.Option("--tail", min=0, help="Only the last lines; 0: all.")] = 0,
    state_dir: Annotated[
        str, typer.Option(envvar="VNETER_STATE_DIR", help="As `vneterctl up --state-dir`.")
    ] = "/var/lib/vneter",
    output: Stream = "text",
) -> None:
    """Show the log of the controller on this machine."""
    from vneter_sdn.cli import logbook, targets
    from vneter_sdn.cli.output import TEXT, form

    how = form(output, TEXT)
    age = targets.seconds(since) if since else None
    asked = logbook.Asked(process, level, age, tail, follow)
    logbook.show(state_dir, asked, how)


COMMANDS = (
    Command(
        "status",
        status,
        (
            ("vneterctl status", "everything, and what to do about it"),
            ("vneterctl status -o json", "for programs"),
            ("vneterctl status -o jsonpath='{.revision}'", ""),
        ),
    ),
    Command(
        "topology",
        topology,
        (
            ("vneterctl topology", "hosts, links, and how they are"),
            ("vneterctl topology -o svg > now.svg", "a picture"),
            ("vneterctl topology --topology FILE -o json", "converts a file; no controller"),
        ),
    ),
    Command(
        "get",
        get,
        (
            ("vneterctl get endpoints -t red -o wide", ""),
            ("vneterctl get endpoints -l 'app in (web,db)' -o name", ""),
            ("vneterctl get ep --field-selector status.conditions[Ready]=False", ""),
            ("vneterctl get network red/web -o yaml > web.yaml", "can be applied again"),
            ("vneterctl get networks -o jsonpath='{.items[*].status.vni}'", ""),
            ("vneterctl get hosts --sort-by metadata.created --no-headers", ""),
            ("vneterctl get endpoints --watch", "a line for each that changes"),
        ),
    ),
    Command("describe", describe, (("vneterctl describe endpoint red/a", ""),)),
    Command(
        "kinds",
        kinds,
        (
            ("vneterctl kinds", "with short names: `get ep` lists endpoints"),
            ("vneterctl kinds -o jsonpath='{.items[*].plural}'", ""),
        ),
    ),
    Command(
        "explain",
        explain,
        (
            ("vneterctl explain network", "every field"),
            ("vneterctl explain network.spec.mtu", "one of them; `net.mtu` will do"),
            ("vneterctl explain policy.ingress", "of the members of a list"),
            ("vneterctl explain network -o jsonpath='{.items[*].path}'", ""),
        ),
    ),
    Command(
        "events",
        events,
        (
            ("vneterctl events", "of the last hour"),
            ("vneterctl events -f --since 0s", "from now on"),
            ("vneterctl events endpoint red/a --since 24h", "of one object"),
            ("vneterctl events -f -o json", "a JSON object a line"),
            ("vneterctl events -o jsonpath='{.about}{\": \"}{.reason}'", ""),
        ),
    ),
    Command(
        "logs",
        logs,
        (
            ("vneterctl logs -f", "of every process, as it is written"),
            ("vneterctl logs core --level warning --since 10m", ""),
            ("vneterctl logs --tail 20 -o json", ""),
        ),
    ),
)
