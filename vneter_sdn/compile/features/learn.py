# SPDX-License-Identifier: Apache-2.0
"""Labs: frames that say who is behind a port go to the controller, which makes endpoints of them.

Where a network learns (`NetworkSpec.learning`), three kinds are punted, under a meter of their own:

* ARP and IPv4 by a port that nobody has claimed, on hosts without a database;
* ARP and IPv4 by a learned endpoint's port that is not from that endpoint, as when its address
  was changed, or the cable put into another machine;
* ARP requests for an address that nobody in the network is known to have.

All of them end there: what is not known is not forwarded. Discovery frames are taken from the ports
of learned endpoints too: whoever was learned behind a wire before that was found must not hide it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import (
    bridge_of,
    learning,
    place,
    presence,
    segment,
    station,
    undocumented,
)
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_ARP, ETH_IP, ETH_LLDP
from vneter_sdn.model.flow import Meter, Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import priorities
from vneter_sdn.pipeline.punts import (
    LEARN_BURST,
    LEARN_LENGTH,
    LEARN_METER,
    LEARN_RATE,
    LLDP_LENGTH,
    LLDP_METER,
    Discovery,
    Learning,
)
from vneter_sdn.pipeline.registers import NETWORK

REQUEST = 1
TELLING = (ETH_ARP, ETH_IP)
"""Types of frames that say who sent them."""
_PUNT = Punt(Learning().encode(), LEARN_METER, LEARN_LENGTH)


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """Ports that nobody has claimed."""
    if view.ask(learning, None) is None or view.ask(bridge_of, host.name) is None:
        return
    plain = view.ask(undocumented, host.name)
    flows = [
        write("classify", priorities.LEARN, {"eth_type": ethertype}, _PUNT)
        for ethertype in (TELLING if plain else ())
    ]
    meter = Meter(LEARN_METER, LEARN_RATE, LEARN_BURST)
    yield Part(frozenset([host.name]), tuple(flows), (), (meter,))


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Requests for addresses that nobody is known to have."""
    here = view.ask(segment, key)
    if here is None or view.ask(learning, None) != key:
        return
    asked: Matched = {"reg1": NETWORK.match(here.vni), "eth_type": ETH_ARP, "arp_op": REQUEST}
    yield on(view.ask(presence, key), write("neighbour", priorities.LOW, asked, _PUNT))


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Other senders by the port of an endpoint of the network."""
    learns = view.ask(learning, None)
    if learns is None:  # as nearly everywhere: nothing else is read then
        return
    here, at = view.ask(station, key), view.ask(place, key)
    if here and at and here.network == learns and view.ask(undocumented, at.host):
        flows = [
            write(
                "spoof_guard",
                priorities.UNFAMILIAR,
                {"in_port": at.ofport, "eth_type": ethertype},
                _PUNT,
            )
            for ethertype in TELLING
        ]
        lldp: Matched = {"in_port": at.ofport, "eth_type": ETH_LLDP}
        probe = Punt(Discovery().encode(), LLDP_METER, LLDP_LENGTH)
        yield on(at.host, *flows, write("classify", priorities.EXCEPTION, lldp, probe))


FEATURE = Feature(
    "learn",
    15,
    "tells the controller who is behind a lab's ports",
    {"Host": bridge, "Network": network, "Endpoint": endpoint},
)
