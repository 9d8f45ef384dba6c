# SPDX-License-Identifier: Apache-2.0
"""Remembers which colour a connection takes: where it starts, and where it arrives.

The zone is the tenant's (the low 16 bits of its id), the mark is the colour, so addresses of
several tenants may be alike. Where it arrives only what came by a path of its own is looked
up; the default tree and repaired packets say nothing of the path replies are to take.
Open vSwitch tracks IP alone, and takes the action only in flows that match it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, TRACKED
from vneter_sdn.model.flow import Conntrack, Copy, Flow
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import BLUE, COLOUR_BITS, COLOUR_OFFSET, DEFAULT, RED
from vneter_sdn.pipeline.priorities import HIGH, NORMAL
from vneter_sdn.pipeline.registers import COLOUR, TENANT
from vneter_sdn.pipeline.tables import table

FAMILIES = (ETH_IP, ETH_IPV6)
_LOOKED_AT = TRACKED["trk"] | TRACKED["rpl"] | TRACKED["inv"] | TRACKED["rel"]
OWN_DIRECTION = (TRACKED["trk"], _LOOKED_AT)
"""``ct_state`` of the packets of whoever began a connection, errors about it left out."""


def tracked(then: str) -> Conntrack:
    """Look the packet up, and go on in a table."""
    return Conntrack(zone_field=TENANT.field, zone_offset=TENANT.first, table=table(then).id)


def _committed(colour: Copy) -> Conntrack:
    return Conntrack(
        commit=True, zone_field=TENANT.field, zone_offset=TENANT.first, actions=(colour,)
    )


CHOSEN = _committed(Copy("eth_dst", "ct_mark", COLOUR_BITS, COLOUR_OFFSET))
CAME_BY = _committed(COLOUR.copy_to("ct_mark"))


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The same on every bridge."""
    if view.ask(bridge_of, host.name) is not None:
        yield on(host.name, *_flows(write))


def _flows(write: Writer) -> Iterator[Flow]:
    for family in FAMILIES:
        ip: Matched = {"eth_type": family}
        yield write("pin", NORMAL, ip, CHOSEN, goto="transit")
        yield write("remember", NORMAL, ip, tracked("follow"))
        own: Matched = {**ip, "ct_state": OWN_DIRECTION}
        yield write("follow", NORMAL, own, CAME_BY, goto="ingress")
    for colour in (DEFAULT, RED, BLUE):
        yield write("remember", HIGH, {"reg5": COLOUR.match(colour)}, goto="ingress")


FEATURE = Feature("pin", 12, "keeps connections on their path, both ways", {"Host": bridge})
