# SPDX-License-Identifier: Apache-2.0
"""``vneterctl reachability``, its options; what it does is in `vneter_sdn.cli.reaching`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import SERVER, Server
from vneter_sdn.cli.terminal import Usage

_SELECTORS = """\b
SEL: names and addresses, any of them; and labels, all of them; joined by commas.
  x/a             endpoint a of namespace x (a Pod); web/*, */a, * for many
  red/web1        endpoint web1 of tenant red, if it is in no namespace
  red/x/a         the same with its tenant, where namespaces have the same name
  198.51.100.7    whoever has the address; else somebody outside
  www.example.com whoever has an address that endpoints were told it is
  app=web         labels: also app!=web, app in (a,b), app notin (a), !app
  ns:team=a       labels of its namespace, likewise
  label:app       has the label; ns:team likewise
  x/*,app=web     in namespace x, and with the label"""
EPILOG = f"""\b
Examples:
  vneterctl reachability --offline DIR --ports tcp/80,udp/53 -o json
  vneterctl reachability --from 'ns:team=a' --to 'x/*,app=web'
  vneterctl reachability --from 198.51.100.7 --to db/* --ports tcp/5432
  vneterctl reachability --offline k8s/ --offline more.yaml -o grid

{_SELECTORS}

\b
Ports: tcp/80, udp/53, sctp/9, icmp (icmp/8), icmp/3/1, icmpv6/128; 6:tcp/80
  goes by IPv6, else by IPv4 where both ends have it. Without --ports: those
  that policies and endpoints name, or tcp/80.

\b
JSON: [{{"from", "to", "port", "allowed", "rule"}}], for every ordered pair and
  port. Endpoints are namespace/pod, or tenant/name when they are in no
  namespace; tenant/namespace/pod where two tenants have the same ones.
  "rule" is who decided, as it was written: "NetworkPolicy x/p ingress[0]" (of
  an allowed pair the rules of both directions), "NetworkPolicy x/p (isolates
  ingress)", default, self, host (its own), tenants (they are of two), not
  attached, no such address, or not delivered.

\b
Where it is asked: on the flows that bridges hold, first packet by first packet,
and never on policies. Offline, hosts and addresses are made up where manifests
of Kubernetes declare none."""


def reachability(
    *,
    ports: Annotated[str, typer.Option(metavar="PORTS", help="tcp/80,udp/53")] = "",
    source: Annotated[
        list[str], typer.Option("--from", metavar="SEL", help="Who begins; repeatable.")
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    target: Annotated[
        list[str], typer.Option("--to", metavar="SEL", help="Who is spoken to; repeatable.")
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    offline: Annotated[
        list[str],
        typer.Option(metavar="PATH", help="Manifests, a file or directory; repeatable."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="More for --offline.")
    ] = None,
    resolve: Annotated[
        list[str],
        typer.Option(metavar="NAME=ADDRESS", help="What a DNS name is; repeatable."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    cluster_tenant: Annotated[
        str,
        typer.Option(envvar="VNETER_CLUSTER_TENANT", help="Offline: tenant of Kubernetes'."),
    ] = "cluster",
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FORMAT",
            help="table, grid, json, yaml or jsonpath=TEMPLATE.",
        ),
    ] = "table",
    server: Server = SERVER,
) -> None:
    """Show who reaches whom, and by which rule."""
    if more and not offline:
        raise Usage(f"what of {more[0]!r}?", "write --offline before files and directories")
    from vneter_sdn.cli import reaching

    where = reaching.Source([*offline, *(more or ())], cluster_tenant, server, resolve)
    reaching.reach(where, ports, source, target, output)
