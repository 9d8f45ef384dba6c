# SPDX-License-Identifier: Apache-2.0
"""``vneterctl run``: Ryu and os-ken programs, without any controller service."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer
from vneter_sdn.errors import IntentError, NotFound, SouthboundError

EPILOG = (
    "\b\nExamples:\n"
    "  vneterctl run apps/learning_switch.py\n"
    "  vneterctl run --observe-links apps/shortest_path.py\n"
    "  vneterctl run my_ryu_app.py ryu.topology.switches -- --my-option 3\n"
    "  ovs-vsctl set-controller s1 tcp:127.0.0.1:6653"
)
_REST_OF_LINE = "vneter_sdn.rest"
_QUIET = ("os_ken.base.app_manager", "os_ken.controller", "oslo_config.cfg", "routes")


class WithRest(TyperCommand):
    """A command whose words behind ``--`` are somebody else's options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take them away, then parse."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_REST_OF_LINE] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


CLASS = WithRest


def run(
    context: typer.Context,
    programs: Annotated[list[str], typer.Argument(help="Files, or names of modules.")],
    *,
    listen: Annotated[
        list[str],
        typer.Option(help="tcp:ADDRESS:PORT for switches; repeatable. [tcp:127.0.0.1:6653]"),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    observe_links: Annotated[
        bool, typer.Option("--observe-links", help="Find links by LLDP, for ryu.topology.")
    ] = False,
    wsapi_host: Annotated[str, typer.Option(help="Where ryu.app.wsgi listens.")] = "127.0.0.1",
    wsapi_port: Annotated[int, typer.Option(min=1, max=65535, help="And its port.")] = 8080,
    patience: Annotated[
        int, typer.Option(min=1, help="Seconds a handler may compute; longer ones are interrupted.")
    ] = 5,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log details.")] = False,
) -> None:
    """Run Ryu or os-ken programs, with no controller; theirs are options after --."""
    from vneter_sdn.southbound.openflow import programs as hosted

    _log(verbose)
    wish = hosted.Wish(
        programs=tuple(programs),
        listen=tuple(listen) or hosted.LISTEN,
        observe_links=observe_links,
        rest=f"{wsapi_host}:{wsapi_port}",
        patience=patience,
        options=tuple(context.meta[_REST_OF_LINE]),
    )
    try:
        hosted.run(wish)
    except NotFound as absent:
        hint = "give the path of a file, or the name of a module that Python finds"
        raise Answer(NOT_FOUND, str(absent), hint) from None
    except IntentError as refused:
        text = "; ".join(f"{problem.object} {problem.message}" for problem in refused.problems)
        raise Answer(REFUSED, text, "`vneterctl run --help` shows how") from None
    except SouthboundError as failed:
        raise Answer(REFUSED, str(failed), "with -v the log says more") from None


def _log(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
