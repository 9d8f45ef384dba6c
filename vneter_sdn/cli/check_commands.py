# SPDX-License-Identifier: Apache-2.0
"""Commands that compute again what the controller computed."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import CLUSTER, SERVER, ClusterTenant, Command, Files, Server, Values
from vneter_sdn.cli.terminal import Usage


def recompute(
    check: Annotated[bool, typer.Option("--check", help="Compare, change nothing.")] = False,
    output: Values = "table",
    server: Server = SERVER,
) -> None:
    """Compare the controller's state with a fresh one."""
    from vneter_sdn.cli import recompute as recomputing
    from vneter_sdn.cli import targets
    from vneter_sdn.cli.output import VALUES, form

    how = form(output, VALUES)
    if not check:
        raise Usage("recompute only checks", "add --check")
    recomputing.check(targets.connect(server), how)


def compile_files(
    file: Files,
    output: Annotated[str, typer.Option("-o", "--output", help="Directory to write to.")],
    cluster_tenant: ClusterTenant = CLUSTER,
) -> None:
    """Compile manifests offline, without any server."""
    from vneter_sdn.cli import compiling

    compiling.compile_files(file, output, cluster_tenant)


COMMANDS = (
    Command(
        "recompute",
        recompute,
        (
            ("vneterctl recompute --check", "exit code 1: differs"),
            ("vneterctl recompute --check -o jsonpath='{.items[*].verdict}'", ""),
        ),
    ),
    Command(
        "compile",
        compile_files,
        (
            ("vneterctl compile -f DIR -o out", "the flows of each host, as text"),
            ("vneterctl compile -f flows/scenarios/overlapping-tenants -o out", ""),
        ),
    ),
)
