# SPDX-License-Identifier: Apache-2.0
"""What gateways say of themselves, asked for or not."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network

import pytest
from asking import GATEWAY_MAC, MAC, asker
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.edge import advertising
from vneter_sdn.edge.advertising import Face
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import link_local
from vneter_sdn.model.snapshot import Key
from vneter_sdn.southbound.openflow import punt, router
from vneter_sdn.southbound.openflow.icmp6 import ALL_NODES, ALL_NODES_MAC, Ends6, framed
from vneter_sdn.southbound.openflow.ip_header import checksum

OWN, ROUTERS = link_local(MAC), IPv6Address("ff02::2")
NOBODY = IPv6Address(0)
RED = asker(ra={}, dns={})


def asked(mac=None, source=OWN, hops=255):
    message = router.written_solicitation(router.Solicitation(mac))
    return framed(Ends6(MAC, 0x3333_0000_0002, source, ROUTERS), message, hops)


def told(frame):
    """The advertisement of a frame, and where that goes."""
    seen = punt.decode(frame)
    packet = seen.network
    pseudo = packet.source.packed + packet.target.packed
    message = frame[packet.payload : packet.end]
    summed = pseudo + len(message).to_bytes(4, "big") + (58).to_bytes(4, "big") + message
    assert checksum(summed) == 0
    assert (seen.ethernet.source, packet.source) == (GATEWAY_MAC, link_local(GATEWAY_MAC))
    assert packet.ttl == 255
    return router.advertisement(message), (seen.ethernet.destination, packet.target)


def test_who_asks_is_told_alone():
    word, frame = advertising.respond(RED, asked(MAC))
    said, target = told(frame)
    assert (word, target) == ("advertised", (MAC, OWN))
    assert said == router.Advertisement(
        hop_limit=64,
        managed=True,
        other=True,
        lifetime=9000,
        source_mac=GATEWAY_MAC,
        mtu=1400,
        prefixes=(router.Prefix(IPv6Network("fd00::/64"), True, False, 2_592_000, 604_800),),
        servers=(router.Servers(9000, (IPv6Address("fd00::1"),)),),
        domains=(router.Domains(9000, ("net.red.internal", "red.internal")),),
    )


def test_who_has_no_address_yet_is_told_as_everybody_is():
    _, frame = advertising.respond(RED, asked(None, NOBODY))
    assert told(frame)[1] == (ALL_NODES_MAC, ALL_NODES)


@pytest.mark.parametrize(
    ("mode", "flags", "autonomous"),
    [
        ("stateful", (True, True), False),
        ("stateless", (False, True), True),
        ("slaac", (False, False), True),
        ("off", (False, False), False),
    ],
)
def test_modes_say_where_addresses_come_from(mode, flags, autonomous):
    said, _ = told(advertising.solicited(asker(ra={"mode": mode}), asked()))
    assert (said.managed, said.other) == flags
    assert [prefix.autonomous for prefix in said.prefixes] == [autonomous]
    assert all(prefix.on_link for prefix in said.prefixes)


def test_what_a_network_says_of_it_is_told():
    ra = {
        "lifetimeSeconds": 1800,
        "intervalSeconds": 1800,
        "preference": "high",
        "hopLimit": 0,
        "validSeconds": 7200,
        "preferredSeconds": 60,
        "dnsServers": ["2001:db8::53"],
        "search": ["example.com"],
        "routes": ["2001:db8:7::/48"],
    }
    said, _ = told(advertising.unsolicited(Face.of(asker(ra=ra, mtu=1300))))
    assert (said.lifetime, said.preference, said.hop_limit, said.mtu) == (1800, "high", 0, 1300)
    assert said.servers == (router.Servers(5400, (IPv6Address("2001:db8::53"),)),)
    assert said.domains == (router.Domains(5400, ("example.com",)),)
    assert said.routes == (router.Route(IPv6Network("2001:db8:7::/48"), 5400, "high"),)
    assert (said.prefixes[0].valid, said.prefixes[0].preferred) == (7200, 60)


def test_names_of_networks_need_be_none_of_domains():
    """What DNS cannot hold is not told; all else is."""
    who = replace(asker(ra={}, dns={}), network=Key("Network", "red", "a..b"))
    said, _ = told(advertising.unsolicited(Face.of(who)))
    assert said.domains[0].names == ("red.internal",)


def test_an_advertisement_goes_into_one_packet_of_any_network():
    """What does not fit is left out, the last first."""
    search = [f"{number}{'a' * 60}.{'b' * 63}.{'c' * 60}" for number in range(8)]
    ra = {
        "search": search,
        "routes": [f"2001:db8:{number}::1/128" for number in range(16)],
        "dnsServers": [f"2001:db8::{number}" for number in range(1, 5)],
    }
    frame = advertising.unsolicited(Face.of(asker(ra=ra, mtu=1280)))
    assert len(frame) - 14 <= 1280
    said, _ = told(frame)
    assert list(said.domains[0].names) == search[:3]
    assert (len(said.routes), len(said.servers[0].addresses)) == (16, 4)


def test_a_solicitation_in_a_fragment_is_none():
    """RFC 6980 §5, also of fragments that are all there is."""
    frame = asked()
    size = int.from_bytes(frame[18:20], "big") + 8
    head = frame[:18] + size.to_bytes(2, "big") + bytes((44,)) + frame[21:54]
    fragment = head + bytes((58, 0, 0, 0, 0, 0, 0, 7)) + frame[54:]
    assert advertising.respond(RED, frame)[0] == "advertised"
    assert advertising.respond(RED, fragment) == ("ignored", None)


def test_no_default_router_has_no_preference():
    """RFC 4191 §2.2."""
    ra = {"lifetimeSeconds": 0, "preference": "high"}
    said, _ = told(advertising.unsolicited(Face.of(asker(ra=ra))))
    assert (said.lifetime, said.preference) == (0, "medium")


@pytest.mark.parametrize(
    "who",
    [asker(), asker(ra={"enabled": False}), asker(ra={}, prefixes=["10.0.0.0/24"])],
)
def test_who_has_nothing_to_say_says_nothing(who):
    assert advertising.respond(who, asked()) == ("ignored", None)
    assert advertising.unsolicited(Face.of(who)) is None


@pytest.mark.parametrize("frame", [asked(hops=254), asked()[:14] + bytes(40)])
def test_what_came_from_elsewhere_is_not_answered(frame):
    with suppress(DecodeError):
        assert advertising.solicited(RED, frame) is None


def test_nobody_has_no_link_layer_address():
    with pytest.raises(DecodeError, match="of nobody"):
        advertising.solicited(RED, asked(MAC, NOBODY))


def test_the_last_one_takes_back_what_was_told():
    face = Face.of(asker(ra={"routes": ["2001:db8:7::/48"]}, dns={}))
    said, target = told(advertising.last(face, face.spec.ra))
    assert target == (ALL_NODES_MAC, ALL_NODES)
    lifetimes = [one.lifetime for one in (*said.routes, *said.servers, *said.domains)]
    assert (said.lifetime, lifetimes) == (0, [0, 0, 0])
    assert said.prefixes == (), "addresses outlive a router"


@given(st.binary(max_size=200))
def test_any_bytes(data):
    for frame in (data, asked()[:54] + data):
        with suppress(DecodeError):
            advertising.respond(RED, frame)
