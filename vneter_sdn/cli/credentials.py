# SPDX-License-Identifier: Apache-2.0
"""What ``vneterctl token`` and ``vneterctl audit`` do."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from typing import Any

from vneter_sdn.cli.chains import pages
from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.terminal import CONFLICT, NOT_FOUND, UNREACHABLE, Answer, Usage, columns
from vneter_sdn.client.client import Client
from vneter_sdn.client.transport import Dropped
from vneter_sdn.errors import Conflict, NotFound
from vneter_sdn.model.instants import rfc3339

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def instant(text: str) -> str | None:
    """``30d``, ``12h``, ``1y`` from now as RFC 3339; None for ``never``.

    Raises:
        Usage: it is neither.
    """
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhdwy])", text, re.ASCII)
    if found is None:
        raise Usage(f"{text!r} is no time to live", "write 30m, 12h, 30d, 4w, 1y or never")
    return rfc3339(time.time() + int(found[1]) * _UNITS[found[2]])


def create(client: Client, asked: Mapping[str, Any], how: Form, *, dry_run: bool = False) -> None:
    """Issue a credential; a token goes to standard output, all else to standard error."""
    try:
        told = client.issue(asked, dry_run=dry_run)
    except Conflict as error:
        hint = "take another name, or `vneterctl token revoke` that one first"
        raise Answer(CONFLICT, str(error), hint) from None
    except Dropped as error:
        hint = "`vneterctl token list` says whether it was issued; if so, revoke it, and ask again"
        raise Answer(UNREACHABLE, str(error), hint) from None
    ends = f"until {told['expires']}" if told["expires"] else "for ever"
    if not how.for_people:
        print(structured(told, how), flush=True)
        return
    if dry_run:
        print(f"{told['name']} would be {_grants(told)}, {ends} (dry run)")
        return
    if told["token"] is None:
        print(f"whoever has the certificate {told['name']} is {_grants(told)}, {ends}")
        return
    print(told["token"], flush=True)
    if sys.stderr.isatty():
        note = f"{told['name']}: {_grants(told)}, {ends}; keep it, it is not shown again"
        print(note, file=sys.stderr)


def show(client: Client, how: Form) -> None:
    """List credentials."""
    found = client.credentials()
    if how.name == "name":
        print("".join(f"{one['name']}\n" for one in found), end="")
        return
    if not how.for_people:
        print(structured({"items": list(found)}, how))
        return
    rows = [["NAME", "SORT", "GRANTS", "EXPIRES", "ISSUED BY"]] if how.headers else []
    for one in found:
        sort = "certificate" if one["certificate"] else "token"
        ends = "expired" if one["expired"] else one["expires"] or "never"
        rows.append([one["name"], sort, _grants(one), ends, one["author"]])
    print("\n".join(columns(rows)) if found else "there are no credentials")


def revoke(client: Client, name: str, how: Form, *, dry_run: bool = False) -> None:
    """Revoke a credential."""
    try:
        told = client.revoke(name, dry_run=dry_run)
    except NotFound as error:
        raise Answer(NOT_FOUND, str(error), "`vneterctl token list` lists them") from None
    if not how.for_people:
        print(structured(told, how))
        return
    print(f"{told['name']} would be revoked (dry run)" if dry_run else f"{told['name']} is revoked")


def whoami(client: Client, how: Form) -> None:
    """Say who the server takes us for."""
    told = client.whoami()
    if how.for_people:
        print(f"{told['name']}: {_grants(told) or 'nothing'}")
    else:
        print(structured(told, how))


def audit(client: Client, how: Form, limit: int) -> None:
    """Print the newest entries of the audit log."""
    items: list[Mapping[str, Any]] = []
    for page in pages(client, limit):
        items += page
    if not how.for_people:
        print(structured({"items": items}, how))
        return
    rows = [["POSITION", "TIME", "WHO", "FROM", "WHAT", "OUTCOME"]] if how.headers else []
    for one in items:
        what = f"{one['action']} {one['object']}".strip()
        rows.append(
            [str(one["position"]), one["time"], one["author"], one["source"], what, one["outcome"]]
        )
    print("\n".join(columns(rows)) if items else "nothing is in the audit log")


def _grants(told: Mapping[str, Any]) -> str:
    return "; ".join(_grant(grant) for grant in told["grants"])


def _grant(grant: Mapping[str, Any]) -> str:
    gone = grant.get("gone") or ()
    names = [f"{name} (gone)" if name in gone else name for name in grant["tenants"]]
    where = "everywhere" if "*" in names else f"in {', '.join(names)}"
    verbs = f" ({', '.join(grant['verbs'])})" if grant.get("verbs") else ""
    return f"{grant['role']} {where}{verbs}"
