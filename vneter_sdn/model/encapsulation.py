# SPDX-License-Identifier: Apache-2.0
"""What a tunnel adds to every packet, in bytes of the underlay's IP packet.

Outer IP header (20, or 40 for IPv6), then: Geneve without options (RFC 8926 §3.4) or VXLAN
(RFC 7348 §5) 8 bytes of UDP and 8 of their own; GRE with a key (RFC 2890) 8. Then the inner
Ethernet header, 14 bytes; the 42 bytes of GRE are those of Open vSwitch's ``gre`` interface.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from vneter_sdn.model.kinds import HostSpec

OVERHEAD: dict[str, tuple[int, int]] = {"geneve": (50, 70), "vxlan": (50, 70), "gre": (42, 62)}
"""By encapsulation: over IPv4, over IPv6."""


def overhead(encapsulation: str, ipv6: bool) -> int:
    """Bytes between the underlay's MTU and the largest packet that a tunnel carries."""
    return OVERHEAD[encapsulation][ipv6]


def uses_ipv6(addresses: Iterable[str]) -> bool:
    """Whether a tunnel from any of these addresses runs over IPv6; malformed ones do not count."""
    for address in addresses:
        try:
            if isinstance(ip_address(address), IPv6Address):
                return True
        except ValueError:
            continue
    return False


def payload_limit(host: HostSpec, encapsulation: str | None = None) -> int | None:
    """The largest inner IP packet that fits the host's underlay; None when it has no tunnels."""
    if not host.tunnel_addresses:
        return None
    ipv6 = uses_ipv6(host.tunnel_addresses)
    return host.underlay_mtu - overhead(encapsulation or host.encapsulation, ipv6)
