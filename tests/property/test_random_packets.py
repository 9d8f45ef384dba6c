# SPDX-License-Identifier: Apache-2.0
"""Whatever an endpoint sends, nothing happens that the intent does not allow."""

from ipaddress import ip_address
from random import Random

from fleet_intents import plans, world_of
from fleet_packets import Vocabulary
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.model.fields import ETH_ARP, ETH_IP, ETH_IPV6, PROTO_ICMP, PROTO_ICMPV6


def ends_of(packet):
    """Addresses an IP packet is from and for; None for other packets."""
    prefix = {ETH_IP: "ip", ETH_IPV6: "ipv6"}.get(packet["eth_type"])
    if prefix is None:
        return None
    kind = ip_address("0.0.0.0" if prefix == "ip" else "::").__class__
    return kind(packet.get(f"{prefix}_src", 0)), kind(packet.get(f"{prefix}_dst", 0))


def is_allowed(world, sender, packet, arrival):
    """Judge one arrival by the rules of `simulate.meaning`."""
    target = next(s for s in world.stations if (s.host, s.port) == (arrival.host, arrival.port))
    ends = ends_of(packet)
    if not world.meaning.may_send(sender, packet.get("eth_src", 0), ends and ends[0]):
        return False
    if not world.meaning.may_reach(sender, target) or packet.get("vlan_vid"):
        return False
    if world.meaning.behind(sender.network, packet["eth_dst"]) == target:
        return arrival.packet == packet
    ours, theirs = (world.meaning.gateways[s.network] for s in (sender, target))
    routed = packet.with_(
        eth_src=theirs.mac, eth_dst=target.mac, ip_ttl=max(0, packet.get("ip_ttl", 0) - 1)
    )
    return (
        packet["eth_dst"] == ours.mac
        and ends is not None
        and packet["ip_ttl"] > 1
        and ends[0] in sender.addresses
        and world.meaning.owner(sender.tenant, ends[1]) == target
        and arrival.packet == routed
    )


def is_answerable(packet):
    """Whether the edge may answer: ARP requests, solicitations, echo (and fragments of it)."""
    if packet["eth_type"] == ETH_ARP:
        return packet["arp_op"] == 1
    if packet.get("ip_proto") == PROTO_ICMP:
        return packet.get("icmp_type", 0) in (0, 8)
    return packet.get("ip_proto") == PROTO_ICMPV6 and packet.get("icmpv6_type", 0) in (0, 128, 135)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans(), seed=st.integers(0, 1 << 32))
def test_nothing_else_happens(plan, seed):
    nothing_else_happens(world_of(plan), Random(seed), 60)


def nothing_else_happens(world, rng, packets):
    vocabulary = Vocabulary(world.snapshot, rng)
    for _ in range(packets if world.stations else 0):
        sender = rng.choice(world.stations)
        packet = vocabulary.sent_by(sender)
        delivery = world.send(sender, packet)
        assert len(delivery.reached) + len(delivery.replies) + len(delivery.punts) <= 1, packet
        assert all(is_allowed(world, sender, packet, got) for got in delivery.reached), packet
        for reply in delivery.replies:
            assert is_answerable(packet), packet
            assert reply["eth_dst"] == sender.mac == packet["eth_src"], packet
