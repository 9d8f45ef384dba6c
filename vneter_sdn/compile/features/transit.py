# SPDX-License-Identifier: Apache-2.0
"""Towards another bridge: one flow per colour and bridge, whatever lives there."""

from __future__ import annotations

from collections.abc import Iterator

from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of, hops, tunnel_ports
from vneter_sdn.compile.query import View
from vneter_sdn.model.flow import Output
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import BRIDGE_MASK, Locator
from vneter_sdn.pipeline.priorities import NORMAL
from vneter_sdn.pipeline.registers import NETWORK


def target(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The way to one bridge, on every other that can reach it."""
    bridge = view.ask(bridge_of, host.name)
    if bridge is None:
        return
    matched: Matched = {"eth_dst": (Locator(0, bridge, 0).mac, BRIDGE_MASK)}
    sources: dict[int, list[str]] = {}
    for source, following in view.ask(hops, host.name).items():
        port = view.ask(tunnel_ports, source).get(following)
        if port is not None:
            sources.setdefault(port, []).append(source)
    for port, found in sorted(sources.items()):
        onward = (NETWORK.copy_to("tun_id"), Output(port))
        yield on(found, write("transit", NORMAL, matched, *onward))


FEATURE = Feature("transit", 10, "towards other bridges, by locator", {"Host": target})
