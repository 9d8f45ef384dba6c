# SPDX-License-Identifier: Apache-2.0
"""L2 within a network, by destination MAC: to a port here, or to a locator elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import DEFAULT, Locator
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK, OUT_PORT


def gateway(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """IP to the gateway's MAC goes on to be routed."""
    network = view.ask(segment, key)
    if network:
        to_gateway: Matched = {"reg1": NETWORK.match(network.vni), "eth_dst": network.gateway_mac}
        families = {4: ETH_IP, 6: ETH_IPV6}
        versions = sorted({prefix.version for prefix in network.prefixes})
        flows = [
            write("switch", NORMAL, {**to_gateway, "eth_type": families[v]}, goto="route")
            for v in versions
        ]
        yield on(view.ask(presence, key), *flows)


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """An endpoint's MAC, on its own bridge and on those where its network is."""
    here, at = view.ask(station, key), view.ask(place, key)
    network = here and view.ask(segment, here.network)
    bridge = view.ask(bridge_of, at.host) if at else None
    if not here or not at or not network or bridge is None:
        return
    matched: Matched = {"reg1": NETWORK.match(network.vni), "eth_dst": here.mac}
    yield on(at.host, write("switch", NORMAL, matched, OUT_PORT.load(at.ofport), goto="ingress"))
    there = setting("eth_dst", Locator(DEFAULT, bridge, here.slot).mac)
    others = view.ask(presence, here.network) - {at.host}
    yield on(others, write("switch", NORMAL, matched, there, goto="steer"))


FEATURE = Feature(
    "switch", 6, "L2 within a network, by MAC", {"Network": gateway, "Endpoint": endpoint}
)
