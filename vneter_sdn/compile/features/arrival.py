# SPDX-License-Identifier: Apache-2.0
"""What the slot of a locator of this bridge says: one endpoint, or a network to look further in.

Two witnesses are asked for, the slot and the VNI that the packet came with; one alone is not
believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import ANY_COLOUR_MASK, Locator
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK, OUT_PORT


def _addressed(bridge: int, slot: int, vni: int) -> Matched:
    return {
        "eth_dst": (Locator(0, bridge, slot).mac, ANY_COLOUR_MASK),
        "reg1": NETWORK.match(vni),
    }


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """A network's slot, on each bridge where the network is."""
    to = view.ask(segment, key)
    hosts = view.ask(presence, key)
    for host in sorted(hosts):
        bridge = view.ask(bridge_of, host)
        if to and bridge is not None:
            matched = _addressed(bridge, to.slot, to.vni)
            yield on(host, write("arrival", NORMAL, matched, goto="deliver"))


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """An endpoint's slot, on its own bridge."""
    here, at = view.ask(station, key), view.ask(place, key)
    to = here and view.ask(segment, here.network)
    bridge = view.ask(bridge_of, at.host) if at else None
    if here and at and to and bridge is not None:
        matched = _addressed(bridge, here.slot, to.vni)
        restored = (setting("eth_dst", here.mac), OUT_PORT.load(at.ofport))
        yield on(at.host, write("arrival", NORMAL, matched, *restored, goto="output"))


FEATURE = Feature(
    "arrival", 8, "what a locator of this bridge means", {"Network": network, "Endpoint": endpoint}
)
