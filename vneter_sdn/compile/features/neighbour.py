# SPDX-License-Identifier: Apache-2.0
"""Answers ARP (RFC 826) and neighbour solicitations (RFC 4861 §7.2.4) where they are asked.

Only addresses that the network has are answered for; nothing is ever flooded. An advertisement is
built from its solicitation in two tables, because Open vSwitch lets a flow write ``nd_tll`` only
where it matches an advertisement: `neighbour` turns the packet round and makes it one,
`advertise` fills in the address. A solicitation without its option gets an advertisement
without one, which suffices as such solicitations are unicast (§4.4).

Who looks for an address before taking it (RFC 4862 §5.4) has none to be answered at. Everybody is,
as far as that is whoever asked: the advertisement goes to all nodes, unsolicited, out of the port
that the question came by. A nonce in the question (RFC 7527) makes room for the link-layer address.
Questions about one's own address do not get here: the guard drops them, so nobody answers.

Where a network asks for it (`NetworkSpec.proxy_neighbours`), the gateway is also who has the
addresses of the tenant's other networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vneter_sdn.compile.facts import NETWORKS_OF_TENANT
from vneter_sdn.compile.features.spoof_guard import ADVERTISE, NO_OPTION, SOLICIT
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import Segment, bridge_of, place, presence, segment, station
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPAddress, IPNetwork
from vneter_sdn.model.fields import ETH_ARP, FIELDS
from vneter_sdn.model.flow import IN_PORT, Action, Copy, Flow, Output, SetField
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.priorities import EXCEPTION, HIGH, LOW, NORMAL, PROXY
from vneter_sdn.pipeline.registers import NETWORK, RULE

ID = 4
"""Of the feature, in cookies."""
SOLICITED, OVERRIDES, IS_ROUTER = 0x4000_0000, 0x2000_0000, 0x8000_0000
"""Flags of an advertisement, in its reserved word (RFC 4861 §4.4)."""
TARGET_LINK_LAYER_ADDRESS = 2
ALL_NODES, ALL_NODES_MAC = 0xFF02 << 112 | 1, 0x3333_0000_0001
"""RFC 4291 §2.7.1, RFC 2464 §7."""
REQUEST, REPLY = 1, 2


def setting(field: str, value: int) -> SetField:
    """Write a whole field."""
    return SetField(field, value, FIELDS[field].full)


def copying(source: str, target: str) -> Copy:
    """Copy a whole field."""
    return Copy(source, target, FIELDS[source].bits)


WITH_OPTION = setting("nd_options_type", TARGET_LINK_LAYER_ADDRESS)


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The second half of every advertisement."""
    if view.ask(bridge_of, host.name) is not None:
        filled: Matched = {**ADVERTISE, "nd_options_type": TARGET_LINK_LAYER_ADDRESS}
        fill = copying("eth_src", "nd_tll")
        yield on(
            host.name,
            write("advertise", NORMAL, filled, fill, Output(IN_PORT)),
            write("advertise", LOW, ADVERTISE, Output(IN_PORT)),
            write(
                "advertise", HIGH, {**ADVERTISE, "ipv6_dst": 0}, *_to_all(0), fill, Output(IN_PORT)
            ),
        )


def _to_all(flags: int) -> tuple[Action, ...]:
    """To whoever looks for an address before taking it (RFC 4861 §7.2.4)."""
    return (
        setting("eth_dst", ALL_NODES_MAC),
        setting("ipv6_dst", ALL_NODES),
        setting("nd_reserved", flags | OVERRIDES),
        setting("nd_options_type", TARGET_LINK_LAYER_ADDRESS),
    )


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
        here = view.ask(presence, key)
        yield on(here, *_answers(network.vni, network.gateway_mac, network.faces, IS_ROUTER, write))
        if view.ask(is_proxy, key):
            for prefix in view.ask(others, key):
                yield on(here, *_proxied(network, prefix, write))


@query
def is_proxy(view: View, network: Key) -> bool:
    """Whether a network's gateway answers for the tenant's other networks."""
    spec: NetworkSpec | None = view.get("Network", network)
    return spec is not None and spec.proxy_neighbours


@query
def others(view: View, network: Key) -> tuple[IPNetwork, ...]:
    """Prefixes of the tenant's other networks."""
    keys = sorted(view.find(NETWORKS_OF_TENANT, network.tenant) - {network})
    found = (view.ask(segment, key) for key in keys)
    return tuple(prefix for one in found if one for prefix in one.prefixes)


def _proxied(network: Segment, prefix: IPNetwork, write: Writer) -> Iterator[Flow]:
    """The gateway's MAC for all addresses of another network (RFC 1027, RFC 4861 §7.2.8)."""
    reg, mac = {"reg1": NETWORK.match(network.vni)}, network.gateway_mac
    there = (int(prefix.network_address), int(prefix.netmask))
    if prefix.version == 4:
        asked: Matched = {**reg, "eth_type": ETH_ARP, "arp_op": REQUEST, "arp_tpa": there}
        swapped = (
            Copy("arp_tpa", RULE.field, 32),
            copying("arp_spa", "arp_tpa"),
            Copy(RULE.field, "arp_spa", 32),
            setting(RULE.field, 0),
        )
        yield write("neighbour", PROXY, asked, *_arp_turned(mac), *swapped, Output(IN_PORT))
        return
    about: Matched = {**reg, **SOLICIT, "nd_target": there}
    turned = (*_turned(mac), copying("nd_target", "ipv6_src"), *_advertised(IS_ROUTER | SOLICITED))
    yield write("neighbour", PROXY, about, *turned, WITH_OPTION, goto="advertise")
    silent: Matched = {**about, "nd_sll": NO_OPTION}
    yield write("neighbour", PROXY + 1, silent, *turned, goto="advertise")


def _answers(
    vni: int, mac: int, addresses: Iterable[IPAddress], flags: int, write: Writer
) -> Iterator[Flow]:
    for address in addresses:
        if address.version == 4:
            yield _arp(vni, mac, int(address), write)
        else:
            yield from _advertisements(vni, mac, int(address), flags, write)


def _arp(vni: int, mac: int, address: int, write: Writer) -> Flow:
    asked: Matched = {
        "reg1": NETWORK.match(vni),
        "eth_type": ETH_ARP,
        "arp_op": REQUEST,
        "arp_tpa": address,
    }
    ends = (copying("arp_spa", "arp_tpa"), setting("arp_spa", address))
    return write("neighbour", NORMAL, asked, *_arp_turned(mac), *ends, Output(IN_PORT))


def _arp_turned(mac: int) -> tuple[Action, ...]:
    """A request becomes a reply, but for the IPv4 addresses."""
    return (
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        setting("arp_op", REPLY),
        copying("arp_sha", "arp_tha"),
        setting("arp_sha", mac),
    )


def _advertisements(vni: int, mac: int, address: int, flags: int, write: Writer) -> Iterator[Flow]:
    asked: Matched = {"reg1": NETWORK.match(vni), **SOLICIT, "nd_target": address}
    turned = (*_turned(mac), setting("ipv6_src", address), *_advertised(flags | SOLICITED))
    yield write("neighbour", NORMAL, asked, *turned, WITH_OPTION, goto="advertise")
    silent: Matched = {**asked, "nd_sll": NO_OPTION}
    yield write("neighbour", HIGH, silent, *turned, goto="advertise")
    if flags:  # whoever is no router is told of in one flow for all (`bridge`)
        to_all = (*turned, *_to_all(flags))
        yield write("neighbour", EXCEPTION, {**silent, "ipv6_src": 0}, *to_all, goto="advertise")


def _turned(mac: int) -> tuple[Action, ...]:
    """A solicitation goes back to who asks."""
    return (
        copying("eth_src", "eth_dst"),
        setting("eth_src", mac),
        copying("ipv6_src", "ipv6_dst"),
    )


def _advertised(flags: int) -> tuple[Action, ...]:
    """It becomes an advertisement."""
    return (
        setting("ip_ttl", 255),
        setting("icmpv6_type", 136),
        setting("nd_reserved", flags | OVERRIDES),
    )


FEATURE = Feature(
    "neighbour",
    ID,
    "answers ARP and neighbour solicitations",
    {"Host": bridge, "Endpoint": endpoint, "Network": gateway},
)
