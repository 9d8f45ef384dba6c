# SPDX-License-Identifier: Apache-2.0
"""What clients of DHCP are answered, in every state that they may be in."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from asking import GATEWAY_MAC, MAC, asker
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.edge.dhcp4 import respond
from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import datagram, dhcp4
from vneter_sdn.southbound.openflow.datagram import Datagram
from vneter_sdn.southbound.openflow.dhcp4 import Code, Kind, Message
from vneter_sdn.southbound.openflow.labels import read_labels

OWN, GATEWAY = IPv4Address("10.0.0.9"), IPv4Address("10.0.0.1")
NOBODY, EVERYBODY = IPv4Address(0), IPv4Address("255.255.255.255")
RED = asker(dhcp={}, dns={})


def said(kind, client=NOBODY, **options):
    named = {Code[name.upper()]: value for name, value in options.items()}
    return Message(7, MAC, client=client, options={Code.KIND: bytes((kind,)), **named})


def frame(message, source=NOBODY, target=EVERYBODY):
    payload = dhcp4.encode(message, 9000)
    return datagram.written(Datagram(MAC, 0xFFFF_FFFF_FFFF, source, target, 68, 67, payload))


def ask(message, who=RED, **ends):
    """What became of it, the answer and the datagram that it is in."""
    word, answer = respond(who, frame(message, **ends))
    if answer is None:
        return word, None, None
    sent = datagram.read(answer)
    assert (sent.source_mac, sent.source, sent.source_port) == (GATEWAY_MAC, GATEWAY, 67)
    assert sent.target_port == 68
    return word, dhcp4.decode(sent.payload), sent


def number(answer, code):
    return int.from_bytes(answer.options[code], "big")


def test_an_offer_is_the_address_that_was_allocated():
    word, offer, sent = ask(said(Kind.DISCOVER, requested=IPv4Address("10.0.0.77").packed))
    assert word == "offered"
    assert (offer.kind, offer.yours, offer.client) == (Kind.OFFER, OWN, NOBODY)
    assert (offer.transaction, offer.mac, offer.reply) == (7, MAC, True)
    assert (sent.target_mac, sent.target) == (MAC, OWN)
    assert offer.address(Code.SERVER) == GATEWAY
    assert [number(offer, code) for code in (51, 58, 59)] == [86_400, 43_200, 75_600]


def test_who_takes_only_broadcasts_gets_one():
    _, offer, sent = ask(replace(said(Kind.DISCOVER), broadcast=True))
    assert (sent.target_mac, sent.target) == (0xFFFF_FFFF_FFFF, EVERYBODY)
    assert offer.broadcast


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (said(Kind.REQUEST, server=GATEWAY.packed, requested=OWN.packed), "acknowledged"),
        (said(Kind.REQUEST, server=GATEWAY.packed, requested=bytes(4)), "refused"),
        (said(Kind.REQUEST, server=bytes(4), requested=OWN.packed), "ignored"),
        (said(Kind.REQUEST, requested=OWN.packed), "acknowledged"),
        (said(Kind.REQUEST, requested=IPv4Address("10.0.0.77").packed), "refused"),
        (said(Kind.REQUEST, requested=IPv4Address("192.0.2.1").packed), "refused"),
        (said(Kind.REQUEST, client=OWN), "acknowledged"),
        (said(Kind.REQUEST, client=IPv4Address("10.0.0.77")), "refused"),
        (said(Kind.DISCOVER, rapid=b""), "acknowledged"),
        (said(Kind.INFORM, client=OWN), "acknowledged"),
        (said(Kind.INFORM, client=IPv4Address("10.0.0.77")), "ignored"),
        (said(Kind.DECLINE, requested=OWN.packed), "declined"),
        (said(Kind.RELEASE, client=OWN), "released"),
        (said(Kind.OFFER), "ignored"),
        (said(99), "ignored"),
        (Message(7, MAC), "ignored"),
        (replace(said(Kind.DISCOVER), mac=MAC + 1), "ignored"),
        (replace(said(Kind.DISCOVER), reply=True), "ignored"),
        (replace(said(Kind.DISCOVER), relay=GATEWAY), "ignored"),
    ],
)
def test_states(message, word):
    became, answer, sent = ask(message)
    assert became == word
    if word == "refused":
        assert (answer.kind, answer.yours, sent.target) == (Kind.NAK, NOBODY, EVERYBODY)
        assert Code.LEASE not in answer.options
    if word == "acknowledged":
        assert (answer.kind, sent.target, sent.target_mac) == (Kind.ACK, OWN, MAC)
        informed = message.kind == Kind.INFORM
        assert answer.yours == (NOBODY if informed else OWN)
        assert (Code.LEASE in answer.options) != informed
        assert (Code.RAPID in answer.options) == (Code.RAPID in message.options)
    if word in ("ignored", "declined", "released"):
        assert answer is None


def test_a_request_of_nothing_is_malformed():
    with pytest.raises(DecodeError, match="no address"):
        ask(said(Kind.REQUEST))


OPTIONS = {
    "leaseSeconds": 3600,
    "ntpServers": ["192.0.2.123"],
    "dnsServers": ["192.0.2.53", "192.0.2.54"],
    "domain": "example.com",
    "search": ["example.com", "example.net"],
    "routes": [{"prefix": "10.9.0.0/16"}, {"prefix": "10.8.0.0/16", "via": "10.0.0.2"}],
}


def test_everything_that_a_network_tells():
    who = asker(dhcp=OPTIONS, mtu=1380)
    _, ack, _ = ask(said(Kind.REQUEST, client=OWN, wanted=bytes(range(1, 255))), who)
    told = ack.options
    assert told[Code.MASK] == bytes((255, 255, 255, 0))
    assert told[Code.ROUTERS] == GATEWAY.packed
    assert told[Code.BROADCAST] == IPv4Address("10.0.0.255").packed
    assert told[Code.NTP_SERVERS] == IPv4Address("192.0.2.123").packed
    assert told[Code.DNS_SERVERS] == bytes((192, 0, 2, 53, 192, 0, 2, 54))
    assert (told[Code.DOMAIN], told[Code.HOST_NAME]) == (b"example.com", b"web-1")
    assert read_labels(told[Code.SEARCH]) == ("example.com", "example.net")
    assert number(ack, Code.MTU) == 1380
    assert number(ack, Code.LEASE) == 3600
    assert list(dhcp4.read_routes(told[Code.ROUTES])) == [
        (IPv4Network("10.9.0.0/16"), GATEWAY),
        (IPv4Network("10.8.0.0/16"), IPv4Address("10.0.0.2")),
        (IPv4Network("0.0.0.0/0"), GATEWAY),
    ]
    assert told[Code.MICROSOFT_ROUTES] == told[Code.ROUTES]


def test_names_make_the_gateway_a_server():
    _, ack, _ = ask(said(Kind.REQUEST, client=OWN))
    assert ack.options[Code.DNS_SERVERS] == GATEWAY.packed
    assert ack.options[Code.DOMAIN] == b"net.red.internal"
    assert read_labels(ack.options[Code.SEARCH]) == ("net.red.internal", "red.internal")


def test_without_names_nothing_is_said_of_them():
    _, ack, _ = ask(said(Kind.REQUEST, client=OWN), asker(dhcp={}))
    assert not {Code.DNS_SERVERS, Code.DOMAIN, Code.SEARCH} & ack.options.keys()


def test_options_come_in_the_order_asked_for_and_no_others():
    wanted = bytes((Code.MTU, Code.ROUTERS, 200, Code.MASK, Code.DOMAIN, Code.MTU))
    _, ack, _ = ask(said(Kind.REQUEST, client=OWN, wanted=wanted))
    assert list(ack.options)[-4:] == [Code.MASK, Code.MTU, Code.ROUTERS, Code.DOMAIN]
    assert len(ack.options) == 6 + 4 - 1


@pytest.mark.parametrize(
    ("client", "echoed"), [(bytes(2), True), (b"x" * 255, True), (b"x" * 256, False)]
)
def test_a_client_is_named_as_it_named_itself(client, echoed):
    _, offer, _ = ask(_with_client(client))
    assert (offer.options.get(Code.CLIENT) == client) == echoed


def _with_client(client):
    message = said(Kind.DISCOVER)
    return replace(message, options={**message.options, Code.CLIENT: client})


@pytest.mark.parametrize(
    "who",
    [
        asker(),
        asker(dhcp={"enabled": False}),
        asker(addresses=["fd00::9"], dhcp={}),
        asker(addresses=["fd00::9"], prefixes=["fd00::/64"], dhcp={}),
    ],
)
def test_who_has_nothing_to_be_told_is_not_answered(who):
    assert ask(said(Kind.DISCOVER), who) == ("ignored", None, None)


@given(
    st.integers(0, 2000),
    st.dictionaries(st.sampled_from([12, 55, 60, 61, 77]), st.binary(max_size=400)),
)
def test_no_answer_is_longer_than_the_client_takes(longest, options):
    """Nor than the network does: what was asked for comes first."""
    many = [{"prefix": f"10.{number}.0.0/16"} for number in range(1, 33)]
    search = [f"{'a' * 60}.{'b' * 60}.{'c' * 60}{number}" for number in range(8)]
    who = asker(dhcp=OPTIONS | {"routes": many, "search": search}, mtu=1280)
    message = said(Kind.DISCOVER)
    options = {**message.options, Code.LONGEST: longest.to_bytes(2, "big"), **options}
    _, answer = respond(who, frame(replace(message, options=options)))
    assert len(answer) - 14 <= max(576, min(longest, 1280))
    dhcp4.decode(datagram.read(answer).payload)


@given(st.binary(max_size=400))
def test_any_bytes(payload):
    head = dhcp4.encode(said(Kind.DISCOVER))[:240]
    for data in (payload, head + payload):
        sent = datagram.written(Datagram(MAC, 1, NOBODY, EVERYBODY, 68, 67, data))
        with suppress(DecodeError):
            respond(RED, sent)
