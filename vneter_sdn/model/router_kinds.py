# SPDX-License-Identifier: Apache-2.0
"""How endpoints of a network are told their IPv6 configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vneter_sdn.model.scalars import Address, DomainName, Prefix, Spec


class RaSpec(Spec, frozen=True, kw_only=True):
    """Router advertisements (RFC 4861) and DHCPv6 (RFC 8415)."""

    enabled: Annotated[bool, Meta(description="Whether the gateway advertises itself.")] = True
    mode: Annotated[
        Literal["stateful", "stateless", "slaac", "off"],
        Meta(
            description="Where addresses come from. stateful: DHCPv6. slaac: endpoints form them "
            "of the prefix and their MAC (EUI-64). stateless: the same, and DHCPv6 says the rest. "
            "off: neither; the gateway is told of all the same."
        ),
    ] = "stateful"
    interval_seconds: Annotated[
        int,
        Meta(ge=4, le=1800, description="Between advertisements that nobody asked for, at most."),
    ] = 600
    lifetime_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            description="How long endpoints take the gateway for their router without hearing of "
            "it; should outlast any time without a controller. 0: it is no default router.",
        ),
    ] = 9_000
    preference: Annotated[
        Literal["high", "medium", "low"], Meta(description="Of several routers (RFC 4191).")
    ] = "medium"
    hop_limit: Annotated[
        int, Meta(ge=0, le=255, description="That endpoints are to send with; 0 says nothing.")
    ] = 64
    valid_seconds: Annotated[
        int, Meta(ge=7_200, le=0xFFFFFFFF, description="How long addresses may be used.")
    ] = 2_592_000
    preferred_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=0xFFFFFFFF,
            description="How long addresses are used for new connections; at most valid_seconds. "
            "By DHCPv6, half of it passes until endpoints ask again.",
        ),
    ] = 604_800
    dns_servers: Annotated[
        tuple[Address, ...],
        Meta(max_length=4, description="IPv6; the gateway when absent and dns is enabled."),
    ] = ()
    search: Annotated[
        tuple[DomainName, ...],
        Meta(
            max_length=8,
            description="Domains to look for short names in; that of dns when absent and it is "
            "enabled.",
        ),
    ] = ()
    ntp_servers: Annotated[
        tuple[Address, ...], Meta(max_length=4, description="IPv6; told by DHCPv6.")
    ] = ()
    routes: Annotated[
        tuple[Prefix, ...],
        Meta(
            max_length=16,
            description="IPv6 prefixes that the gateway leads to (RFC 4191), besides everywhere.",
        ),
    ] = ()

    @property
    def autoconfigured(self) -> bool:
        """Whether endpoints form their addresses of their MACs; told of it or not."""
        return self.mode in ("slaac", "stateless")

    @property
    def assigned(self) -> bool:
        """Whether DHCPv6 gives addresses."""
        return self.enabled and self.mode == "stateful"

    @property
    def asked(self) -> bool:
        """Whether DHCPv6 answers at all."""
        return self.enabled and self.mode in ("stateful", "stateless")
