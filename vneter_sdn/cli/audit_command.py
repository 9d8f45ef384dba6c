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
    ),
    "\b\nWhat was changed, and by whom, is in the history (`vneterctl history`); here is who was"
    "\nrefused, and who issued or revoked credentials.",
)


def audit(
    verify: Annotated[
        bool, typer.Option("--verify", help="Whether this log and the history are whole.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Entries, at most.", min=1, max=100_000)] = 50,
    output: Values = "table",
    no_headers: NoHeaders = False,
    server: Server = SERVER,
) -> None:
    """Show who was refused, and who let others in."""
    from vneter_sdn.cli import credentials, targets
    from vneter_sdn.cli.output import VALUES, form

    how = form(output, VALUES, no_headers=no_headers)
    credentials.audit(targets.connect(server), how, limit, verify=verify)
