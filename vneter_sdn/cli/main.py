# SPDX-License-Identifier: Apache-2.0
"""``vneterctl``: declare what the network should be, and see what it is.

Only what ``--help`` needs is imported here; each command imports the rest when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import vneter_sdn
from vneter_sdn.cli import (
    path_command,
    plan_command,
    reach_command,
    running,
    te_command,
    trace_command,
    up_command,
    verify_command,
)
from vneter_sdn.cli.terminal import EXIT_CODES, USAGE, Usage, outcome, report

_PARTS = {
    "Declare": ("apply", "delete", "wait", "drain"),
    "Look": ("status", "topology", "get", "describe", "kinds", "explain"),
    "Prove": ("verify", "plan", "reachability", "trace", "recompute", "compile"),
    "Plan": ("path", "te"),
    "Run": ("up", "fleet", "run"),
}
"""Commands as `--help` groups them; a test says when one is missing."""
_EXAMPLES = (
    ("vneterctl up", "the controller and its database"),
    ("vneterctl fleet up --hosts 3", "three real hosts on this machine"),
    ("vneterctl apply -f topologies/demo", "a file, a directory, or - for stdin"),
    ("vneterctl get endpoints -t red -o wide", "-o json, yaml, name; -l app=web"),
    ("vneterctl wait endpoint red/web1", "--for=Ready is what it waits for"),
    ("vneterctl drain link h1-h2", "until nothing uses it; --undo"),
    ("vneterctl status", "everything, and what to do about it"),
    ("vneterctl topology -o svg", "a picture; --topology FILE: offline"),
    ("vneterctl explain network.spec.mtu", "what a field means"),
    ("vneterctl plan -f change.yaml", "what it would do; -v"),
    ("vneterctl verify -f change.yaml", "proves it, for all packets"),
    ("vneterctl compile -f DIR -o out", "flows, without a controller"),
    ("vneterctl reachability --offline DIR", "who reaches whom; -o json"),
    ("vneterctl trace --from A --to B --tcp 80", "why, by which tables; --live"),
    ("vneterctl path red/web1 red/db1", "edge by edge; --topology: offline"),
    ("vneterctl te --topology FILE", "paths and weights; -o json"),
)
_EPILOG = "\n".join(
    [
        "\b\nExamples:",
        *(f"  {command:<40}{meaning}" for command, meaning in _EXAMPLES),
        "\n\b\nExit codes:",
        *(f"  {code}  {text}" for code, text in EXIT_CODES),
    ]
)


class _Grouped(TyperGroup):
    """Commands by what they are for, in the order of `_PARTS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each part."""
        for part, names in _PARTS.items():
            with formatter.section(part):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(70)) for name in names]
                )


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vneterctl {vneter_sdn.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="vneterctl",
    cls=_Grouped,
    help="Declare what the network should be, and see what it is.",
    epilog=_EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Server = Annotated[
    str, typer.Option("--server", envvar="VNETER_SERVER", help="http://HOST:PORT or unix:PATH.")
]
Files = Annotated[
    list[str],
    typer.Option("-f", "--file", help="Manifest file, directory, or - for standard input."),
]
Kind = Annotated[str, typer.Argument(help="network, networks, net, in any case.")]
Name = Annotated[str, typer.Argument(help="NAME, or TENANT/NAME.")]
Tenant = Annotated[str, typer.Option("-t", "--tenant", help="The tenant it belongs to.")]
Selector = Annotated[str, typer.Option("-l", "--selector", help="a=b,c!=d,e in (x,y),f,!g")]
ClusterTenant = Annotated[
    str, typer.Option(envvar="VNETER_CLUSTER_TENANT", help="Tenant of Kubernetes namespaces.")
]
CLUSTER = "cluster"
_SERVER = "http://127.0.0.1:8181"


@app.callback()
def _everywhere(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def apply(
    file: Files,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, write nothing.")] = False,
    message: Annotated[str, typer.Option("-m", "--message", help="Why, for the journal.")] = "",
    server: Server = _SERVER,
) -> None:
    """Create or replace objects, in one transaction."""
    from vneter_sdn.cli import objects, targets

    objects.apply(targets.connect(server), file, message, dry_run)


@app.command()
def get(
    kind: Kind,
    name: Name = "",
    selector: Selector = "",
    tenant: Tenant = "",
    output: Annotated[
        str, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")
    ] = "table",
    server: Server = _SERVER,
) -> None:
    """List objects, or print one."""
    from vneter_sdn.cli import objects, targets

    objects.get(targets.connect(server), kind, name, tenant, selector, output)


@app.command()
def describe(kind: Kind, name: Name, tenant: Tenant = "", server: Server = _SERVER) -> None:
    """Tell all about one object."""
    from vneter_sdn.cli import objects, targets

    objects.describe(targets.connect(server), kind, name, tenant)


@app.command()
def delete(
    kind: Annotated[str, typer.Argument(help="Its kind; none with -f.")] = "",
    name: Name = "",
    file: Files = [],  # noqa: B006 -- typer reads it, nobody writes it
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="What is not there is no error.")
    ] = False,
    tenant: Tenant = "",
    server: Server = _SERVER,
) -> None:
    """Delete one object, or those that manifests describe."""
    from vneter_sdn.cli import objects, targets

    if bool(file) == bool(kind) or bool(kind) != bool(name):
        raise Usage("delete what?", "write `delete KIND NAME` or `delete -f FILE`")
    client = targets.connect(server)
    if file:
        objects.delete_files(client, file, ignore_missing=ignore_not_found)
    else:
        objects.delete(client, kind, name, tenant, ignore_missing=ignore_not_found)


@app.command()
def wait(
    kind: Kind,
    name: Name = "",
    *,
    condition: Annotated[str, typer.Option("--for", help="A condition, or `deleted`.")] = "Ready",
    timeout: Annotated[str, typer.Option("--timeout", help="90, 90s, 5m or 1h.")] = "60s",
    selector: Selector = "",
    everything: Annotated[bool, typer.Option("--all", help="All objects of the kind.")] = False,
    tenant: Tenant = "",
    server: Server = _SERVER,
) -> None:
    """Wait until a condition of objects is True."""
    from vneter_sdn.cli import objects, targets

    client = targets.connect(server)
    keys = objects.selected(client, kind, name, tenant, selector, everything)
    objects.wait(client, keys, condition, timeout)


@app.command()
def drain(
    what: Annotated[str, typer.Argument(help="link or bridge.")],
    name: Annotated[str, typer.Argument(help="Of the link, or of the bridge's host.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Use it again.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until nothing uses it.")] = True,
    timeout: Annotated[str, typer.Option("--timeout", help="90, 90s, 5m or 1h.")] = "5m",
    server: Server = _SERVER,
) -> None:
    """Take a link or bridge out of use; say when it is empty.

    New connections avoid it at once; those that began on a policy's path over it
    have two minutes to end, then they are moved.
    """
    from vneter_sdn.cli import draining, targets

    limit = targets.seconds(timeout)
    draining.drain(targets.connect(server), what, name, undo=undo, timeout=limit if wait else None)


@app.command()
def status(
    output: Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")] = "table",
    server: Server = _SERVER,
) -> None:
    """Show everything on one screen; exit code 1 unless all is well."""
    from vneter_sdn.cli import summary, targets

    summary.status(targets.connect(server), output)


@app.command()
def topology(
    file: Annotated[
        str,
        typer.Option("--topology", metavar="FILE", help="YAML, GML, JSON or XML; - for stdin."),
    ] = "",
    output: Annotated[
        str, typer.Option("-o", "--output", help="text, wide, json, yaml, dot or svg.")
    ] = "text",
    server: Server = _SERVER,
) -> None:
    """Show, draw or convert the graph, or a topology file."""
    from vneter_sdn.cli import targets, topologies

    topologies.show(lambda: targets.connect(server), file, output)


@app.command()
def kinds() -> None:
    """List the kinds of objects."""
    from vneter_sdn.cli import explaining

    explaining.kinds()


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(metavar="KIND[.FIELD]", help="network.spec.vni")],
) -> None:
    """Say what a kind and its fields mean."""
    from vneter_sdn.cli import explaining

    explaining.explain(subject)


@app.command()
def recompute(
    check: Annotated[bool, typer.Option("--check", help="Compare, change nothing.")] = False,
    server: Server = _SERVER,
) -> None:
    """Compare the controller's state with a fresh one."""
    from vneter_sdn.cli import recompute as recomputing
    from vneter_sdn.cli import targets

    if not check:
        raise Usage("recompute only checks", "add --check")
    recomputing.check(targets.connect(server))


@app.command(name="compile")
def compile_(
    file: Files,
    output: Annotated[str, typer.Option("-o", "--output", help="Directory to write to.")],
    cluster_tenant: ClusterTenant = CLUSTER,
) -> None:
    """Compile manifests offline, without any server."""
    from vneter_sdn.cli import compiling

    compiling.compile_files(file, output, cluster_tenant)


app.command(epilog=verify_command.EPILOG)(verify_command.verify)
app.command(epilog=plan_command.EPILOG)(plan_command.plan)
app.command(epilog=reach_command.EPILOG)(reach_command.reachability)
app.command(epilog=trace_command.EPILOG)(trace_command.trace)
app.command(epilog=path_command.EPILOG)(path_command.path)
app.command(epilog=te_command.EPILOG)(te_command.te)


app.command()(up_command.up)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def fleet(context: typer.Context) -> None:
    """Run real OVS hosts on this machine."""
    from vneter_sdn.cli.fleet import app as fleet_app

    code = fleet_app(
        args=context.args or ["--help"], prog_name="vneterctl fleet", standalone_mode=False
    )
    if isinstance(code, int) and code:
        raise typer.Exit(code)


app.command(cls=running.WithRest, epilog=running.EPILOG)(running.run)


_CommandError: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer's root of errors in command lines; it has no public name."""


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        code = app(args=arguments or ["--help"], prog_name="vneterctl", standalone_mode=False)
        sys.stdout.flush()
    except _CommandError as error:
        return _wrong(error)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 -- outcome() raises what is not for users
        code, lines, hint = outcome(error)
        report(lines, hint)
    return code if isinstance(code, int) else 0


def _wrong(error: Exception) -> int:
    text = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vneterctl"
    report([text], f"`{path} --help` shows how")
    return USAGE
