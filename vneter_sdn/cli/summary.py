# SPDX-License-Identifier: Apache-2.0
"""``vneterctl status``: everything on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vneter_sdn.cli.rendering import age, structured
from vneter_sdn.cli.terminal import Usage, columns, paint
from vneter_sdn.northbound.client import Client

_CORE = {True: ("running", "green"), False: ("not heard of", "red"), None: ("not known", "yellow")}


def status(client: Client, form: str) -> None:
    """Print the summary.

    Raises:
        Usage: no such format.
    """
    summary = client.status()
    if form in {"json", "yaml"}:
        print(structured(summary, form))
    elif form == "table":
        print("\n".join(lines(summary)))
    else:
        raise Usage(f"no output format {form!r}", "it is one of table, json, yaml")


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The summary as text."""
    last = summary["lastChange"]
    change = f", last changed {age(last['time'])} ago by {last['author']}" if last else ""
    core, colour = _CORE[summary["core"]]
    rows = [["KIND", "TOTAL", "READY", "NOT READY"]]
    for kind, tally in summary["kinds"].items():
        rows.append([kind, *(str(tally[name]) for name in ("total", "ready", "notReady"))])
    text = [
        f"vneter {summary['version']}, revision {summary['revision']}{change}",
        f"core: {paint(core, colour)}",
        "",
        *columns(rows),
    ]
    waiting = [[_name(one["object"]), one["reason"], one["message"]] for one in summary["notReady"]]
    if waiting:
        text += ["", *columns([["NOT READY", "REASON", "MESSAGE"], *waiting])]
    if summary["notReadyOmitted"]:
        text.append(f"and {summary['notReadyOmitted']} more")
    return text


def _name(reference: Mapping[str, str]) -> str:
    tenant = reference.get("tenant")
    name = f"{tenant}/{reference['name']}" if tenant else reference["name"]
    return f"{reference['kind'].lower()}/{name}"
