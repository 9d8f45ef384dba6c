# SPDX-License-Identifier: Apache-2.0
"""What the slot of a locator of this bridge says: one endpoint, or a network to look further in.

Two witnesses are asked for, the slot and the VNI that the packet came with; one alone is not
believed. Wires carry no VNI: where the graph has any, the slot of a packet without one is believed.
The slot also says whose packet it is, which its connection is remembered by.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.neighbour import setting
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.links import wired
from vneter_sdn.compile.queries import Segment, bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.flow import Action
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import ANY_COLOUR_MASK, COLOUR_OFFSET, DEFAULT, Locator
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import COLOUR, NETWORK, OUT_PORT, TENANT


def _addressed(view: View, bridge: int, slot: int, vni: int) -> Iterator[Matched]:
    here = (Locator(DEFAULT, bridge, slot).mac, ANY_COLOUR_MASK)
    for witness in (vni, 0) if view.ask(wired, None) else (vni,):
        yield {"eth_dst": here, "reg1": NETWORK.match(witness)}


def _known(to: Segment) -> tuple[Action, ...]:
    """Whose the packet is, and which way it came."""
    came_by = COLOUR.load_from("eth_dst", COLOUR_OFFSET)
    return NETWORK.load(to.vni), TENANT.load(to.tenant), came_by


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """A network's slot, on each bridge where the network is."""
    to = view.ask(segment, key)
    hosts = view.ask(presence, key)
    for host in sorted(hosts):
        bridge = view.ask(bridge_of, host)
        if to and bridge is not None:
            addressed = _addressed(view, bridge, to.slot, to.vni)
            known = _known(to)
            yield on(
                host, *(write("arrival", NORMAL, m, *known, goto="deliver") for m in addressed)
            )


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """An endpoint's slot, on its own bridge."""
    here, at = view.ask(station, key), view.ask(place, key)
    to = here and view.ask(segment, here.network)
    bridge = view.ask(bridge_of, at.host) if at else None
    if here and at and to and bridge is not None:
        addressed = _addressed(view, bridge, here.slot, to.vni)
        restored = (*_known(to), setting("eth_dst", here.mac), OUT_PORT.load(at.ofport))
        flows = (write("arrival", NORMAL, m, *restored, goto="remember") for m in addressed)
        yield on(at.host, *flows)


FEATURE = Feature(
    "arrival", 8, "what a locator of this bridge means", {"Network": network, "Endpoint": endpoint}
)
