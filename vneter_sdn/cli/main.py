# SPDX-License-Identifier: Apache-2.0
"""``vneterctl``: declare what the network should be, and see what it is.

Only what ``--help`` needs is imported here; each command imports the rest when it runs.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import vneter_sdn
from vneter_sdn.cli import line
from vneter_sdn.cli.catalogue import HOMES, NESTED, register, within
from vneter_sdn.cli.options import epilog
from vneter_sdn.cli.terminal import EXIT_CODES, INTERRUPTED, REFUSED, USAGE, outcome, report

_PARTS = {
    "Declare": ("apply", "diff", "delete", "edit", "label", "annotate", "wait", "drain"),
    "Look": ("status", "topology", "get", "describe", "events", "logs", "kinds", "explain"),
    "Look back": ("history", "rollback"),
    "Prove": ("verify", "plan", "reachability", "trace", "recompute", "compile"),
    "Plan": ("path", "te"),
    "Run": ("up", "fleet", "run"),
    "Set up": ("config", "token", "audit", "completion"),
}
"""Commands as `--help` groups them; a test says when one is missing."""
_EXAMPLES = (
    ("vneterctl up", "the controller and its database"),
    ("vneterctl fleet up --hosts 3", "three real hosts on this machine"),
    ("vneterctl apply -f topologies/demo", "a file, a directory, or -"),
    ("vneterctl get endpoints -t red -o wide", "-o json, yaml, name; --watch"),
    ("vneterctl status", "everything, and what to do about it"),
    ("vneterctl explain network.spec.mtu", "what a field means"),
    ("vneterctl plan -f change.yaml", "flows that would change; -v"),
    ("vneterctl verify -f change.yaml", "proves it, for all packets"),
    ("vneterctl trace --from A --to B --tcp 80", "why, by which tables; --live"),
    ("vneterctl events -f", "what happens, as it does"),
)
_EPILOG = epilog(
    _EXAMPLES,
    "\n".join(["\b\nExit codes:", *(f"  {code:<4}{text}" for code, text in EXIT_CODES)])
    + "\n\n\b\n`vneterctl COMMAND --help` shows examples of each.",
    width=41,
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


def _everywhere(
    context: Annotated[
        str,
        typer.Option(
            "--context",
            metavar="NAME",
            help="Which controller; anywhere on the line. `vneterctl config` has them.",
        ),
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass  # `line.read` took the context


def app_of(word: str) -> typer.Typer:
    """The program, with the one command that a word names, or with all where it names none."""
    made = typer.Typer(
        name="vneterctl",
        cls=_Grouped,
        help="Declare what the network should be, and see what it is.",
        epilog=_EPILOG,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    made.callback()(_everywhere)
    every = (*HOMES, *NESTED)
    for name in (word,) if word in every else every:
        register(made, name)
    return made


_COLLECTION = (50_000, 20, 20)
"""Thresholds of the cyclic collector, as the core has them: what a command reads and compiles lives
until it ends, and with Python's own a third of the time goes into looking through it."""
_CommandError: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer's root of errors in command lines; it has no public name."""


def program(*path: str) -> Any:
    """What typer makes of the whole program, or of one of `NESTED`."""
    return typer.main.get_command(within(path[0]) if path else app_of(""))


def command(name: str) -> Any:
    """What typer makes of one command; None where there is none of that name."""
    known = name in HOMES or name in NESTED
    return typer.main.get_command(app_of(name)).commands[name] if known else None


def main() -> None:
    """Run the command line of this process and exit."""
    for name in ("stdout", "stderr"):  # where whoever started us closed one, nobody reads it
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    gc.set_threshold(*_COLLECTION)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    before = line.chosen.set("")
    try:
        code = _ended(arguments)
        sys.stdout.flush()  # whatever it ended with; at exit nobody would be told
    except BrokenPipeError:
        return _unread()
    except SystemExit as over:  # typer's own answer to a closed pipe
        return _unread() if isinstance(over.__context__, BrokenPipeError) else REFUSED
    except OSError as error:
        return _unwritten(error)
    finally:
        line.chosen.reset(before)
    return code


def _ended(arguments: list[str]) -> int:
    """The exit code of a command line, once its error was told.

    Raises:
        OSError: something could not be read or written.
    """
    try:
        if arguments[:1] == [line.ASK]:
            from vneter_sdn.cli.completion_command import answer

            return answer(arguments[1:])
        context, words = line.read(arguments)
        line.chosen.set(context)
        words = words or ["--help"]
        code = app_of(words[0])(args=words, prog_name="vneterctl", standalone_mode=False)
    except _CommandError as error:
        return _wrong(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # outcome() raises what is not for users
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            raise
        code, lines, hint = outcome(error)
        report(lines, hint)
    return code if isinstance(code, int) else 0


def _unread() -> int:
    """Of a command whose reader, `head` say, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _unwritten(error: OSError) -> int:
    """Of a command that could not write, or read, what it had to: a disk is full, say."""
    where = f"{error.filename}: " if error.filename else "cannot write what this answers: "
    report([f"{where}{error.strerror or error}"])
    _unread()  # what is left of it cannot be written either
    return REFUSED


def _wrong(error: Exception) -> int:
    text = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vneterctl"
    more = "one -f for each file, or -f DIRECTORY; " if "unexpected extra" in text else ""
    takes_files = any(
        one.name == "file" for one in getattr(getattr(context, "command", None), "params", ())
    )
    report([text], f"{more if takes_files else ''}`{path} --help` shows how")
    return USAGE
