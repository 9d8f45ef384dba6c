# SPDX-License-Identifier: Apache-2.0
"""What the router cannot forward goes to the controller, by way of its sender's meter.

The tables that find a fault say which it is, and send the packet here::

    route    no hop left; no network has the address
    size     too long for the network it is for
    deliver  nobody in the network has the address, where its address block is; route, where the
             network is not. Also if it is the gateway's: that one answers, for itself then
    switch   for the gateway itself, which answers pings by flows and takes nothing else
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import (
    Segment,
    place,
    presence,
    segment,
    station,
    tenant_presence,
)
from vneter_sdn.compile.query import View
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, MeterAction, Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.complaints import Complaint, Fault, of_endpoint
from vneter_sdn.pipeline.priorities import LOW, NORMAL
from vneter_sdn.pipeline.registers import COMPLAINT, NETWORK

_INSIDE = (Fault.EXPIRED, Fault.NO_ROUTE, Fault.GATEWAY)
"""What is found wrong where packets start; all bridges of a tenant complain of the other one."""


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Complaints in the name of one network's gateway."""
    here = view.ask(segment, key)
    if here is not None:
        present, tenant = view.ask(presence, key), view.ask(tenant_presence, key.tenant)
        for gateway in here.gateways:
            yield on(present, *_found(here, gateway, write))
            yield on(present, *(_told(here, gateway, fault, write) for fault in _INSIDE))
            yield on(tenant, _told(here, gateway, Fault.NOBODY, write))


def _found(here: Segment, gateway: IPAddress, write: Writer) -> Iterator[Flow]:
    """What no other flow takes, in the family of one gateway."""
    inside = _inside(here, gateway)
    yield write("route", LOW, inside, COMPLAINT.load(Fault.NO_ROUTE), goto="complaints")
    yield write("deliver", LOW, inside, COMPLAINT.load(Fault.NOBODY), goto="complaints")


def _told(here: Segment, gateway: IPAddress, fault: Fault, write: Writer) -> Flow:
    said = Complaint(fault, gateway, here.gateway_mac, here.tenant, here.vni)
    matched: Matched = {**_inside(here, gateway), "reg0": COMPLAINT.match(fault)}
    return write("complain", NORMAL, matched, Punt(said.encode(), said.meter, said.length))


def _inside(here: Segment, gateway: IPAddress) -> Matched:
    ethertype = ETH_IP if gateway.version == 4 else ETH_IPV6
    return {"reg1": NETWORK.match(here.vni), "eth_type": ethertype}


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """As much as is answered to one endpoint."""
    here, at = view.ask(station, key), view.ask(place, key)
    if here and at and view.ask(segment, here.network):
        meter = of_endpoint(at.ofport)
        limited = MeterAction(meter.meter)
        flow = write("complaints", NORMAL, {"in_port": at.ofport}, limited, goto="complain")
        yield Part(frozenset([at.host]), (flow,), (), (meter,))


FEATURE = Feature(
    "complain",
    26,
    "tells senders what cannot be forwarded",
    {"Network": network, "Endpoint": endpoint},
)
