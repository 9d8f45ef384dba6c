# SPDX-License-Identifier: Apache-2.0
"""What clients of DHCPv6 are answered, in every state that they may be in."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from asking import GATEWAY_MAC, MAC, asker
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.edge.dhcp6 import REFRESH, duid, respond
from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import link_local
from vneter_sdn.southbound.openflow import datagram, dhcp6
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.dhcp6 import Association, Code, Kind, Lease, Message, Wish

OWN, GATEWAY = IPv6Address("fd00::9"), link_local(GATEWAY_MAC)
SERVERS = IPv6Address("ff02::1:2")
CLIENT, SERVER = bytes((0, 3, 0, 1, 2, 0, 0, 0, 0, 9)), duid(GATEWAY_MAC)
RED = asker(ra={"ntpServers": ["fd00::123"]}, dns={})
HELD = Association(5, leases=(Lease(OWN),))
LEASED = Association(5, 302_400, 483_840, (Lease(OWN, 604_800, 2_592_000),))


def said(kind, *associations, server=None, **more):
    return Message(kind, 0x123456, CLIENT, server, associations, **more)


def ask(message, who=RED, target=SERVERS):
    """What became of it, and the answer."""
    payload = dhcp6.encode(message)
    ends = (MAC, 0x3333_0001_0002, link_local(MAC), target)
    word, answer = respond(who, datagram.written(Datagram(*ends, 546, 547, payload)))
    if answer is None:
        return word, None
    sent = datagram.read(answer)
    assert (sent.source_mac, sent.source, sent.source_port) == (GATEWAY_MAC, GATEWAY, 547)
    assert (sent.target_mac, sent.target, sent.target_port) == (MAC, link_local(MAC), 546)
    told = dhcp6.decode(sent.payload)
    assert (told.transaction, told.client, told.server) == (0x123456, message.client, SERVER)
    return word, told


def status(answer):
    return answer.status and answer.status.code


def test_an_offer_is_the_address_that_was_allocated():
    hint = Association(5, leases=(Lease(IPv6Address("fd00::77")),))
    word, offer = ask(said(Kind.SOLICIT, hint))
    assert (word, offer.kind, offer.rapid) == ("offered", Kind.ADVERTISE, False)
    assert offer.associations == (LEASED,)


def test_two_messages_do_where_the_client_wants_it_so():
    _, reply = ask(said(Kind.SOLICIT, Association(5), rapid=True))
    assert (reply.kind, reply.rapid, reply.associations) == (Kind.REPLY, True, (LEASED,))


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (said(Kind.REQUEST, HELD, server=SERVER), "leased"),
        (said(Kind.REQUEST, Association(5), server=SERVER), "leased"),
        (said(Kind.RENEW, HELD, server=SERVER), "leased"),
        (said(Kind.REBIND, HELD), "leased"),
    ],
)
def test_the_address_is_leased(message, word):
    got, reply = ask(message)
    assert (got, reply.kind, reply.associations) == (word, Kind.REPLY, (LEASED,))


def test_other_addresses_end_when_it_renews():
    other = Lease(IPv6Address("fd00::77"))
    held = Association(5, leases=(other, Lease(OWN)))
    _, reply = ask(said(Kind.RENEW, held, server=SERVER))
    assert reply.associations == (replace(LEASED, leases=(*LEASED.leases, other)),)


def test_what_lies_elsewhere_is_not_on_link():
    away = Association(5, leases=(Lease(IPv6Address("2001:db8::1")),))
    word, reply = ask(said(Kind.REQUEST, away, server=SERVER))
    assert (word, status(reply.associations[0])) == ("refused", Code.NOT_ON_LINK)
    assert reply.associations[0].leases == ()


def test_an_endpoint_has_one_address():
    _, reply = ask(said(Kind.REQUEST, HELD, Association(6), server=SERVER))
    assert [status(one) for one in reply.associations] == [None, Code.NO_ADDRESSES]


def test_nobody_need_wait_for_another_server():
    """RFC 8415 §18.2.1: who is offered that by the highest preference asks for it at once."""
    _, offer = ask(said(Kind.SOLICIT, Association(5)))
    assert offer.preference == 255
    _, reply = ask(said(Kind.REQUEST, HELD, server=SERVER))
    assert reply.preference is None


WISHES = (Wish(dhcp6.TEMPORARY, 8), Wish(dhcp6.DELEGATION, 9))


@pytest.mark.parametrize(
    ("kind", "server", "codes"),
    [
        (Kind.SOLICIT, None, [Code.NO_ADDRESSES, Code.NO_PREFIXES]),
        (Kind.REQUEST, SERVER, [Code.NO_ADDRESSES, Code.NO_PREFIXES]),
        (Kind.RENEW, SERVER, [Code.NO_BINDING] * 2),
        (Kind.REBIND, None, [Code.NO_BINDING] * 2),
        (Kind.RELEASE, SERVER, [Code.NO_BINDING] * 2),
        (Kind.DECLINE, SERVER, [Code.NO_BINDING] * 2),
    ],
)
def test_neither_prefixes_nor_passing_addresses_are_given(kind, server, codes):
    """Who asks for both, as routers do, gets its address all the same."""
    word, reply = ask(said(kind, HELD, server=server, wishes=WISHES))
    assert [(one.kind, one.number) for one in reply.wishes] == [(4, 8), (25, 9)]
    assert [one.status.code for one in reply.wishes] == codes
    assert word != "refused"
    if kind not in (Kind.RELEASE, Kind.DECLINE):
        assert reply.associations == (LEASED,)


@pytest.mark.parametrize(("kind", "server"), [(Kind.RENEW, SERVER), (Kind.REBIND, None)])
def test_what_nobody_has_ends_when_it_is_renewed(kind, server):
    """RFC 8415 §18.3.4, §18.3.5: addresses with no time left, or no binding."""
    who = asker(ra={"mode": "stateless"}, dns={})
    message = said(kind, HELD, Association(6), server=server)
    _, reply = ask(message, who)
    assert reply.associations[0] == Association(5, leases=(Lease(OWN),))
    assert status(reply.associations[1]) == Code.NO_BINDING


@pytest.mark.parametrize(
    ("address", "code"), [(OWN, Code.SUCCESS), (IPv6Address("fd00::77"), Code.NOT_ON_LINK)]
)
def test_who_comes_back_is_told_whether_it_may_stay(address, code):
    _, reply = ask(said(Kind.CONFIRM, Association(5, leases=(Lease(address),))))
    assert (status(reply), reply.associations) == (code, ())


@pytest.mark.parametrize("kind", [Kind.RELEASE, Kind.DECLINE])
def test_what_is_given_back_is_taken_note_of(kind):
    word, reply = ask(said(kind, HELD, server=SERVER))
    assert (word, status(reply), reply.associations) == (f"{kind.name.lower()}d", 0, ())
    _, reply = ask(said(kind, Association(5, leases=(Lease(GATEWAY),)), server=SERVER))
    assert [status(one) for one in reply.associations] == [Code.NO_BINDING]


def test_without_addresses_the_rest_is_told():
    who = asker(ra={"mode": "stateless"}, dns={})
    message = Message(Kind.INFORMATION_REQUEST, 0x123456, CLIENT)
    word, reply = ask(message, who)
    assert (word, reply.refresh) == ("informed", REFRESH)
    assert reply.dns == (IPv6Address("fd00::1"),)
    assert reply.domains == ("net.red.internal", "red.internal")
    _, offer = ask(said(Kind.SOLICIT, Association(5), rapid=True), who)
    assert (offer.kind, status(offer.associations[0])) == (Kind.ADVERTISE, Code.NO_ADDRESSES)


def test_options_are_those_asked_for():
    clocks = (IPv6Address("fd00::123"),)
    _, all_ = ask(said(Kind.REQUEST, HELD, server=SERVER))
    assert (all_.sntp, all_.ntp, all_.dns) == (clocks, clocks, (IPv6Address("fd00::1"),))
    _, some = ask(said(Kind.REQUEST, HELD, server=SERVER, wanted=(dhcp6.NTP, 99)))
    assert (some.sntp, some.ntp, some.dns, some.domains) == ((), clocks, (), ())


@pytest.mark.parametrize(
    "message",
    [
        said(Kind.REQUEST, HELD),
        said(Kind.REQUEST, HELD, server=b"another"),
        said(Kind.SOLICIT, HELD, server=SERVER),
        said(Kind.CONFIRM),
        replace(said(Kind.SOLICIT, HELD), client=None),
        said(Kind.INFORMATION_REQUEST, HELD),
        said(Kind.INFORMATION_REQUEST, server=b"another"),
        said(Kind.ADVERTISE, HELD, server=SERVER),
        said(Kind.REPLY, HELD, server=SERVER),
        said(Kind.RECONFIGURE, server=SERVER),
    ],
)
def test_what_is_for_others_is_not_answered(message):
    assert ask(message) == ("ignored", None)


def test_a_server_that_was_asked_alone_wants_all_to_be_asked():
    word, reply = ask(said(Kind.RENEW, HELD, server=SERVER), target=GATEWAY)
    assert (word, status(reply), reply.associations) == ("refused", Code.USE_MULTICAST, ())
    assert ask(said(Kind.SOLICIT, HELD), target=GATEWAY) == ("ignored", None)


@pytest.mark.parametrize(
    "who",
    [
        asker(),
        asker(ra={"enabled": False}),
        asker(ra={"mode": "slaac"}),
        asker(ra={"mode": "off"}),
    ],
)
def test_who_has_nothing_to_be_told_is_not_answered(who):
    assert ask(said(Kind.SOLICIT, Association(5)), who) == ("ignored", None)


def test_a_lease_that_does_not_end_is_never_renewed():
    endless = {"preferredSeconds": dhcp6.FOREVER, "validSeconds": dhcp6.FOREVER}
    _, reply = ask(said(Kind.REQUEST, HELD, server=SERVER), asker(ra=endless))
    (one,) = reply.associations
    assert (one.renew, one.rebind, one.leases[0].valid) == (dhcp6.FOREVER,) * 3


def test_duids_of_any_length_come_back_as_they_are():
    client = b"x" * dhcp6.LONGEST_DUID
    _, reply = ask(replace(said(Kind.REQUEST, HELD, server=SERVER), client=client))
    assert reply.client == client


@given(st.binary(max_size=300), st.integers(1, 11))
def test_any_bytes(data, kind):
    for payload in (data, bytes((kind, 0, 0, 1)) + data):
        ends = (MAC, 1, link_local(MAC), SERVERS)
        with suppress(DecodeError):
            respond(RED, datagram.written(Datagram(*ends, 546, 547, payload)))
