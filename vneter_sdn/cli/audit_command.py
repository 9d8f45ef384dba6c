# SPDX-License-Identifier: Apache-2.0
"""``vneterctl audit``, its options."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import SERVER, NoHeaders, Server, Values, epilog

EPILOG = epilog(
    (
        ("vneterctl audit", "the newest entries"),
        ("vneterctl audit --limit 1000 -o json", "for a program"),
        ("vneterctl audit --verify", "recomputes every digest; exit code 1 if one is wrong"),
        ("vneterctl audit --verify --kept d9b2…", "and whether a head of before is still there"),
    ),
    "\b\nWhat was changed, and by whom, is in the history (`vneterctl history`); here is who was"
    "\nrefused, and who issued or revoked credentials. Whoever can write the whole database can"
    "\ncut off the end of it, or forge it all: keep the heads that --verify prints elsewhere.",
)


def audit(
    verify: Annotated[
        bool, typer.Option("--verify", help="Whether this log and the history are whole.")
    ] = False,
    kept: Annotated[
        list[str],
        typer.Option(metavar="HEAD", help="That --verify printed before; repeatable."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    limit: Annotated[int, typer.Option(help="Entries, at most.", min=1, max=100_000)] = 50,
    output: Values = "table",
    no_headers: NoHeaders = False,
    server: Server = SERVER,
) -> None:
    """Show who was refused, and who let others in."""
    from vneter_sdn.cli import chains, credentials, targets
    from vneter_sdn.cli.output import VALUES, form

    how = form(output, VALUES, no_headers=no_headers)
    if verify or kept:
        chains.verify(targets.connect(server), kept)
    else:
        credentials.audit(targets.connect(server), how, limit)
