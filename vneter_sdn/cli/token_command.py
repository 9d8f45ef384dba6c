# SPDX-License-Identifier: Apache-2.0
"""``vneterctl token``: who may use the controller from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vneter_sdn.cli.options import SERVER, DryRun, Named, NoHeaders, Server, Text, Values, epilog

app = typer.Typer(
    name="token",
    help="Issue, list and revoke bearer tokens, and say what holders of certificates may do.",
    epilog=epilog(
        (
            ("vneterctl token create ci --role editor --tenant red > ci.token", ""),
            ("vneterctl token create CN=ada --certificate --role viewer", ""),
            ("vneterctl token list", "never shows secrets"),
            ("vneterctl token revoke ci", "at once"),
        ),
        width=66,
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
CredentialName = Annotated[
    str, typer.Argument(metavar="NAME", help="Of the token; CN=… or URI=… of a certificate.")
]


@app.command(
    epilog=epilog(
        (
            ("vneterctl token create ci --role editor --tenant red > ci.token", ""),
            ("vneterctl token create grafana --verbs get,list --expires 1y", ""),
            ("vneterctl config set-context prod --token-file ci.token", "uses it"),
            ("vneterctl token create ci -o jsonpath='{.expires}' --dry-run", "json, yaml"),
        ),
        "\b\nThe token is printed this once; only its digest is kept.",
        width=66,
    )
)
def create(
    name: CredentialName,
    *,
    role: Annotated[str, typer.Option(help="viewer, editor or admin.")] = "viewer",
    tenant: Annotated[
        list[str],
        typer.Option("-t", "--tenant", help="Where it counts; repeatable. Everywhere if none is."),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    verbs: Annotated[
        str, typer.Option(metavar="get,list,…", help="Fewer verbs than the role has.")
    ] = "",
    expires: Annotated[str, typer.Option(help="30d, 12h, 1y or never.")] = "90d",
    certificate: Annotated[
        bool, typer.Option("--certificate", help="Of whoever has the certificate of that name.")
    ] = False,
    dry_run: DryRun = False,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Issue a token and print it, alone, on standard output."""
    from vneter_sdn.cli import credentials, targets
    from vneter_sdn.cli.output import TEXT, form

    how = form(output, TEXT)

    asked: dict[str, Any] = {"name": name, "role": role, "tenants": list(tenant)}
    asked["verbs"] = [verb.strip() for verb in verbs.split(",") if verb.strip()]
    asked["expires"] = credentials.instant(expires)
    asked["certificate"] = certificate
    credentials.create(targets.connect(server), asked, how, dry_run=dry_run)


@app.command(name="list", epilog=epilog((("vneterctl token list -o json", ""),)))
def list_(output: Named = "table", no_headers: NoHeaders = False, server: Server = SERVER) -> None:
    """List credentials, without secrets."""
    from vneter_sdn.cli import credentials, targets
    from vneter_sdn.cli.output import NAMED, form

    credentials.show(targets.connect(server), form(output, NAMED, no_headers=no_headers))


@app.command(epilog=epilog((("vneterctl token revoke ci", "requests under way end, too"),)))
def revoke(
    name: CredentialName,
    dry_run: DryRun = False,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Revoke a credential, at once."""
    from vneter_sdn.cli import credentials, targets
    from vneter_sdn.cli.output import TEXT, form

    how = form(output, TEXT)
    credentials.revoke(targets.connect(server), name, how, dry_run=dry_run)


@app.command(epilog=epilog((("vneterctl token whoami", "and what one may do"),)))
def whoami(output: Values = "table", server: Server = SERVER) -> None:
    """Say who the controller takes us for."""
    from vneter_sdn.cli import credentials, targets
    from vneter_sdn.cli.output import VALUES, form

    credentials.whoami(targets.connect(server), form(output, VALUES))
