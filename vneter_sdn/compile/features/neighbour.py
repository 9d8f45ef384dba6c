# SPDX-License-Identifier: Apache-2.0
"""Answers ARP (RFC 826) and neighbour solicitations (RFC 4861 §7.2.4) where they are asked.

Only addresses that the network has are answered for; nothing is ever flooded. An advertisement is
built from its solicitation in two tables, because Open vSwitch lets a flow write ``nd_tll`` only
where it matches an advertisement: `neighbour` turns the packet round and makes it one,
`advertise` fills in the address. A solicitation without its option gets an advertisement
without one, which suffices as such solicitations are unicast (§4.4). Duplicate address detection
does not get here: only the owner of an address may look for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vneter_sdn.compile.features.spoof_guard import ADVERTISE, NO_OPTION, SOLICIT
from vneter_sdn.compile.features.unit import Feature, Part, Writer, on
from vneter_sdn.compile.queries import bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_ARP, FIELDS
from vneter_sdn.model.flow import IN_PORT, Action, Copy, Flow, Output, SetField
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import HIGH, NORMAL
from vneter_sdn.pipeline.registers import NETWORK

ID = 4
"""Of the feature, in cookies."""
SOLICITED, OVERRIDES, IS_ROUTER = 0x4000_0000, 0x2000_0000, 0x8000_0000
"""Flags of an advertisement, in its reserved word (RFC 4861 §4.4)."""
TARGET_LINK_LAYER_ADDRESS = 2
REQUEST, REPLY = 1, 2


def setting(field: str, value: int) -> SetField:
    """Write a whole field."""
    return SetField(field, value, FIELDS[field].full)


def copying(source: str, target: str) -> Copy:
    """Copy a whole field."""
    return Copy(source, target, FIELDS[source].bits)


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The second half of every advertisement."""
    if view.ask(bridge_of, host.name) is not None:
        fill = copying("eth_src", "nd_tll")
        yield on(host.name, write("advertise", NORMAL, ADVERTISE, fill, Output(IN_PORT)))


@query
def answers_for(view: View, endpoint: Key) -> tuple[Flow, ...]:
    """Answers for one endpoint; apart from where they go, as a network spreads more often."""
    here = view.ask(station, endpoint)
    network = here and view.ask(segment, here.network)
    if not here or not network:
        return ()
    write = Writer.of(ID, endpoint)
    return tuple(_answers(network.vni, here.mac, here.all_addresses, 0, write))


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Answers for one endpoint, wherever its network is."""
    here = view.ask(station, key)
    if here and view.ask(place, key):
        yield on(view.ask(presence, here.network), *view.ask(answers_for, key))


def gateway(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Answers for a network's gateway."""
    network = view.ask(segment, key)
    if network:
        flows = _answers(network.vni, network.gateway_mac, network.gateways, IS_ROUTER, write)
        yield on(view.ask(presence, key), *flows)


def _answers(
    vni: int, mac: int, addresses: Iterable[IPAddress], flags: int, write: Writer
) -> Iterator[Flow]:
    for address in addresses:
        if address.version == 4:
            yield _arp(vni, mac, int(address), write)
        else:
            yield from _advertisements(vni, mac, int(address), flags, write)


def _arp(vni: int, mac: int, address: int, write: Writer) -> Flow:
    return write(
        "neighbour",
        NORMAL,
        {
            "reg1": NETWORK.match(vni),
            "eth_type": ETH_ARP,
            "arp_op": REQUEST,
            "arp_tpa": address,
        },
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        setting("arp_op", REPLY),
        copying("arp_sha", "arp_tha"),
        copying("arp_spa", "arp_tpa"),
        setting("arp_sha", mac),
        setting("arp_spa", address),
        Output(IN_PORT),
    )


def _advertisements(vni: int, mac: int, address: int, flags: int, write: Writer) -> Iterator[Flow]:
    asked = {"reg1": NETWORK.match(vni), **SOLICIT, "nd_target": address}
    turned: tuple[Action, ...] = (
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        copying("ipv6_src", "ipv6_dst"),
        setting("ipv6_src", address),
        setting("ip_ttl", 255),
        setting("icmpv6_type", 136),
        setting("nd_reserved", flags | SOLICITED | OVERRIDES),
    )
    with_option = setting("nd_options_type", TARGET_LINK_LAYER_ADDRESS)
    yield write("neighbour", NORMAL, asked, *turned, with_option, goto="advertise")
    yield write("neighbour", HIGH, {**asked, "nd_sll": NO_OPTION}, *turned, Output(IN_PORT))


FEATURE = Feature(
    "neighbour",
    ID,
    "answers ARP and neighbour solicitations",
    {"Host": bridge, "Endpoint": endpoint, "Network": gateway},
)
