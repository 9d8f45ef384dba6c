# SPDX-License-Identifier: Apache-2.0
"""What must hold of every compiled fleet, one function each. They say so by assertion."""

from ipaddress import ip_address, ip_network
from itertools import chain

from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.snapshot import Pools
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.locator import Locator
from vneter_sdn.pipeline.punts import Asked, Service
from vneter_sdn.simulate.fleet import Arrival, deliver
from vneter_sdn.simulate.packet import (
    BROADCAST,
    Ends,
    arp_request,
    echo,
    neighbour_solicitation,
    raw,
    tcp,
    udp,
)

STRANGER = 0x02DEADBEEF01
NOWHERE = (ip_address("203.0.113.9"), ip_address("2001:db8::9"))
ALL_NODES = ip_address("ff02::1")


def of_family(addresses, version):
    return [address for address in sorted(addresses, key=str) if address.version == version]


def address_pairs(a, b):
    """One address of each, for every family both have."""
    for version in (4, 6):
        ours, theirs = of_family(a.addresses, version), of_family(b.addresses, version)
        if ours and theirs:
            yield ours[0], theirs[0]


def conversations(ends, ttl=64):
    return (
        echo(ends, ttl=ttl),
        echo(ends, ttl=ttl, reply=True),
        tcp(ends, 40000, 80, ttl=ttl),
        udp(ends, 53, 53, ttl=ttl),
    )


def reaches_nobody(world, station, packet):
    delivery = world.send(station, packet)
    assert delivery.reached == (), packet
    assert delivery.replies == (), packet
    assert packet.get("ip_ttl", 0) <= 1 or delivery.punts == (), packet


def complaints(delivery):
    """What the controller is told that cannot be forwarded."""
    reasons = [punts.decode(punted.action.userdata) for _, punted in delivery.punts]
    return [reason for reason in reasons if isinstance(reason, Complaint)]


def switching(world):
    """In one network, a frame for a member's MAC arrives there as it was sent, and only there."""
    for a, b in world.pairs():
        if a.network != b.network:
            continue
        pairs = list(address_pairs(a, b))
        if of_family(a.addresses, 6):
            pairs.append((link_local(a.mac), link_local(b.mac)))
        for source, target in pairs:
            ends = Ends(a.mac, b.mac, source, target)
            for packet in chain(conversations(ends), conversations(ends, ttl=1)):
                delivery = world.send(a, packet)
                assert delivery.reached == (Arrival(b.host, b.port, packet),), packet
                assert delivery.replies == (), packet
                assert delivery.punts == (), packet


def routing(world):
    """Between a tenant's networks a packet arrives with the gateway's MAC and one hop less."""
    for a, b in world.pairs():
        if a.tenant != b.tenant or a.network == b.network:
            continue
        ours, theirs = world.meaning.gateways[a.network], world.meaning.gateways[b.network]
        for source, target in address_pairs(a, b):
            ends = Ends(a.mac, ours.mac, source, target)
            for packet in chain(conversations(ends), conversations(ends, ttl=2)):
                expected = packet.with_(
                    eth_src=theirs.mac, eth_dst=b.mac, ip_ttl=packet["ip_ttl"] - 1
                )
                delivery = world.send(a, packet)
                assert delivery.reached == (Arrival(b.host, b.port, expected),), packet
                assert delivery.replies == (), packet


def time_to_live(world):
    """A packet that may not live longer is not routed, and said to have expired."""
    for a, b in world.pairs():
        if a.tenant == b.tenant and a.network != b.network:
            gateway = world.meaning.gateways[a.network]
            for source, target in address_pairs(a, b):
                ends = Ends(a.mac, gateway.mac, source, target)
                for ttl in (0, 1):
                    for packet in conversations(ends, ttl=ttl):
                        delivery = world.send(a, packet)
                        assert delivery.reached == (), packet
                        ((host, punted),) = delivery.punts
                        assert (host, punted.packet.frame) == (a.host, packet)


def confinement(world):
    """Link-local packets stay in their network (RFC 4291 §2.5.6)."""
    for a in world.stations:
        gateway, own = world.meaning.gateways[a.network], link_local(a.mac)
        for b in world.stations:
            for source in of_family(a.in_network, 6):
                for target in of_family(b.in_network, 6):
                    if source == own or target == link_local(b.mac):
                        for packet in conversations(Ends(a.mac, gateway.mac, source, target)):
                            reaches_nobody(world, a, packet)


def tunnels(world):
    """What comes by a tunnel is believed only if its locator and its VNI are of one network."""
    vnis = {a.owner: int(a.value) for a in _held(world, Pools.VNI)}
    bridges = {a.owner.removeprefix("Host "): int(a.value) for a in _held(world, Pools.BRIDGE)}
    for slot, station in _slots(world):
        right = vnis[str(station.network)]
        mac = Locator(0, bridges[station.host], slot).mac
        for port in [near.port for near in world.fleet.tunnels if near.host == station.host]:
            for address in station.addresses:
                source = NOWHERE[address.version == 6]
                for vni in (*vnis.values(), 0, 0xABCDEF, right | 1 << 24):
                    packet = tcp(Ends(STRANGER, mac, source, address), 1, 2).with_(tun_id=vni)
                    delivery = deliver(world.fleet, station.host, packet.at(port))
                    world.check(delivery, packet)
                    there = (
                        Arrival(
                            station.host, station.port, packet.with_(eth_dst=station.mac).frame
                        ),
                    )
                    believed = vni & 0xFFFFFF == right
                    assert delivery.reached == (there if believed else ()), packet
                    assert delivery.replies == (), packet


def _held(world, pool):
    return [a for a in world.snapshot.allocations.values() if a.pool == pool]


def _slots(world):
    """Every slot that leads to a station: its own, and its network's."""
    for held in _held(world, Pools.SLOT):
        for station in world.stations:
            if held.owner in (str(station.key), str(station.network)):
                yield int(held.value), station


def isolation(world):
    """Nothing addressed to another tenant's MAC, address or both reaches anybody of it."""
    ports = {(s.host, s.port): s for s in world.stations}
    for a, b in world.pairs():
        if a.tenant == b.tenant:
            continue
        gateway = world.meaning.gateways[a.network]
        other = world.meaning.gateways[b.network]
        for source, target in address_pairs(a, b):
            for mac in (b.mac, gateway.mac, other.mac, BROADCAST):
                for packet in conversations(Ends(a.mac, mac, source, target)):
                    for arrival in world.send(a, packet).reached:
                        assert ports[arrival.host, arrival.port].tenant == a.tenant, packet


def _spoofs(a, other):
    """Packets in which ``a`` pretends to be somebody else, towards itself or others."""
    four, six = of_family(other.addresses, 4), of_family(other.addresses, 6)
    for mine, theirs in address_pairs(a, other):
        for mac in (other.mac, STRANGER):
            yield from conversations(Ends(mac, other.mac, mine, theirs))
        yield from conversations(Ends(a.mac, other.mac, theirs, mine))
    for theirs in four:
        for mine in of_family(a.addresses, 4):
            yield arp_request(a.mac, int(theirs), int(mine) + 1)
            yield arp_request(a.mac, int(mine), int(theirs), sender_mac=other.mac)
            yield arp_request(other.mac, int(mine), int(theirs))
            yield arp_request(STRANGER, int(mine), int(theirs), sender_mac=a.mac)
            reply = arp_request(a.mac, int(theirs), int(mine)).with_(arp_op=2, eth_dst=other.mac)
            yield reply
    for theirs in (*six, link_local(other.mac)):
        for mine in of_family(a.addresses, 6):
            yield neighbour_solicitation(a.mac, theirs, mine)
            yield neighbour_solicitation(a.mac, mine, theirs, link_address=other.mac)
            yield neighbour_solicitation(other.mac, mine, theirs)
            yield neighbour_solicitation(STRANGER, mine, theirs, link_address=a.mac)
            advertised = neighbour_solicitation(a.mac, mine, theirs).with_(
                icmpv6_type=136, nd_sll=0, nd_options_type=2, eth_dst=other.mac
            )
            yield advertised.with_(nd_tll=a.mac)
            yield advertised.with_(nd_target=int(mine), nd_tll=other.mac)


def spoofing(world):
    """Nothing passes that does not bear the sender's own MAC and addresses."""
    for a, b in world.pairs():
        if a.mac != b.mac and not a.addresses & b.addresses:
            for packet in _spoofs(a, b):
                reaches_nobody(world, a, packet)
    for a in world.stations:
        for gateway in [world.meaning.gateways[a.network]]:
            for packet in _spoofs(a, gateway):
                reaches_nobody(world, a, packet)
        for source in NOWHERE:
            for target in of_family(a.addresses, source.version):
                for packet in conversations(Ends(a.mac, a.mac + 1, source, target)):
                    reaches_nobody(world, a, packet)


def nobody(world):
    """Unknown MACs, unowned addresses, broadcast and multicast reach nobody."""
    for a in world.stations:
        for source in a.addresses:
            for target in _unowned(world, a, source.version):
                for mac in (STRANGER, BROADCAST):
                    for packet in conversations(Ends(a.mac, mac, source, target)):
                        reaches_nobody(world, a, packet)
        reaches_nobody(world, a, raw(a.mac, BROADCAST, 0x88CC))
        reaches_nobody(world, a, raw(a.mac, STRANGER, 0x88CC))


def unreachable(world):
    """Whoever sends to an address that nobody has is told so, once, by a gateway of its tenant."""
    tenants = {a.owner: int(a.value) for a in _held(world, Pools.TENANT)}
    vnis = {int(a.value): a.owner for a in _held(world, Pools.VNI)}
    for a in world.stations:
        gateway = world.meaning.gateways[a.network]
        for source in a.addresses:
            for target in _unowned(world, a, source.version):
                for packet in conversations(Ends(a.mac, gateway.mac, source, target)):
                    delivery = world.send(a, packet)
                    assert (delivery.reached, delivery.replies) == ((), ()), packet
                    if _for_all(world, a, target):
                        assert delivery.punts == (), packet
                        continue
                    (said,) = complaints(delivery)
                    there = vnis[said.vni]
                    names = {str(key): one for key, one in world.meaning.gateways.items()}
                    assert said.fault == _fault(world, a, target), packet
                    assert said.fault == Fault.NOBODY or there == str(a.network), packet
                    assert said.tenant == tenants[f"Tenant {a.tenant}"], packet
                    assert said.gateway in names[there].addresses, packet
                    assert said.gateway_mac == names[there].mac, packet


def _for_all(world, a, target):
    """Whether an address means everybody of a network (RFC 1812 §4.2.3.1)."""
    gateways = [g for key, g in world.meaning.gateways.items() if key.tenant == a.tenant]
    prefixes = [prefix for gateway in gateways for prefix in gateway.prefixes]
    ends = {end for p in prefixes for end in (p.network_address, p.broadcast_address)}
    return target.version == 4 and target in ends


def _fault(world, a, target):
    """What is wrong with an address that nobody of the tenant has."""
    networks = [
        held.spec
        for key, held in world.snapshot.objects.items()
        if key.kind == "Network" and key.tenant == a.tenant
    ]
    known = any(target in ip_network(text) for spec in networks for text in spec.prefixes)
    return Fault.NOBODY if known else Fault.NO_ROUTE


def silence(world):
    """What is for the gateway itself, and flows do not answer, is told to be in vain."""
    for a in world.stations:
        gateway = world.meaning.gateways[a.network]
        for source, target in address_pairs(a, gateway):
            ends = Ends(a.mac, gateway.mac, source, target)
            for packet in (tcp(ends, 40000, 80), udp(ends, 5353, 5353)):
                delivery = world.send(a, packet)
                assert (delivery.reached, delivery.replies) == ((), ()), packet
                (said,) = complaints(delivery)
                assert (said.fault, said.gateway) == (Fault.GATEWAY, target), packet
        for key, other in world.meaning.gateways.items():
            for source, target in address_pairs(a, other) if key.tenant == a.tenant else ():
                ends = Ends(a.mac, gateway.mac, source, target)
                for packet in (echo(ends), echo(ends, ttl=1)) if key != a.network else ():
                    (said,) = complaints(world.send(a, packet))
                    assert (said.gateway, said.gateway_mac) == (target, other.mac), packet


def _unowned(world, a, version):
    """Addresses that nobody of the tenant has: outside and inside of its prefixes."""
    yield from of_family(NOWHERE, version)
    yield ip_address("255.255.255.255") if version == 4 else ALL_NODES
    owned = {address for s in world.stations if s.tenant == a.tenant for address in s.addresses}
    owned |= {
        g for n, gw in world.meaning.gateways.items() if n.tenant == a.tenant for g in gw.addresses
    }
    for key, held in world.snapshot.objects.items():
        if key.kind == "Network" and key.tenant == a.tenant:
            for prefix in map(ip_network, held.spec.prefixes):
                if prefix.version == version:
                    yield from (prefix[n] for n in (0, 2, 3, 17, 100, -1) if prefix[n] not in owned)


def resolution(world):
    """ARP and ND answer with the MAC of whoever has the address, and not for anybody else."""
    known = set(NOWHERE)
    known.update(*(station.in_network for station in world.stations))
    known.update(*(gateway.in_network for gateway in world.meaning.gateways.values()))
    for a in world.stations:
        for target in sorted(known - a.in_network, key=str):
            mac = world.meaning.answer(a, target)
            for source in of_family(a.in_network, target.version):
                if target.version == 4:
                    _resolves4(world, a, source, target, mac)
                else:
                    _resolves6(world, a, source, target, mac)


def _resolves4(world, a, source, target, mac):
    request = arp_request(a.mac, int(source), int(target))
    for packet in (request, request.with_(eth_dst=mac or STRANGER)):
        delivery = world.send(a, packet)
        assert delivery.reached == (), packet
        expected = packet.with_(
            eth_src=mac or 0,
            eth_dst=a.mac,
            arp_op=2,
            arp_sha=mac or 0,
            arp_spa=int(target),
            arp_tha=a.mac,
            arp_tpa=int(source),
        )
        assert delivery.replies == ((expected,) if mac else ()), packet


def _resolves6(world, a, source, target, mac):
    request = neighbour_solicitation(a.mac, source, target)
    for packet in (request, request.with_(eth_dst=mac or STRANGER, ipv6_dst=int(target))):
        delivery = world.send(a, packet)
        assert delivery.reached == (), packet
        if mac is None:
            assert delivery.replies == (), packet
            continue
        (reply,) = delivery.replies
        expected = {
            "eth_src": mac,
            "eth_dst": a.mac,
            "ipv6_src": int(target),
            "ipv6_dst": int(source),
            "ip_ttl": 255,
            "icmpv6_type": 136,
            "nd_target": int(target),
            "nd_tll": mac,
            "nd_options_type": 2,
        }
        assert {name: reply.get(name, 0) for name in expected} == expected, packet
        assert reply["nd_reserved"] & 0x60000000 == 0x60000000, packet


def duplicate_detection(world):
    """Whoever probes for its own address hears nothing (RFC 5227 §2.1.1, RFC 4862 §5.4)."""
    for a in world.stations:
        unspecified = ip_address("::")
        for own in a.addresses:
            if own.version == 4:
                reaches_nobody(world, a, arp_request(a.mac, 0, int(own)))
                reaches_nobody(world, a, arp_request(a.mac, int(own), int(own)))
            else:
                for target in (own, link_local(a.mac)):
                    probe = neighbour_solicitation(a.mac, unspecified, target, link_address=0)
                    reaches_nobody(world, a, probe)


def taken_addresses(world):
    """Who probes for an address that somebody has is told, as everybody is (RFC 4861 §7.2.4)."""
    unspecified = ip_address("::")
    for a in world.stations:
        for target in of_family(chain(*(b.in_network for b in world.stations)), 6):
            mac = world.meaning.answer(a, target)
            if not of_family(a.addresses, 6) or target in a.in_network:
                continue
            probe = neighbour_solicitation(a.mac, unspecified, target, link_address=0)
            delivery = world.send(a, probe)
            assert (delivery.reached, delivery.punts) == ((), ()), probe
            if mac is None:
                assert delivery.replies == (), probe
                continue
            (reply,) = delivery.replies
            assert (reply["eth_src"], reply["eth_dst"]) == (mac, 0x3333_0000_0001)
            assert (reply["ipv6_src"], reply["ipv6_dst"]) == (int(target), int(ALL_NODES))
            assert (reply["icmpv6_type"], reply["nd_target"]) == (136, int(target))
            assert reply["nd_reserved"] >> 29 & 0b11 == 0b01, "overrides, and is not solicited"


def gateways(world):
    """The gateway of the sender's own network answers echo requests to its addresses."""
    for a in world.stations:
        gateway = world.meaning.gateways[a.network]
        own = list(address_pairs(a, gateway))
        if of_family(a.addresses, 6):
            own.append((link_local(a.mac), link_local(gateway.mac)))
        for source, target in own:
            ends = Ends(a.mac, gateway.mac, source, target)
            for ttl in (1, 64):
                packet = echo(ends, ttl=ttl)
                delivery = world.send(a, packet)
                assert delivery.reached == (), packet
                assert delivery.replies == (echo(ends.back, ttl=64, reply=True),), packet


def asking(world):
    """Questions come to the controller alone, in the name of who sent them, if somebody answers."""
    for a in world.stations:
        spec = world.snapshot.objects[a.network].spec
        vni = next(
            int(one.value)
            for one in world.snapshot.allocations.values()
            if (one.pool, one.owner) == (Pools.VNI, str(a.network))
        )
        for service, packet in questions(world, a):
            delivery = world.send(a, packet)
            assert (delivery.reached, delivery.replies) == ((), ()), packet
            reasons = [(host, punts.decode(one.action.userdata)) for host, one in delivery.punts]
            asked = [(host, one) for host, one in reasons if isinstance(one, Asked)]
            answers = spec.dhcp if service is Service.DHCP else spec.dns
            wanted = [(a.host, Asked(service, a.port, vni, a.mac))] if answers else []
            assert asked == wanted, packet


def questions(world, a):
    nobody, everybody = ip_address("0.0.0.0"), ip_address("255.255.255.255")
    for source in (nobody, *of_family(NOWHERE, 4)):
        yield Service.DHCP, udp(Ends(a.mac, BROADCAST, source, everybody), 68, 67)
    gateway = world.meaning.gateways[a.network]
    for source, target in address_pairs(a, gateway):
        ends = Ends(a.mac, gateway.mac, source, target)
        yield Service.DNS, udp(ends, 40000, 53)
        if source.version == 4:
            yield Service.DHCP, udp(ends, 68, 67)


LAWS = (
    asking,
    unreachable,
    silence,
    taken_addresses,
    switching,
    routing,
    confinement,
    tunnels,
    time_to_live,
    isolation,
    spoofing,
    nobody,
    resolution,
    duplicate_detection,
    gateways,
)
