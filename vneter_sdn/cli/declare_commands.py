# SPDX-License-Identifier: Apache-2.0
"""Commands that say what the network should be; what they do is in `vneter_sdn.cli.objects`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from vneter_sdn.cli.options import (
    SERVER,
    Command,
    Done,
    DryRun,
    Files,
    Kind,
    Message,
    Name,
    Selector,
    Server,
    Tenant,
    Text,
)
from vneter_sdn.cli.terminal import Usage


def apply(
    file: Files,
    dry_run: DryRun = False,
    message: Message = "",
    output: Done = "text",
    server: Server = SERVER,
) -> None:
    """Create or replace objects, in one transaction."""
    from vneter_sdn.cli import objects, targets
    from vneter_sdn.cli.output import DONE, form

    how = form(output, DONE)
    objects.apply(targets.connect(server), file, message, dry_run, how)


def diff(
    file: Files,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Compare files with what is stored."""
    from vneter_sdn.cli import comparing, targets
    from vneter_sdn.cli.output import TEXT, form

    comparing.diff(targets.connect(server), file, form(output, TEXT))


def delete(
    kind: Annotated[str, typer.Argument(help="Its kind; none with -f.")] = "",
    name: Name = "",
    *,
    file: Files = [],  # noqa: B006 -- typer reads it, nobody writes it
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="What is not there is no error.")
    ] = False,
    dry_run: DryRun = False,
    message: Message = "",
    tenant: Tenant = "",
    output: Done = "text",
    server: Server = SERVER,
) -> None:
    """Delete one object, or those that manifests describe."""
    from vneter_sdn.cli import objects, targets
    from vneter_sdn.cli.output import DONE, form

    if bool(file) == bool(kind) or bool(kind) != bool(name):
        raise Usage("delete what?", "write `delete KIND NAME` or `delete -f FILE`")
    how = objects.Deleting(ignore_not_found, dry_run, form(output, DONE), message)
    client = targets.connect(server)
    if file:
        objects.delete_files(client, file, how)
    else:
        objects.delete(client, targets.key_named(targets.kind_named(kind), name, tenant), how)


def edit(
    kind: Kind,
    name: Name,
    dry_run: DryRun = False,
    message: Message = "",
    tenant: Tenant = "",
    server: Server = SERVER,
) -> None:
    """Change one object in an editor."""
    from vneter_sdn.cli import editing, targets

    key = targets.key_named(targets.kind_named(kind), name, tenant)
    editing.edit(targets.connect(server), key, message, dry_run=dry_run)


Pairs = Annotated[
    list[str], typer.Argument(metavar="[NAME] KEY=VALUE|KEY-...", help="What to set, or to remove.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace values that are there.")]
Everything = Annotated[bool, typer.Option("--all", help="All objects of the kind.")]


def _setter(what: Literal["labels", "annotations"]) -> Callable[..., None]:
    """The command that sets ``labels``, or ``annotations``."""

    def change(
        kind: Kind,
        pairs: Pairs,
        *,
        overwrite: Overwrite = False,
        selector: Selector = "",
        everything: Everything = False,
        dry_run: DryRun = False,
        message: Message = "",
        tenant: Tenant = "",
        output: Done = "text",
        server: Server = SERVER,
    ) -> None:
        from vneter_sdn.cli import labelling, targets
        from vneter_sdn.cli.output import DONE, form

        which = labelling.Which(kind, tenant, selector, everything)
        how = labelling.How(what, overwrite, dry_run, form(output, DONE), message)
        labelling.change(targets.connect(server), which, pairs, how)

    change.__doc__ = f"Set and remove {what} of objects."
    return change


label, annotate = _setter("labels"), _setter("annotations")


def wait(
    kind: Kind,
    name: Name = "",
    *,
    condition: Annotated[str, typer.Option("--for", help="A condition, or `deleted`.")] = "Ready",
    timeout: Annotated[str, typer.Option("--timeout", help="90, 90s, 5m or 1h.")] = "60s",
    selector: Selector = "",
    everything: Everything = False,
    tenant: Tenant = "",
    server: Server = SERVER,
) -> None:
    """Wait until a condition of objects is True."""
    from vneter_sdn.cli import objects, targets

    client = targets.connect(server)
    keys = objects.selected(client, kind, name, tenant, selector, everything)
    objects.wait(client, keys, condition, timeout)


def drain(
    what: Annotated[str, typer.Argument(help="link or bridge.")],
    name: Annotated[str, typer.Argument(help="Of the link, or of the bridge's host.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Use it again.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until nothing uses it.")] = True,
    timeout: Annotated[str, typer.Option("--timeout", help="90, 90s, 5m or 1h.")] = "5m",
    dry_run: DryRun = False,
    server: Server = SERVER,
) -> None:
    """Take a link or bridge out of use; say when it is empty.

    New connections avoid it at once; those that began on a policy's path over it
    have two minutes to end, then they are moved.
    """
    from vneter_sdn.cli import draining, targets

    limit = targets.seconds(timeout)
    client = targets.connect(server)
    if dry_run:
        draining.try_out(client, what, name, undo=undo)
    else:
        draining.drain(client, what, name, undo=undo, timeout=limit if wait else None)


COMMANDS = (
    Command(
        "apply",
        apply,
        (
            ("vneterctl apply -f topologies/demo", "a file, a directory, or - for stdin"),
            ("vneterctl apply -f net.yaml -m 'ticket 7'", "says why, in the history"),
            ("vneterctl apply -f net.yaml --dry-run=server", "checks everything, writes nothing"),
            ("vneterctl apply -f net.yaml -o jsonpath='{.revision}'", "json, yaml, name"),
        ),
    ),
    Command(
        "diff",
        diff,
        (
            ("vneterctl diff -f net.yaml", "what apply would change of what is stored"),
            ("vneterctl diff -f DIR || vneterctl apply -f DIR", ""),
            ("vneterctl diff -f - < net.yaml", ""),
        ),
        "\b\nExit code: 0 when nothing differs, 1 when something does, as of `kubectl diff`; also 1"
        "\nwhen the manifests are refused, then with an error. `plan` tells about flows.",
    ),
    Command(
        "delete",
        delete,
        (
            ("vneterctl delete network red/web", ""),
            ("vneterctl delete -f net.yaml --ignore-not-found", "what the file describes"),
            ("vneterctl delete network red/web -m 'ticket 7'", "says why, in the history"),
            ("vneterctl delete tenant red --dry-run", "whether it could be"),
        ),
    ),
    Command(
        "edit",
        edit,
        (
            ("vneterctl edit network red/web", "in $VISUAL, else $EDITOR, else vi"),
            ("EDITOR=nano vneterctl edit host h1 -m 'a new NIC'", ""),
        ),
        "\b\nWhat is refused is opened again, with the reasons above it; what somebody else changed"
        "\nmeanwhile, too. Without a change, or emptied, it is given up. Nothing typed is lost: the"
        "\nfile is kept, and named, whenever it was not applied.",
    ),
    Command(
        "label",
        label,
        (
            ("vneterctl label endpoint red/a app=web", ""),
            ("vneterctl label endpoint red/a app=db --overwrite", ""),
            ("vneterctl label endpoint red/a app-", "removes it"),
            ("vneterctl label host --all site=lyon --dry-run", ""),
        ),
    ),
    Command(
        "annotate",
        annotate,
        (
            ("vneterctl annotate host h1 'note=second PSU is broken'", ""),
            ("vneterctl annotate host h1 note-", "removes it"),
        ),
    ),
    Command(
        "wait",
        wait,
        (
            ("vneterctl wait endpoint red/web1", "--for=Ready is what it waits for"),
            ("vneterctl wait endpoint --all -t red --timeout 5m", ""),
            ("vneterctl wait network red/web --for=deleted", ""),
        ),
    ),
    Command(
        "drain",
        drain,
        (
            ("vneterctl drain link h1-h2", "until nothing uses it"),
            ("vneterctl drain bridge h3 --timeout 10m", "before its host is restarted"),
            ("vneterctl drain link h1-h2 --undo", ""),
        ),
    ),
)
