# SPDX-License-Identifier: Apache-2.0
"""The form of a topology file: what every reader makes, and what is written.

The fields and their units are those of `topologies/README.md`. Nothing here is checked beyond
types; `build` does that.
"""

from __future__ import annotations

from typing import Literal

import msgspec

DEFAULT_MTU = 1600
"""Bytes of an IP packet on the underlay: an inner 1500 and any encapsulation fit."""


Encapsulation = Literal["", "geneve", "vxlan", "gre"]


class Node(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a file says about a node beyond its name."""

    label: str = ""
    """What people call it: ``New York``."""
    id: str = ""
    """What the file it comes from calls it: ``0``."""
    at: tuple[float, float] | None = None
    """Longitude and latitude in degrees, or x and y of any plane, y upward."""
    site: str = ""
    region: str = ""
    tags: tuple[str, ...] = ()
    drained: bool = False


class Link(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
):
    """A link between two nodes, both ways unless it says otherwise."""

    ends: tuple[str, str]
    ports: tuple[str, str] | None = None
    """Names of the interfaces at both ends."""
    medium: Literal["wire", "tunnel"] | None = None
    """A graph takes a link that does not say for a wire, a fleet for a tunnel."""
    capacity: float | None = None
    """Mbit/s each way."""
    latency: float | None = None
    """One-way delay in milliseconds."""
    jitter: float | None = None
    """How far the delay strays, in milliseconds; for laboratories."""
    loss: float = 0.0
    """Share of packets lost, 0 to 1."""
    cost: int | float = 1
    price: float = 0.0
    """Per gigabyte."""
    mtu: int | None = None
    encrypted: bool = False
    encapsulation: Encapsulation = ""
    """Of a tunnel; geneve when empty."""
    tags: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    """Shared-risk groups."""
    one_way: bool = False
    """From the first end to the second only; two of them, opposite, are one asymmetric link."""
    disabled: bool = False
    drained: bool = False


class Demand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one node sends to another."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    mbps: float
    """Mbit/s."""


class Sheet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topology file as it is written: links and demands also in short."""

    name: str = ""
    description: str = ""
    hosts: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    nodes: dict[str, Node] = {}
    links: tuple[tuple[str, str] | Link, ...] = ()
    demands: tuple[tuple[str, str, float] | Demand, ...] = ()
    prefixes: dict[str, str] = {}
    mtu: int = DEFAULT_MTU


def whole_link(link: tuple[str, str] | Link) -> Link:
    """A link in full."""
    return link if isinstance(link, Link) else Link(ends=link)


def whole_demand(demand: tuple[str, str, float] | Demand) -> Demand:
    """A demand in full."""
    return demand if isinstance(demand, Demand) else Demand(*demand)
