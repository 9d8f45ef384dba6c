# SPDX-License-Identifier: Apache-2.0
"""``vneterctl get`` and ``describe``."""

from __future__ import annotations

from typing import NamedTuple

from vneter_sdn.cli import rendering
from vneter_sdn.cli.output import Form
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.targets import key_named, kind_named
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Manifest
from vneter_sdn.model.kinds import Kind


class Asked(NamedTuple):
    """Which objects."""

    kind: str
    name: str = ""
    tenant: str = ""
    selector: str = ""
    fields: str = ""

    def found(self) -> Kind:
        """Their kind.

        Raises:
            Usage: there is none, or the rest makes no sense.
        """
        kind = kind_named(self.kind)
        if self.name and (self.selector or self.fields):
            message = "a name and a selector together select nothing more"
            raise Usage(message, "give one of them")
        if self.tenant and not kind.tenanted:
            message = f"objects of kind {kind.name} belong to no tenant"
            raise Usage(message, "leave out --tenant")
        return kind


def get(client: Client, asked: Asked, how: Form) -> None:
    """Print objects."""
    kind = asked.found()
    with patience(f"reading {kind.plural}"):
        items = read(client, kind, asked)
    text = rendering.render(kind, items, how, single=bool(asked.name))
    if text:  # of nothing, programs read no line
        print(text, end="" if text.endswith("\n") else "\n")


def read(client: Client, kind: Kind, asked: Asked) -> list[Manifest]:
    """The objects asked for."""
    if asked.name:
        return [client.get(*key_named(kind, asked.name, asked.tenant))]
    return list(client.iterate(kind.name, asked.tenant or None, asked.selector, asked.fields))


def describe(client: Client, kind: str, name: str, tenant: str) -> None:
    """Print one object for reading."""
    key = key_named(kind_named(kind), name, tenant)
    with patience(f"reading {key}"):
        manifest = client.get(*key)
    print(rendering.prose(manifest))
