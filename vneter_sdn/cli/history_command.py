# SPDX-License-Identifier: Apache-2.0
"""``vneterctl history`` and ``vneterctl rollback``: their options."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import (
    SERVER,
    Command,
    Done,
    DryRun,
    Message,
    Named,
    NoHeaders,
    Server,
    Tenant,
)

LONGEST = 10**15
"""Beyond any number of a revision."""


def history(
    kind: Annotated[
        str, typer.Argument(metavar="[REVISION|KIND]", help="A revision, or an object's kind.")
    ] = "",
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="NAME, or TENANT/NAME.")] = "",
    *,
    revision: Annotated[
        int | None,
        typer.Option("--revision", metavar="REVISION", min=0, max=LONGEST, help="Show this one."),
    ] = None,
    author: Annotated[str, typer.Option("--author", help="Only what this author did.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most.")] = 20,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the digests of all; exit code 1 if broken.")
    ] = False,
    tenant: Tenant = "",
    output: Named = "table",
    no_headers: NoHeaders = False,
    server: Server = SERVER,
) -> None:
    """List who changed what, when and why; show one revision."""
    from vneter_sdn.cli import history as telling
    from vneter_sdn.cli import targets
    from vneter_sdn.cli.output import NAMED, form

    how = form(output, NAMED, no_headers=no_headers)
    asked = telling.asked(kind, name, tenant, revision, author=author, limit=limit, verify=verify)
    telling.tell(targets.connect(server), asked, how)


def rollback(
    revision: Annotated[
        int, typer.Argument(metavar="REVISION", min=0, max=LONGEST, help="0: the beginning.")
    ],
    dry_run: DryRun = False,
    message: Message = "",
    output: Done = "text",
    server: Server = SERVER,
) -> None:
    """Make all objects what they were at a revision, in a new one."""
    from vneter_sdn.cli import history as telling
    from vneter_sdn.cli import targets
    from vneter_sdn.cli.output import DONE, form

    how = form(output, DONE)
    telling.rollback(targets.connect(server), revision, message, dry_run, how)


COMMANDS = (
    Command(
        "history",
        history,
        (
            ("vneterctl history", "the newest revisions"),
            ("vneterctl history 42", "what one of them changed"),
            ("vneterctl history network red/web", "of one object"),
            ("vneterctl history --author ada@desk --limit 5", ""),
            ("vneterctl history --verify", "nothing was tampered with"),
            ("vneterctl history 42 -o yaml", ""),
            ("vneterctl history --limit 1 -o name", "the number alone, for rollback"),
        ),
    ),
    Command(
        "rollback",
        rollback,
        (
            ("vneterctl rollback 41 --dry-run", "shows what it would change"),
            ('vneterctl rollback 41 -m "the night was bad"', ""),
            ("vneterctl rollback 41 --dry-run -o json", "for programs"),
        ),
        "\b\nWhat comes back has the numbers and addresses it had, where nobody has them now."
        "\nA rollback is a revision itself: rolling back to the one before it undoes it.",
    ),
)
