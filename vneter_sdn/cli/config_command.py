# SPDX-License-Identifier: Apache-2.0
"""``vneterctl config``: controllers by name, in a file of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from vneter_sdn.cli.options import Named, NoHeaders, Text, epilog
from vneter_sdn.cli.output import NAMED, TEXT, form, structured
from vneter_sdn.cli.terminal import NOT_FOUND, Answer, Usage, columns, paint
from vneter_sdn.client import contexts
from vneter_sdn.client.contexts import Context
from vneter_sdn.errors import IntentError, NotFound

app = typer.Typer(
    name="config",
    help="Name controllers, and choose which one commands are about.",
    epilog=epilog(
        (
            ("vneterctl config set-context lab --server http://127.0.0.1:8181", ""),
            ("vneterctl config use-context lab", "what commands are about from now on"),
            ("vneterctl --context production status", "this once; VNETER_CONTEXT: in a shell"),
        ),
        "\b\nOf --server, --context, VNETER_SERVER, VNETER_CONTEXT and the current context, the"
        "\nfirst that is said counts. The file: ~/.config/vneter/contexts.toml, or VNETER_CONFIG.",
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
ContextName = Annotated[str, typer.Argument(metavar="CONTEXT", help="Its name.")]
_HIDDEN = "(hidden)"


@app.command(
    name="get-contexts", epilog=epilog((("vneterctl config get-contexts", "* is the current one"),))
)
def get_contexts(output: Named = "table", no_headers: NoHeaders = False) -> None:
    """List them."""
    how = form(output, NAMED, no_headers=no_headers)
    found = contexts.read_contexts()
    if how.name == "name":
        print("".join(f"{name}\n" for name in found.contexts), end="")
        return
    if not how.for_people:
        print(structured(_values(found), how))
        return
    rows = [] if no_headers else [["CURRENT", "NAME", "SERVER", "CREDENTIAL"]]
    for name, one in found.contexts.items():
        mark = "*" if name == found.current else ""
        rows.append([mark, name, one.server or "-", _credential(one)])
    if found.contexts:
        print("\n".join(columns(rows)))
    else:
        print(f"there are no contexts in {contexts.contexts_file()}")


@app.command(
    name="current-context", epilog=epilog((("vneterctl config current-context", "its name"),))
)
def current_context() -> None:
    """Say which one commands are about."""
    found = contexts.read_contexts()
    if not found.current:
        raise Usage("no context is the current one", "`vneterctl config use-context NAME`")
    print(found.current)


@app.command(name="use-context", epilog=epilog((("vneterctl config use-context production", ""),)))
def use_context(context: ContextName) -> None:
    """Choose the one that commands are about from now on."""

    def change(found: contexts.Contexts) -> contexts.Contexts:
        found.named(context)
        return replace(found, current=context)

    with _listed():
        contexts.change_contexts(change)
    print(f"commands are about {context} now")


@app.command(
    name="set-context",
    epilog=epilog(
        (
            ("vneterctl config set-context lab --server http://127.0.0.1:8181", ""),
            ("vneterctl config set-context prod --ca ca.pem --token-file t", "adds to it"),
            ("vneterctl config set-context prod --token - < token", "keeps the token itself"),
            ("vneterctl config set-context prod --token ''", "forgets it"),
        )
    ),
)
def set_context(
    context: ContextName,
    *,
    server: Annotated[
        str | None, typer.Option(help="https://HOST:PORT, http://HOST:PORT or unix:PATH.")
    ] = None,
    ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="Whom to trust; the system's when absent.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Our own, for mutual TLS.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="-", help="- reads it from standard input; '' forgets it.")
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="File to read it from each time.")
    ] = None,
) -> None:
    """Make a context, or change some of it."""
    from vneter_sdn.client.transport import address_of

    if server:
        try:
            address_of(server)
        except IntentError as error:
            raise Usage(error.problems[0].message, "nothing was changed") from None
    files = {"ca": ca, "certificate": certificate, "key": key, "token_file": token_file}
    given = {"server": server, "token": _secret(token)}
    given |= {field: _absolute(path) for field, path in files.items()}
    values = {field: value for field, value in given.items() if value is not None}
    contexts.change_contexts(lambda found: contexts.with_context(found, context, values))
    print(f"context {context} is set")


@app.command(name="delete-context", epilog=epilog((("vneterctl config delete-context lab", ""),)))
def delete_context(context: ContextName) -> None:
    """Forget a context and what it holds."""
    with _listed():
        contexts.change_contexts(lambda found: contexts.without(found, context))
    print(f"context {context} is deleted")


@app.command(epilog=epilog((("vneterctl config view", "tokens are not shown"),)))
def view(output: Text = "text") -> None:
    """Show all of them, without secrets."""
    how = form(output, TEXT)
    found = contexts.read_contexts()
    if not how.for_people:
        print(structured(_values(found), how))
        return
    print(f"file: {contexts.contexts_file()}")
    print(f"current: {found.current or '-'}")
    for name, one in found.contexts.items():
        print(paint(f"{name}:", "bold"))
        for field, value in _shown(one).items():
            print(f"  {field}: {value}")


@contextmanager
def _listed() -> Iterator[None]:
    """Say of a context that is not there where to look."""
    try:
        yield
    except NotFound as error:
        hint = "`vneterctl config get-contexts` lists them, `config set-context` makes one"
        raise Answer(NOT_FOUND, str(error), hint) from None


def _values(found: contexts.Contexts) -> dict[str, Any]:
    items = [
        {"name": name, "current": name == found.current, **_shown(one)}
        for name, one in found.contexts.items()
    ]
    return {"file": str(contexts.contexts_file()), "current": found.current, "items": items}


def _shown(one: Context) -> dict[str, str]:
    """What is set of a context, without secrets."""
    return {
        field: _HIDDEN if field in contexts.SECRETS else value
        for field, value in asdict(one).items()
        if value
    }


def _credential(one: Context) -> str:
    words = [
        *(["token"] if one.token or one.token_file else []),
        *(["certificate"] if one.certificate else []),
    ]
    return ", ".join(words) or "-"


def _absolute(path: str | None) -> str | None:
    import os

    return os.path.abspath(path) if path else path


def _secret(given: str | None) -> str | None:
    """A token from standard input: on a command line, everybody on the machine could read it."""
    if not given:
        return given
    if given != "-":
        raise Usage("a token on the command line is seen by all", "write `--token - < FILE`")
    import sys

    text = sys.stdin.readline(8193).strip()
    plain = text.isascii() and text.isprintable() and " " not in text
    if not plain or not text or len(text) > 8192:
        raise Usage(
            "standard input holds no token", "one line of printable characters, without spaces"
        )
    return text
