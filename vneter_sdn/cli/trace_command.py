# SPDX-License-Identifier: Apache-2.0
"""``vneterctl trace``, its options; what it does is in `vneter_sdn.cli.tracing`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import SERVER, Server, Text

EPILOG = """\b
Examples:
  vneterctl trace --from x/a --to y/b --tcp 80
  vneterctl trace --from red/web1 --to 10.0.2.5 --icmp --live
  vneterctl trace --from 198.51.100.7 --to x/a --udp 53 --offline k8s/
  vneterctl trace --from x/a --to db.example.com --tcp 5432 -o json
  vneterctl trace --from x/a --to y/b --tcp 80 --inject
  vneterctl trace --from x/a --to y/b --icmp -6 --inject -o json

\b
Endpoints are namespace/pod, or tenant/name; addresses are whoever has them,
else somebody outside, of whom only the policies about the other end are asked.
DNS names are what endpoints of the sender's tenant were told, for rules go by
that; what they were not told is looked up here. Offline, say it by --resolve.

\b
--live puts the same packet to ofproto/trace on the real bridges, hop by hop,
where their control socket is on this machine, and compares: tables, flows and
ports. A new connection is assumed on both sides each time it is tracked.

\b
--inject does that too, and sends one marked packet (a SYN, a datagram, an INIT
or an echo request) into the bridge by the sender's port. Every bridge tells
each table that it comes to. It goes through flows, groups, connection tracking
and tunnels as they are, and is dropped at the port of whom it is for: no
workload gets it, and no policy answers or logs it, though rules count it. One
at a time, one a second; at most 64 bridges look, for 10 seconds at most.
The three must agree.

\b
JSON: {"from", "to", "port", "allowed", "rule", "egress": SIDE, "ingress": SIDE,
  "packet", "hops": [HOP], "cost", "delivered": {"host", "port"} or null, "note",
  "live": LIVE, with --live; "inject": INJECT, "verdicts" with --inject}
SIDE: {"because": rule, isolation, default, host or unasked, "title", "passes",
  "verdict", "stages": [tiered, isolation, baseline]}
HOP: {"host", "bridge", "packet", "tables": [{"table", "id", "priority",
  "cookie", "match", "actions", "of"}], "rewrites": [{"field", "before",
  "after"}], "sent": [{"port", "host", "edge", "medium", "cost", "latencyMs"}],
  "drops": [{"table", "reason"}]}
LIVE: {"agrees", "allowed" (null: not all could be asked), "differences",
  "hops": [{"host", "asked", "why", "tables", "ports", "assumed",
  "differences"}]}
INJECT: {"agrees", "allowed" (null: not all bridges looked), "rule", "ended",
  "packet", "delivered", "differences", "hops": [{"host", "looked", "why",
  "edge", "tables", "assumed", "differences"}]}
"verdicts": {"agree", "model": VERDICT, "live": VERDICT, "inject": VERDICT}
VERDICT: {"allowed", "where", "rule"}

\b
Exit code 0 whether it gets there or not; 1 when the bridges and the model
disagree, or there is nothing to inject; 4 when others trace all the time, 5 when
the sender's bridge is away."""


def trace(
    *,
    source: Annotated[str, typer.Option("--from", metavar="END", help="Endpoint or address.")],
    target: Annotated[
        str, typer.Option("--to", metavar="END", help="Endpoint, address or DNS name.")
    ],
    tcp: Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65535)] = None,
    udp: Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65535)] = None,
    sctp: Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65535)] = None,
    icmp: Annotated[bool, typer.Option("--icmp", help="An echo request.")] = False,
    six: Annotated[bool, typer.Option("-6", help="By IPv6.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Ask the real bridges, too.")] = False,
    inject: Annotated[
        bool, typer.Option("--inject", help="Send a marked packet through the live data plane.")
    ] = False,
    offline: Annotated[
        list[str],
        typer.Option(metavar="PATH", help="Manifests, a file or directory; repeatable."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    resolve: Annotated[
        list[str],
        typer.Option(metavar="NAME=ADDRESS", help="What a DNS name is; repeatable."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    cluster_tenant: Annotated[
        str,
        typer.Option(envvar="VNETER_CLUSTER_TENANT", help="Offline: tenant of Kubernetes'."),
    ] = "cluster",
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Follow one packet: who decides, and every table and edge."""
    from vneter_sdn.cli import reaching, tracing

    where = reaching.Source(offline, cluster_tenant, server, resolve)
    chosen = {"tcp": tcp, "udp": udp, "sctp": sctp, "icmp": 8 if icmp else None}
    asked = tracing.Question(source, target, chosen, six=six, live=live, inject=inject)
    tracing.answer(asked, where, output)
