# SPDX-License-Identifier: Apache-2.0
"""Options and arguments that several commands take, and how commands are declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

SERVER = ""
"""The default of `Server`: the context's, else ``http://127.0.0.1:8181``."""
CLUSTER = "cluster"

Server = Annotated[
    str,
    typer.Option(
        "--server", envvar="VNETER_SERVER", help="https://HOST:PORT, http://HOST:PORT or unix:PATH."
    ),
]
Files = Annotated[
    list[str],
    typer.Option(
        "-f", "--file", metavar="FILE", help="Manifests: a file, a directory, or - for stdin."
    ),
]
Kind = Annotated[str, typer.Argument(help="network, networks, net, in any case.")]
Name = Annotated[str, typer.Argument(help="NAME, or TENANT/NAME.")]
Tenant = Annotated[str, typer.Option("-t", "--tenant", help="The tenant it belongs to.")]
Selector = Annotated[str, typer.Option("-l", "--selector", help="a=b,c!=d,e in (x,y),f,!g")]
Fields = Annotated[
    str,
    typer.Option(
        "--field-selector", help="spec.network=web,status.conditions[Ready]=False; all must hold."
    ),
]
ClusterTenant = Annotated[
    str, typer.Option(envvar="VNETER_CLUSTER_TENANT", help="Tenant of Kubernetes namespaces.")
]
Message = Annotated[str, typer.Option("-m", "--message", help="Why, for the journal.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="The controller checks everything, and writes nothing.")
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT",
        help="table, wide, json, yaml, name or jsonpath=TEMPLATE.",
    ),
]
Values = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FORMAT", help="table, json, yaml or jsonpath=TEMPLATE."
    ),
]
Named = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FORMAT", help="table, json, yaml, name or jsonpath=TEMPLATE."
    ),
]
Text = Annotated[
    str,
    typer.Option("-o", "--output", metavar="FORMAT", help="text, json, yaml or jsonpath=TEMPLATE."),
]
Done = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FORMAT", help="text, json, yaml, name or jsonpath=TEMPLATE."
    ),
]
Stream = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT",
        help="text, json, yaml or jsonpath=TEMPLATE: one after the other.",
    ),
]
NoHeaders = Annotated[bool, typer.Option("--no-headers", help="Only the rows of the table.")]
SortBy = Annotated[
    str, typer.Option("--sort-by", metavar="PATH", help="spec.vni; -spec.vni is the other way.")
]


def epilog(examples: Sequence[tuple[str, str]], more: str = "", width: int = 46) -> str:
    """What ``--help`` ends with.

    Args:
        examples: command lines, and what they do.
        more: paragraphs that follow, each beginning with a backspace where its lines are to stay.
        width: of command lines, to have what they do in a column.
    """
    lines = [f"  {line:<{width - 2}}  {told}".rstrip() for line, told in examples]
    return "\n".join(["\b", "Examples:", *lines]) + (f"\n\n{more}" if more else "")


class Command(NamedTuple):
    """One command, as `main` registers it."""

    name: str
    run: Callable[..., Any]
    examples: Sequence[tuple[str, str]]
    more: str = ""

    @property
    def epilog(self) -> str:
        """What its ``--help`` ends with."""
        return epilog(self.examples, self.more)
