# SPDX-License-Identifier: Apache-2.0
"""Which commands there are, and where. A command line imports and builds the one that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import typer

HOMES: Mapping[str, str] = {
    **dict.fromkeys(
        ("apply", "diff", "delete", "edit", "label", "annotate", "wait", "drain"),
        "declare_commands",
    ),
    **dict.fromkeys(
        ("status", "topology", "get", "describe", "events", "logs", "kinds", "explain"),
        "look_commands",
    ),
    **dict.fromkeys(("recompute", "compile"), "check_commands"),
    **dict.fromkeys(("history", "rollback"), "history_command"),
    "verify": "verify_command",
    "plan": "plan_command",
    "reachability": "reach_command",
    "trace": "trace_command",
    "path": "path_command",
    "te": "te_command",
    "up": "up_command",
    "run": "running",
    "audit": "audit_command",
    "completion": "completion_command",
}
"""Modules of `vneter_sdn.cli`, by command. One has ``COMMANDS``, or ``EPILOG`` and a function of
the command's name, and ``CLASS`` where it is not typer's own."""
NESTED: Mapping[str, tuple[str, str]] = {
    "fleet": ("fleet", "Run real OVS hosts on this machine."),
    "config": ("config_command", "Name controllers, and choose which one is meant."),
    "token": ("token_command", "Say who may use the controller, and for what."),
}
"""Modules and meanings of those that have commands of their own; each has ``app``."""
_WITHIN = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer, name: str) -> None:
    """Make a command known to a program."""
    if name in NESTED:
        add = app.command(
            name=name, help=NESTED[name][1], add_help_option=False, context_settings=_WITHIN
        )
        add(_pass_on)
        return
    module = _module(HOMES[name])
    for one in getattr(module, "COMMANDS", ()):
        if one.name == name:
            app.command(name=name, epilog=one.epilog)(one.run)
            return
    run: Callable[..., Any] = getattr(module, name)
    app.command(name=name, epilog=module.EPILOG, cls=getattr(module, "CLASS", None))(run)


def within(name: str) -> typer.Typer:
    """The program that one of `NESTED` is."""
    found: typer.Typer = _module(NESTED[name][0]).app
    return found


def _pass_on(context: typer.Context) -> None:
    name = context.info_name or ""
    words = context.args or ["--help"]
    code = within(name)(args=words, prog_name=f"vneterctl {name}", standalone_mode=False)
    if isinstance(code, int) and code:
        raise typer.Exit(code)


def _module(name: str) -> Any:
    return import_module(f"vneter_sdn.cli.{name}")
