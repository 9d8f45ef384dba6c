# SPDX-License-Identifier: Apache-2.0
"""The pipeline: what every table is for and may do, in the order in which packets meet them.

To add a table, put it where its packets pass, say what it may match, set and go to, and
run ``scripts/generate`` and ``scripts/golden``. Numbers follow from the order; a release that
renumbers raises `cookies.GENERATION`.

::

                                                   advertise
                                                      ▲
    endpoint ─► classify ─► spoof_guard ─► edge ─► neighbour ─► gateway ─► egress
                                                                             │
                                                                     ┌───────┘
                                                                     ▼
                                    ┌──────────── steer ◄───────── switch ─► route ─► steer, deliver
                                    ▼               ▼                ▼
                      pin ◄─ path ◄─ count       transit          ingress
                       └─► transit

    tunnel, wire ─► classify ─► arrival ─► deliver ─► remember ─► follow ─► ingress ─► output
                                  └─► transit (not for this bridge)

    egress, ingress ─► state ─► peer ─► tiers ─► isolation ─► baseline ─► verdict

Before ``classify`` there is ``entry``, which does nothing on most bridges. What ``spoof_guard``
drops is counted in ``refused``. ``switch`` goes by ``size`` where packets may be too long
for what is next. What ``switch``, ``route`` and ``deliver`` cannot forward ends in ``complaints``
and ``complain``; of what ``output`` sends, ``answers`` makes copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contract:
    """What flows of one table may do; names of fields and tables."""

    name: str
    purpose: str
    matches: frozenset[str]
    sets: frozenset[str]
    goes_to: frozenset[str]
    outputs: bool = False
    miss: str | None = None
    """Table that packets go to when no flow matches; None drops them."""


def _contract(  # noqa: PLR0913 - a declaration, read as a row
    name: str,
    purpose: str,
    *,
    matches: str,
    sets: str = "",
    goes_to: str = "",
    outputs: bool = False,
    miss: str | None = None,
) -> Contract:
    onward = frozenset(goes_to.split()) | ({miss} if miss else set())
    return Contract(
        name, purpose, frozenset(matches.split()), frozenset(sets.split()), onward, outputs, miss
    )


_CONNECTION = (
    "eth_type ip_proto tcp_dst udp_dst sctp_dst icmp_type icmp_code icmpv6_type icmpv6_code"
)


def _policing(way: str, whose: str, peer: str, then: str) -> Iterator[Contract]:
    """The tables that ask the policies of an endpoint, one way.

    Args:
        way: ``egress`` or ``ingress``.
        whose: field that says whose packet it is.
        peer: fields with the address of the other end.
        then: where packets go that may pass.
    """
    yield _contract(
        way,
        "Whether policies are about the endpoint here; who that is.",
        matches=f"{whose} eth_type",
        sets="reg6 reg7 reg8",
        goes_to=f"{way}_state",
        miss=then,
    )
    yield _contract(
        f"{way}_state",
        "Replies pass; what belongs to no connection stops; what begins one is asked about.",
        matches="eth_type ip_proto ct_state ct_label",
        goes_to=then,
        miss=f"{way}_peer",
    )
    yield _contract(
        f"{way}_peer",
        "Who is at the other end, by address.",
        matches=f"reg1 reg2 eth_type {peer}",
        sets="reg7",
        miss=f"{way}_tiers",
    )
    yield from _rules(way, peer)
    yield _contract(
        f"{way}_verdict",
        "Counts what was decided, remembers it with the connection, and does it.",
        matches=f"reg2 reg7 reg8 eth_type {peer} ip_proto tcp_flags ct_state ct_label",
        sets="ct_label",
        goes_to=then,
    )


def _rules(way: str, peer: str) -> Iterator[Contract]:
    """The tables that hold rules, in the order in which they are asked until one decides."""
    asked = f"reg2 reg6 reg7 conj_id {peer} {_CONNECTION}"
    verdict = f"{way}_verdict"
    yield _contract(
        f"{way}_tiers",
        "Rules of tiers in their order: the first that matches decides.",
        matches=asked,
        sets="reg8",
        goes_to=verdict,
        miss=f"{way}_isolation",
    )
    yield _contract(
        f"{way}_isolation",
        "What is isolated may do what some rule allows.",
        matches=asked,
        sets="reg8",
        goes_to=verdict,
        miss=f"{way}_baseline",
    )
    yield _contract(
        f"{way}_baseline",
        "Rules of the baseline in their order, then the tenant's default.",
        matches=asked,
        sets="reg8",
        miss=verdict,
    )


CONTRACTS = (
    _contract(
        "entry",
        "All that comes in; where a bridge is made to forget what it worked out before (eras).",
        matches="ct_mark",
        sets="reg9",
        goes_to="classify",
        miss="classify",
    ),
    _contract(
        "classify",
        "Where the packet came from; which network and tenant it is in.",
        matches="in_port eth_type",
        sets="reg0 reg1 reg2 reg4",
        goes_to="spoof_guard arrival",
    ),
    _contract(
        "spoof_guard",
        "An endpoint speaks only with its own MAC and addresses, in Ethernet, ARP and ND.",
        matches="in_port eth_src eth_dst eth_type ip_src ip_dst ipv6_src arp_spa arp_sha arp_tpa "
        "ip_proto ip_ttl icmpv6_type icmpv6_code nd_target nd_sll nd_tll udp_src udp_dst vlan_vid",
        sets="reg0",
        goes_to="edge",
        miss="refused",
    ),
    _contract(
        "refused",
        "Counts what endpoints try that they may not, by endpoint and kind; all of it ends here.",
        matches="in_port reg0",
    ),
    _contract(
        "edge",
        "What configures an endpoint (DHCP, router solicitations) is asked of the controller.",
        matches="in_port reg1 eth_dst eth_type ip_dst ipv6_dst ip_proto udp_src udp_dst "
        "icmpv6_type icmpv6_code",
        miss="neighbour",
    ),
    _contract(
        "neighbour",
        "Answers ARP and neighbour solicitations for everything the network has, on the spot.",
        matches="reg1 eth_type arp_op arp_tpa ip_proto ipv6_src icmpv6_type icmpv6_code nd_target "
        "nd_sll",
        sets="eth_src eth_dst arp_op arp_spa arp_sha arp_tpa arp_tha icmpv6_type "
        "ipv6_src ipv6_dst nd_options_type nd_reserved ip_ttl reg8",
        goes_to="advertise",
        outputs=True,
        miss="gateway",
    ),
    _contract(
        "advertise",
        "Finishes a neighbour advertisement: its link-layer address is the sender's; one about an "
        "address that somebody looks for before taking it goes to everybody.",
        matches="eth_type ip_proto icmpv6_type icmpv6_code ipv6_dst nd_options_type",
        sets="eth_dst ipv6_dst nd_options_type nd_reserved nd_tll",
        outputs=True,
    ),
    _contract(
        "gateway",
        "Answers echo requests to the network's gateway, the same on every bridge.",
        matches="reg1 eth_dst eth_type ip_dst ipv6_dst ip_proto icmp_type icmp_code "
        "icmpv6_type icmpv6_code",
        sets="eth_src eth_dst ip_src ip_dst ipv6_src ipv6_dst icmp_type icmpv6_type ip_ttl",
        outputs=True,
        miss="egress",
    ),
    *_policing("egress", "in_port", "ip_dst ipv6_dst", "switch"),
    _contract(
        "switch",
        "L2: the gateway's MAC goes on to be routed, an endpoint's MAC to that endpoint. Names "
        "are asked of the controller.",
        matches="in_port reg1 eth_dst eth_type ip_dst ipv6_dst ip_proto tcp_dst udp_dst",
        sets="reg0 reg3 eth_dst",
        goes_to="size route ingress steer complaints",
    ),
    _contract(
        "size",
        "Whether a packet is too long for where it is going: asked where that may be, only.",
        matches="reg1 reg2 eth_type ip_dst ipv6_dst",
        sets="reg0",
        miss="route",
    ),
    _contract(
        "route",
        "L3 between a tenant's networks: longest prefix first, within the tenant only.",
        matches="reg0 reg1 reg2 eth_type ip_dst ipv6_src ipv6_dst ip_ttl",
        sets="reg0 reg1 eth_src eth_dst ip_ttl",
        goes_to="steer deliver complaints",
    ),
    _contract(
        "steer",
        "Which path policy or reservation a packet is under; all others take the default tree.",
        matches="reg1 reg2 reg4 eth_dst eth_type ip_src ip_dst ipv6_src ipv6_dst ip_proto "
        "tcp_src tcp_dst udp_src udp_dst",
        sets="reg5",
        goes_to="count path",
        miss="transit",
    ),
    _contract(
        "count",
        "How much goes where, under policies whose paths are engineered.",
        matches="reg5 eth_dst ct_state",
        miss="path",
    ),
    _contract(
        "path",
        "A connection's path, by the colour pinned to it; a new one's, by the policy's shares.",
        matches="reg5 eth_dst ct_state ct_mark",
        sets="eth_dst",
        goes_to="pin transit",
        outputs=True,
    ),
    _contract(
        "pin",
        "Remembers the colour chosen for a connection, so that it stays.",
        matches="eth_type",
        sets="ct_mark",
        goes_to="transit",
        miss="transit",
    ),
    _contract(
        "arrival",
        "Locators of this bridge: what the slot says; all others pass on to transit.",
        matches="eth_dst reg1",
        sets="reg1 reg2 reg3 reg5 eth_dst",
        goes_to="deliver remember",
        miss="transit",
    ),
    _contract(
        "deliver",
        "The last step of a routed packet: the endpoint's MAC and port, by address.",
        matches="reg1 eth_type ip_dst ipv6_dst",
        sets="eth_dst reg0 reg3",
        goes_to="remember complaints",
    ),
    _contract(
        "remember",
        "What came by a path of its own is looked up, so that its replies take it too.",
        matches="reg5 eth_type",
        goes_to="follow",
        miss="ingress",
    ),
    _contract(
        "follow",
        "Remembers the colour that a connection's own direction came by; replies just pass.",
        matches="eth_type ct_state",
        sets="ct_mark",
        miss="ingress",
    ),
    _contract(
        "transit",
        "Towards another bridge, by the colour and bridge of the locator alone.",
        matches="eth_dst",
        sets="tun_id in_port eth_dst",
        outputs=True,
    ),
    *_policing("ingress", "reg3", "ip_src ipv6_src", "output"),
    _contract(
        "output",
        "Out of the port that was chosen, never back by the one it came in.",
        matches="reg3 eth_type ip_proto udp_src tcp_src tcp_flags ct_state",
        goes_to="answers",
        outputs=True,
    ),
    _contract(
        "complaints",
        "What cannot be forwarded: as much of it as is answered to one endpoint.",
        matches="in_port",
        miss="complain",
    ),
    _contract(
        "complain",
        "What cannot be forwarded goes to the controller, which tells the sender why (ICMP).",
        matches="reg0 reg1 eth_type ip_dst ipv6_dst",
    ),
    _contract(
        "answers",
        "What the controller has a copy of: out of the port too, unless it holds a lease on these.",
        matches="",
        outputs=True,
    ),
)
