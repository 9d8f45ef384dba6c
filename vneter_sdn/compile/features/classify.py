# SPDX-License-Identifier: Apache-2.0
"""Where a packet came from: an endpoint's port says network and tenant, a tunnel's VNI the network.

::

    HIGH    ports of endpoints, whatever they send, so discovery frames of theirs end at the guard
    NORMAL  discovery frames (LLDP) from any other port, for the controller
    LOW     ports of tunnels and wires

What else comes in by a port that nobody has claimed is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Part, Writer, on
from vneter_sdn.compile.links import edge_ports, edges_of
from vneter_sdn.compile.queries import bridge_of, place, segment, station
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_LLDP
from vneter_sdn.model.flow import Action, Flow, Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import HIGH, LOW, NORMAL
from vneter_sdn.pipeline.punts import LLDP_LENGTH, LLDP_METER, Discovery
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, SOURCE, TENANT, Source


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The port of an endpoint."""
    here, at = view.ask(station, key), view.ask(place, key)
    network = here and view.ask(segment, here.network)
    if at and network:
        yield on(
            at.host,
            write(
                "classify",
                HIGH,
                {"in_port": at.ofport},
                SOURCE.load(Source.ENDPOINT),
                NETWORK.load(network.vni),
                ORIGIN.load(network.vni),
                TENANT.load(network.tenant),
                goto="spoof_guard",
            ),
        )


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The ports of a bridge that lead to others, and discovery."""
    if view.ask(bridge_of, host.name) is not None:
        yield on(host.name, *_links(view, host.name, write), _discovery(write))


def _links(view: View, host: str, write: Writer) -> Iterator[Flow]:
    known = view.ask(edge_ports, host)
    media = {known[e.name]: e.medium for e in view.ask(edges_of, host) if e.name in known}
    for port, medium in sorted(media.items()):
        if medium == "wire":
            told: tuple[Action, ...] = (SOURCE.load(Source.WIRE),)
        else:
            told = (SOURCE.load(Source.TUNNEL), NETWORK.load_from("tun_id"))
        yield write("classify", LOW, {"in_port": port}, *told, goto="arrival")


def _discovery(write: Writer) -> Flow:
    punt = Punt(Discovery().encode(), LLDP_METER, LLDP_LENGTH)
    return write("classify", NORMAL, {"eth_type": ETH_LLDP}, punt)


FEATURE = Feature(
    "classify",
    2,
    "where a packet came from; its network and tenant",
    {"Endpoint": endpoint, "Host": bridge},
)
