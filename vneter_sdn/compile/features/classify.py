# SPDX-License-Identifier: Apache-2.0
"""Where a packet came from: an endpoint's port says network and tenant, a tunnel's VNI the network.

A port nobody has claimed has no flow, and what comes in there is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Part, Writer, on
from vneter_sdn.compile.queries import place, segment, station, tunnel_ports
from vneter_sdn.compile.query import View
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK, SOURCE, TENANT, Source


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """The port of an endpoint."""
    here, at = view.ask(station, key), view.ask(place, key)
    network = here and view.ask(segment, here.network)
    if at and network:
        yield on(
            at.host,
            write(
                "classify",
                NORMAL,
                {"in_port": at.ofport},
                SOURCE.load(Source.ENDPOINT),
                NETWORK.load(network.vni),
                TENANT.load(network.tenant),
                goto="spoof_guard",
            ),
        )


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The tunnel ports of a bridge."""
    ports = sorted(set(view.ask(tunnel_ports, host.name).values()))
    told = (SOURCE.load(Source.TUNNEL), NETWORK.load_from("tun_id"))
    if ports:
        yield on(
            host.name,
            *(write("classify", NORMAL, {"in_port": p}, *told, goto="arrival") for p in ports),
        )


FEATURE = Feature(
    "classify",
    2,
    "where a packet came from; its network and tenant",
    {"Endpoint": endpoint, "Host": bridge},
)
