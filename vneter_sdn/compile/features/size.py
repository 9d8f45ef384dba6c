# SPDX-License-Identifier: Apache-2.0
"""Packets too long for the network that they are routed to: found, and complained of.

Only from networks that take more than another one of their tenant, and only of what goes there: all
other packets meet none of this. Frames are measured where they are routed, before anything is put
round them, so the length is that of the packet and the Ethernet header. IPv4 packets that may be
fragmented are complained of as well: no flow fragments, nor sees that they may be; Linux, for one,
takes the hint and fragments them itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vneter_sdn.compile.facts import NETWORKS_OF_TENANT
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.queries import Segment, presence, segment
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPNetwork
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import CheckLength, Flow, Punt
from vneter_sdn.model.kinds import NetworkSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.priorities import NORMAL, OVERSIZE
from vneter_sdn.pipeline.registers import COMPLAINT, NETWORK, TENANT, TOO_LONG

ETHERNET = 14
"""Octets of the header that an MTU leaves out."""


class Narrow(NamedTuple):
    """A prefix whose network takes less."""

    prefix: IPNetwork
    mtu: int


@query
def mtu(view: View, network: Key) -> int:
    """What a network takes; apart from all else, which is read everywhere."""
    spec: NetworkSpec | None = view.get("Network", network)
    return 0 if spec is None else spec.mtu


@query
def takes(view: View, tenant: str) -> tuple[tuple[int, Key], ...]:
    """What a tenant's networks take, the least first. O(networks of the tenant)."""
    return tuple(sorted((view.ask(mtu, key), key) for key in view.find(NETWORKS_OF_TENANT, tenant)))


@query
def least(view: View, tenant: str) -> int:
    """What the narrowest of a tenant's networks takes: all that most networks ask."""
    return min((taken for taken, _ in view.ask(takes, tenant)), default=0)


@query
def narrower(view: View, network: Key) -> tuple[Narrow, ...]:
    """Prefixes of the tenant's networks that take less than this one; O(1) where there are none."""
    own = view.ask(segment, network)
    taken = view.ask(mtu, network)
    if own is None or taken <= view.ask(least, network.tenant):
        return ()
    families = {prefix.version for prefix in own.prefixes}
    found: list[Narrow] = []
    for less, key in view.ask(takes, network.tenant):
        other = view.ask(segment, key) if less < taken else None
        prefixes = other.prefixes if other else ()
        found += [Narrow(prefix, less) for prefix in prefixes if prefix.version in families]
    return tuple(found)


def network(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """Packets from one network."""
    own = view.ask(segment, key)
    if own is not None:
        for narrow in view.ask(narrower, key):
            yield on(view.ask(presence, key), *_measured(own, narrow, write))


def _measured(own: Segment, narrow: Narrow, write: Writer) -> Iterator[Flow]:
    prefix = narrow.prefix
    field, ethertype = ("ip_dst", ETH_IP) if prefix.version == 4 else ("ipv6_dst", ETH_IPV6)
    there: Matched = {
        "reg1": NETWORK.match(own.vni),
        "eth_type": ethertype,
        field: (int(prefix.network_address), int(prefix.netmask)),
    }
    measured = {**there, "reg2": TENANT.match(own.tenant)}
    check = CheckLength(narrow.mtu + ETHERNET, TOO_LONG.field, TOO_LONG.first)
    yield write("size", NORMAL, measured, check, goto="route")
    longer: Matched = {**measured, "reg0": TOO_LONG.match(1)}
    wrong = COMPLAINT.load(Fault.TOO_LONG)
    yield write("route", OVERSIZE, longer, wrong, goto="complaints")
    gateway = next((one for one in own.gateways if one.version == prefix.version), None)
    if gateway is not None:
        ends = (gateway, own.gateway_mac, own.tenant, own.vni)
        said = Complaint(Fault.TOO_LONG, *ends, narrow.mtu)
        told: Matched = {**there, "reg0": COMPLAINT.match(Fault.TOO_LONG)}
        yield write("complain", NORMAL, told, Punt(said.encode(), said.meter, said.length))


FEATURE = Feature(
    "size", 25, "complains of packets too long for where they are going", {"Network": network}
)
