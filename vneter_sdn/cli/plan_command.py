# SPDX-License-Identifier: Apache-2.0
"""``vneterctl plan``, its options; what it does is in `vneter_sdn.cli.planning`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import CLUSTER, SERVER, ClusterTenant, Server, Text
from vneter_sdn.cli.verify_command import Delete, Offline, Resolve, Verbose

EPILOG = """\b
Examples:
  vneterctl plan -f change.yaml                 of the controller's network
  vneterctl plan --offline DIR -f change.yaml -v
  vneterctl plan -f old.yaml --delete -o json
  vneterctl plan -f change.yaml --exit-code || echo something would change

\b
Told are the objects that a change creates, updates and deletes, what each
bridge would gain, lose and change, and who could open which connections that
could not before, or no longer. Nothing is changed anywhere.

\b
JSON: {"objects": {"created", "updated", "deleted"}, "bridges": {HOST: {"flows":
  {"added", "changed", "removed"}, "groups": .., "meters": .., "rows": {FIELD:
  [BEFORE, AFTER]}}}, "totals": {"flows": {"added": 2, ..}, ..}, "reachability":
  {"gained": [{"from", "to", "what"}], "lost": [..]}, "seconds"}
  Changed flows, groups and meters are [BEFORE, AFTER].

\b
Exit code: 0, whether or not anything would change; with --exit-code 1 when
something would. 1 when the change is refused, too."""


def plan(
    *,
    file: Annotated[
        list[str], typer.Option("-f", "--file", metavar="FILE", help="The change: manifests.")
    ],
    offline: Offline = [],  # noqa: B006 -- typer reads it, nobody writes it
    delete: Delete = False,
    reach: Annotated[bool, typer.Option(help="Tell what reachability is gained and lost.")] = True,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when something would change.")
    ] = False,
    resolve: Resolve = [],  # noqa: B006 -- typer reads it, nobody writes it
    cluster_tenant: ClusterTenant = CLUSTER,
    verbose: Verbose = False,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Show what a change would do to bridges, and to who reaches whom."""
    from vneter_sdn.cli import planning, reaching, trying

    where = reaching.Source(offline, cluster_tenant, server, resolve)
    told = planning.Told(output, verbose, reach, exit_code)
    planning.plan(trying.Asked(where, file, delete), told)
