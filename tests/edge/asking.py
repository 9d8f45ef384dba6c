# SPDX-License-Identifier: Apache-2.0
"""Endpoints that ask the edge, as the store knows them."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec

from vneter_sdn.edge.ledger import Asker
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key

MAC, GATEWAY_MAC = 0x0200_0000_0009, 0x0200_0000_0001


def asker(addresses=("10.0.0.9", "fd00::9"), domain="red.internal", **spec):
    """``red/web-1`` in network ``net``; ``spec`` as in a manifest."""
    spec = {"prefixes": ["10.0.0.0/24", "fd00::/64"], **spec}
    gateways = {4: "10.0.0.1", 6: "fd00::1"}
    families = {6 if ":" in prefix else 4 for prefix in spec["prefixes"]}
    return Asker(
        key=Key("Endpoint", "red", "web-1"),
        network=Key("Network", "red", "net"),
        spec=msgspec.convert(spec, NetworkSpec),
        domain=domain,
        mac=MAC,
        addresses=tuple(ip_address(one) for one in addresses),
        gateway_mac=GATEWAY_MAC,
        gateways=tuple(ip_address(gateways[family]) for family in sorted(families)),
    )
