# SPDX-License-Identifier: Apache-2.0
"""The last step of a routed packet: from an address to the endpoint that has it here."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import place, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK, OUT_PORT


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The addresses of an endpoint, on its own bridge."""
    here, at = view.ask(station, key), view.ask(place, key)
    to = here and view.ask(segment, here.network)
    if not here or not at or not to:
        return
    for address in here.addresses:
        four = address.version == 4
        matched: Matched = {
            "reg1": NETWORK.match(to.vni),
            "eth_type": ETH_IP if four else ETH_IPV6,
            "ip_dst" if four else "ipv6_dst": int(address),
        }
        last = (setting("eth_dst", here.mac), OUT_PORT.load(at.ofport))
        yield on(at.host, write("deliver", NORMAL, matched, *last, goto="remember"))


FEATURE = Feature("deliver", 9, "hands routed packets to endpoints", {"Endpoint": endpoint})
