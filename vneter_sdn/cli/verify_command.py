# SPDX-License-Identifier: Apache-2.0
"""``vneterctl verify``, its options; what it does is in `vneter_sdn.cli.proving`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import CLUSTER, SERVER, ClusterTenant, Server, Text

EPILOG = """\b
Examples:
  vneterctl verify                              what the controller has now
  vneterctl verify -f change.yaml               what a change makes of it
  vneterctl verify --offline DIR -f change.yaml -o json
  vneterctl verify --offline DIR --check isolation,assertions

\b
Proven on the flows that bridges hold or would hold, for all packets and not
for samples:
  policies     who may open connections to whom is what policies say: no
               rule is missing, in another place, wider or narrower
  answers      connections get their answers, and go on: each bridge remembers
               them, in a zone that no other tenant's are in
  isolation    nobody reaches another tenant, or a port that is nobody's, or
               anybody in another's name
  loops        no packet goes round
  black-holes  what is for somebody arrives, unless a policy drops it; of what
               cannot be forwarded, the controller is told
  shadowed     every flow, and every rule of a policy, is met by some packet
  conflicts    no two flows, or rules of one priority, contradict each other
  assertions   every Assertion holds: who can, or cannot, open which
               connections, by which hosts, within which regions
isolation and loops whatever the connection tracker says; black-holes and
assertions for connections that begin, with every link up.

\b
With -f: what the change touches is proven, all else is as it was; and in
place of policies it is told which connections it makes possible or
impossible. --full proves all that is there after it. Nothing is changed.

\b
JSON: {"holds", "checks", "findings": [{"check", "kind", "about", "packet":
  {"host", "words", "text", "fields", "granted"}, "bridges", "trail": [{"host",
  "table", "flow", "rule"}], "flows"}], "endpoints", "assertions", "seconds",
  with -f also "followed": endpoints of which packets were followed again, and
  "reachability": {"gained": [{"from", "to", "what"}], "lost": [..]}}

\b
Exit code: 0 all is proven, 1 something does not hold or the change is refused."""

Offline = Annotated[
    list[str],
    typer.Option(metavar="PATH", help="Manifests that are there, in place of a controller's."),
]
Change = Annotated[
    list[str], typer.Option("-f", "--file", metavar="FILE", help="The change: manifests.")
]
Delete = Annotated[bool, typer.Option("--delete", help="The change deletes what FILE describes.")]
Resolve = Annotated[
    list[str], typer.Option(metavar="NAME=ADDRESS", help="What a DNS name is; repeatable.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Every flow and line.")]


def verify(
    *,
    file: Change = [],  # noqa: B006 -- typer reads it, nobody writes it
    offline: Offline = [],  # noqa: B006 -- typer reads it, nobody writes it
    delete: Delete = False,
    check: Annotated[
        list[str], typer.Option(metavar="CHECKS", help="Some of the checks below; else all.")
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    full: Annotated[bool, typer.Option("--full", help="All, not only what it touches.")] = False,
    resolve: Resolve = [],  # noqa: B006 -- typer reads it, nobody writes it
    cluster_tenant: ClusterTenant = CLUSTER,
    verbose: Verbose = False,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Prove isolation, delivery and assertions for all packets."""
    from vneter_sdn.cli import proving, reaching, trying

    where = reaching.Source(offline, cluster_tenant, server, resolve)
    asked = trying.Asked(where, file, delete)
    proving.verify(asked, check, output, full=full, verbose=verbose)
