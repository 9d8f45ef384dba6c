# SPDX-License-Identifier: Apache-2.0
"""Kinds about paths: which ones traffic takes, and how much of them is kept for whom."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vneter_sdn.model.scalars import Labels, Name, Spec, Text


class Objective(Spec, frozen=True, kw_only=True):
    """What a path should have little of: the weighted sum of these, over its links."""

    hops: Annotated[float, Meta(ge=0, le=1e9, description="Weight of each link.")] = 0.0
    cost: Annotated[float, Meta(ge=0, le=1e9, description="Weight of administrative cost.")] = 0.0
    latency: Annotated[float, Meta(ge=0, le=1e9, description="Weight of a millisecond.")] = 0.0
    price: Annotated[
        float, Meta(ge=0, le=1e9, description="Weight of the price of a gigabyte.")
    ] = 0.0
    utilisation: Annotated[
        float, Meta(ge=0, le=1e9, description="Weight of utilisation, 0 to 1 on each link.")
    ] = 0.0
    loss: Annotated[float, Meta(ge=0, le=1e9, description="Weight of loss, -ln(1 - loss).")] = 0.0


class PathConstraints(Spec, frozen=True, kw_only=True):
    """What every path of a policy must satisfy."""

    max_latency_ms: Annotated[
        Annotated[float, Meta(ge=0, le=1e6)] | None, Meta(description="Sum over the path.")
    ] = None
    max_hops: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None, Meta(description="Links at most.")
    ] = None
    max_price_per_gb: Annotated[
        Annotated[float, Meta(ge=0, le=1e6)] | None, Meta(description="Sum over the path.")
    ] = None
    max_loss: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, Meta(description="1 - Π(1 - loss).")
    ] = None
    min_bandwidth_mbps: Annotated[
        Annotated[float, Meta(ge=0, le=1e9)] | None,
        Meta(description="Capacity left after reservations, on every link."),
    ] = None
    min_mtu: Annotated[
        Annotated[int, Meta(ge=1280, le=65535)] | None,
        Meta(description="On every link, in bytes."),
    ] = None
    encrypted: Annotated[bool, Meta(description="Encrypted links only.")] = False
    avoid_tags: Annotated[
        tuple[Name, ...], Meta(max_length=32, description="No link and no host between with any.")
    ] = ()
    require_tags: Annotated[
        tuple[Name, ...], Meta(max_length=32, description="Every link has all of them.")
    ] = ()
    regions: Annotated[
        tuple[Text, ...], Meta(max_length=32, description="Stay in these; any when empty.")
    ] = ()
    waypoints: Annotated[
        tuple[Name, ...], Meta(max_length=8, description="Hosts to pass, in this order.")
    ] = ()


PortRange = Annotated[
    str,
    Meta(
        pattern=r"^(tcp|udp)(/\d{1,5}(-\d{1,5})?)?$(?!\n)",
        description="tcp, tcp/443, udp/5000-5010.",
    ),
]


class PathPolicySpec(Spec, frozen=True, kw_only=True):
    """Which paths some traffic takes between hosts. Of those that match, the highest priority wins.

    A connection keeps its path while that lives; new ones are spread by weight.
    """

    priority: Annotated[int, Meta(ge=0, le=65535, description="The highest wins.")] = 0
    tenants: Annotated[
        tuple[Name, ...], Meta(max_length=256, description="Of these tenants; all when empty.")
    ] = ()
    networks: Annotated[
        tuple[Annotated[str, Meta(max_length=127)], ...],
        Meta(max_length=256, description="Towards these networks, TENANT/NAME; all when empty."),
    ] = ()
    source_labels: Annotated[
        Labels, Meta(description="From endpoints with these labels; replies follow.")
    ] = {}  # noqa: RUF012 - a Struct copies it
    target_labels: Annotated[Labels, Meta(description="To endpoints with these labels.")] = {}  # noqa: RUF012
    ports: Annotated[
        tuple[PortRange, ...], Meta(max_length=32, description="To these ports; all when empty.")
    ] = ()
    objective: Annotated[
        Objective | Literal["hops", "cost", "latency", "price", "utilisation", "loss"],
        Meta(description="What to have little of: one word, or weights of several."),
    ] = "cost"
    constraints: Annotated[PathConstraints, Meta(description="What every path must satisfy.")] = (
        PathConstraints()
    )
    paths: Annotated[int, Meta(ge=1, le=16, description="How many paths at most.")] = 1
    sharing: Annotated[
        Literal["best", "equal", "unequal", "engineered"],
        Meta(
            description="best: equally over paths that are as good as the best; equal: equally "
            "over all; unequal: in inverse proportion to the objective; engineered: over paths "
            "that keep the fullest link as empty as can be, for the traffic that Demands declare, "
            "and what is measured where they say nothing."
        ),
    ] = "equal"
    disjoint: Annotated[
        Literal["none", "link", "node", "risk"],
        Meta(description="Whether paths may share links, hosts or risk groups with the best."),
    ] = "none"


class ReservationSpec(Spec, frozen=True, kw_only=True):
    """Bandwidth kept free between two endpoints, or for a tenant between two hosts."""

    tenant: Annotated[Name, Meta(description="Whose traffic it is.")]
    source: Annotated[Name, Meta(description="An endpoint of the tenant, or a host.")]
    target: Annotated[Name, Meta(description="An endpoint of the tenant, or a host.")]
    between: Annotated[
        Literal["endpoints", "hosts"], Meta(description="What source and target are.")
    ] = "endpoints"
    rate_mbps: Annotated[float, Meta(gt=0, le=1e9, description="Mbit/s, each way.")]
    start: Annotated[
        Annotated[str, Meta(max_length=40)] | None, Meta(description="RFC 3339; now when absent.")
    ] = None
    end: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="RFC 3339; without end when absent."),
    ] = None
    policy: Annotated[
        Name | None, Meta(description="The path policy to go by; the cheapest path when absent.")
    ] = None


class DemandSpec(Spec, frozen=True, kw_only=True):
    """Traffic expected from one host to another, instead of what engineered policies measure."""

    source: Annotated[Name, Meta(description="A host.")]
    target: Annotated[Name, Meta(description="Another host.")]
    mbps: Annotated[
        float, Meta(ge=0, le=1e9, description="Mbit/s; several of one pair are summed.")
    ]
