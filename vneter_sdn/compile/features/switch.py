# SPDX-License-Identifier: Apache-2.0
"""L2 within a network, by destination MAC: to a port here, or to a locator elsewhere.

IP to the gateway's MAC goes on to be routed; by way of `size` where some network of the tenant
takes less than this one. What is for the gateway itself, and nothing before has answered, is
complained of: nobody listens there.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.size import narrower
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.complaints import Fault
from vneter_sdn.pipeline.locator import DEFAULT, Locator
from vneter_sdn.pipeline.priorities import NORMAL, OWN
from vneter_sdn.pipeline.registers import COMPLAINT, NETWORK, OUT_PORT


def gateway(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """IP to the gateway's MAC goes on to be routed."""
    network = view.ask(segment, key)
    if network:
        to_gateway: Matched = {"reg1": NETWORK.match(network.vni), "eth_dst": network.gateway_mac}
        families = {4: ETH_IP, 6: ETH_IPV6}
        versions = sorted({prefix.version for prefix in network.prefixes})
        onward = "size" if view.ask(narrower, key) else "route"
        flows = [
            write("switch", NORMAL, {**to_gateway, "eth_type": families[v]}, goto=onward)
            for v in versions
        ]
        for address in network.faces:
            field = "ip_dst" if address.version == 4 else "ipv6_dst"
            own: Matched = {**to_gateway, "eth_type": families[address.version]}
            wrong = COMPLAINT.load(Fault.GATEWAY)
            flows.append(
                write("switch", OWN, {**own, field: int(address)}, wrong, goto="complaints")
            )
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
