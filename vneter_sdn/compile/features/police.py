# SPDX-License-Identifier: Apache-2.0
"""Who is asked about: endpoints under policies are tracked, and everybody's identity is known.

The zone is that of the tenant, as for paths. A connection's label says which rule let it through::

    ct_label[0..31]    number of the rule of ingress     ct_label[64]   1: egress is not asked again
    ct_label[32..63]   number of the rule of egress      ct_label[65]   1: nor is ingress
                                                         ct_label[66]   1: egress cut it off
                                                         ct_label[67]   1: ingress did

A reply passes if what it answers was let through *here*, as the label says: between two endpoints
of one bridge a connection is known as soon as the first of them may send, and the second one is not
to speak under the name of an answer to what never reached it.

Packets of whoever began a connection are asked about each time, so a policy that changes is felt at
once. Their answers are not; so where such a packet is dropped of a connection that was established,
the connection is *cut off*: its label says so, and no answer passes any more, until it is allowed
again. Forgetting the connection instead would have the next answer begin one of its own.

For the same reason TCP that nobody saw the beginning of (the connection is older than the first
policy about its ends) is remembered only where a rule allows it, and passes packet by packet where
nothing is decided: an acknowledgement is not to make a connection of what it acknowledges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from vneter_sdn.compile.classes import CLASS_OF, Class, identity
from vneter_sdn.compile.features.pin import FAMILIES, tracked
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer, on
from vneter_sdn.compile.membership import class_hosts
from vneter_sdn.compile.policing import (
    WAYS,
    denies,
    isolated_in,
    names_wanted,
    naming,
    policed,
    policing,
)
from vneter_sdn.compile.queries import Place, bridge_of, place, segment, station, tenant_of
from vneter_sdn.compile.query import View, query
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6, PROTO_TCP, PROTO_UDP, TRACKED
from vneter_sdn.model.flow import Action, Conntrack, Flow, FlowKey, Meter, Punt, SetField
from vneter_sdn.model.kinds import HostSpec, TenantSpec
from vneter_sdn.model.policy_kinds import Direction
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.cookies import MAGIC_COOKIE, MAGIC_MASK
from vneter_sdn.pipeline.priorities import EXCEPTION, HIGH, LOW, NORMAL, OWN_HOST
from vneter_sdn.pipeline.registers import (
    ALLOWED,
    DENIED,
    ISOLATED,
    LOCAL,
    NETWORK,
    OUT_PORT,
    PEER,
    RULE,
    TENANT,
)
from vneter_sdn.pipeline.tables import table

METERS = (
    Meter(punts.REJECT_METER, punts.REJECT_RATE, punts.REJECT_BURST),
    Meter(punts.AUDIT_METER, punts.AUDIT_RATE, punts.AUDIT_BURST),
)
ANSWERED: tuple[str, int, Matched] = ("answers", NORMAL, {})
"""Where answers of DNS leave while nobody holds them back."""
HELD = table("answers").flow(HIGH, {}, cookie=0)
"""Keeps them from leaving; with a cookie that is nobody's, since it goes by itself."""
THEN = {"egress": "switch", "ingress": "output"}
"""Where packets go that may pass."""
_NUMBER = {"egress": 32, "ingress": 0}
_KEPT = {"egress": 64, "ingress": 65}
_CUT = {"egress": 66, "ingress": 67}
_OTHER: dict[Direction, Direction] = {"egress": "ingress", "ingress": "egress"}
_PEER = {"egress": "dst", "ingress": "src"}
_TRK, _INV = TRACKED["trk"], TRACKED["inv"]
_SYN = 2
_DNS = 53
_PUSH = 8
_VERDICTS: dict[int, Direction] = {table(f"{way}_verdict").id: way for way in WAYS}
TABLES = tuple(_VERDICTS)
"""Where decisions are counted."""
ID = 20
COOKIE, COOKIE_MASK = MAGIC_COOKIE | ID << 40, MAGIC_MASK | 0xFE << 40
"""What the cookies of flows about policies have in common: this feature's, and the next one's."""
INVALID = (_TRK | _INV, _TRK | _INV)
REPLY = (_TRK | TRACKED["rpl"], _TRK | TRACKED["rpl"] | _INV)
ESTABLISHED = (_TRK | TRACKED["est"], _TRK | TRACKED["est"] | TRACKED["rpl"] | _INV)
"""Packets of whoever began a connection that was answered."""
FRESH = (_TRK | TRACKED["new"], _TRK | TRACKED["new"] | TRACKED["rel"] | _INV)
RELATED = (_TRK | TRACKED["rel"], _TRK | TRACKED["rel"] | _INV)


def labelled(way: Direction, number: int) -> tuple[int, int]:
    """The label of connections that a rule let through, and its mask."""
    return number << _NUMBER[way], 0xFFFFFFFF << _NUMBER[way]


def kept(way: Direction) -> tuple[int, int]:
    """The label of connections that are not asked about again, and its mask."""
    return 1 << _KEPT[way], 1 << _KEPT[way]


def cut(way: Direction) -> tuple[int, int]:
    """The label of connections that were cut off, and its mask."""
    return 1 << _CUT[way], 1 << _CUT[way]


def committed(way: Direction, number: int, *, keep: bool = False) -> Conntrack:
    """Remember which rule let a connection through."""
    (value, mask), (bit, _) = labelled(way, number), kept(way)
    return _written(way, value | (bit if keep else 0), mask)


def _written(way: Direction, value: int, mask: int) -> Conntrack:
    """Remember a connection; all that its label says of this way is replaced."""
    said = SetField("ct_label", value, mask | kept(way)[1] | cut(way)[1])
    return Conntrack(
        commit=True, zone_field=TENANT.field, zone_offset=TENANT.first, actions=(said,)
    )


def refused(
    way: Direction, decided: Matched, write: Writer, *told: Action, cuts: bool = True
) -> Iterator[Flow]:
    """What becomes of packets that something decided to drop.

    Args:
        way: which way.
        decided: matches what it decided.
        write: writes them.
        told: actions that tell the controller.
        cuts: whether established connections are cut off.
    """
    verdict = f"{way}_verdict"
    yield write(verdict, NORMAL, decided, *told)
    if cuts:
        off = _written(way, cut(way)[0], labelled(way, 0)[1])
        for family in FAMILIES:
            known: Matched = {**decided, "eth_type": family, "ct_state": ESTABLISHED}
            yield write(verdict, HIGH, known, off)


def logged(way: Direction, tenant: int, number: int) -> Punt:
    """Have a line written of what is denied for want of a rule."""
    decided = punts.Decided(way, "drop", tenant, number, log=True)
    return Punt(decided.encode(), punts.AUDIT_METER, punts.AUDIT_LENGTH)


def decided(flow: FlowKey) -> tuple[Direction, int, int, bool] | None:
    """Way, number of the tenant and of the rule, and whether packets begin connections.

    None for what is no decision of a tenant's policies.
    """
    way = _VERDICTS.get(flow.table)
    terms: Mapping[str, tuple[int, int]] = {t.field: (t.value, t.mask) for t in flow.match}
    within, rule = terms.get(TENANT.field), terms.get(RULE.field)
    if way is None or within is None or rule is None:
        return None
    begins = flow.priority == NORMAL and "eth_type" in terms
    return way, within[0], rule[0], begins


def peer_address(way: Direction, address: IPAddress) -> Matched:
    """The match of an address at the other end."""
    four = address.version == 4
    name = f"{'ip' if four else 'ipv6'}_{_PEER[way]}"
    return {"eth_type": ETH_IP if four else ETH_IPV6, name: int(address)}


def endpoint(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """An endpoint: asked about where it is, known wherever its tenant is asked about."""
    here, at = view.ask(station, key), view.ask(place, key)
    one: Class | None = view.get(CLASS_OF, key)
    network = here and view.ask(segment, here.network)
    if not here or not at or not network or one is None:
        return
    number = identity(view, one)
    if policed(view, one):
        yield on(at.host, *_asked(at, number, write))
    if view.holds(names_wanted, key.tenant, one):
        told = punts.Names(network.tenant, at.ofport)
        yield Part(frozenset([at.host]), tuple(_named(told, write)), (), (told.meter,))
    hosts = view.ask(policing, key.tenant)
    if hosts:
        within: Matched = {"reg2": TENANT.match(network.tenant)}
        for way in WAYS:
            for address in here.all_addresses:
                matched = {**within, **peer_address(way, address)}
                if address not in here.addresses:  # link-local, so of its network alone
                    matched["reg1"] = NETWORK.match(network.vni)
                known = PEER.load(number)
                yield on(hosts, write(f"{way}_peer", NORMAL, matched, known, goto=f"{way}_tiers"))


def _asked(at: Place, number: int, write: Writer) -> Iterator[Flow]:
    for family in FAMILIES:
        begins: Matched = {"in_port": at.ofport, "eth_type": family}
        ends: Matched = {"reg3": OUT_PORT.match(at.ofport), "eth_type": family}
        yield write("egress", NORMAL, begins, LOCAL.load(number), tracked("egress_state"))
        # Between two endpoints of one bridge, these still say what egress found.
        forgotten = PEER.load(0), RULE.load(0)
        asked = (LOCAL.load(number), *forgotten, tracked("ingress_state"))
        yield write("ingress", NORMAL, ends, *asked)


def _named(told: punts.Names, write: Writer) -> Iterator[Flow]:
    """Answers of DNS to an endpoint, in connections of its own: the controller reads them.

    Of TCP those alone that carry the end of something said.
    """
    copied = Punt(told.encode(), told.meter.meter, punts.NAMES_LENGTH)
    for family in FAMILIES:
        answer: Matched = {"reg3": OUT_PORT.match(told.port), "eth_type": family}
        answer["ct_state"] = REPLY
        by_udp: Matched = {"ip_proto": PROTO_UDP, "udp_src": _DNS}
        by_tcp: Matched = {"ip_proto": PROTO_TCP, "tcp_src": _DNS, "tcp_flags": (_PUSH, _PUSH)}
        for by in (by_udp, by_tcp):
            yield write("output", HIGH, answer | by, copied, goto="answers")


@query
def isolation(view: View, asked: tuple[str, Direction, str]) -> tuple[Part, ...]:
    """Who is isolated in a namespace of a tenant, one way; apart, as there may be hundreds."""
    name, way, namespace = asked
    number = view.ask(tenant_of, name)
    if number is None:
        return ()
    write, stopped = Writer.of(ID, Key("Tenant", "", name)), RULE.load(ISOLATED)
    found = []
    for one in sorted(view.entry(isolated_in, name, (way, namespace)) or ()):
        matched: Matched = {
            "reg2": TENANT.match(number),
            "reg6": LOCAL.match(identity(view, one)),
        }
        flow = write(f"{way}_isolation", LOW, matched, stopped, goto=f"{way}_verdict")
        found.append(on(view.ask(class_hosts, one), flow))
    return tuple(found)


def tenant(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """What becomes of connections that no rule decides."""
    number = view.ask(tenant_of, key.name)
    if number is None:
        return
    spec: TenantSpec = view.get("Tenant", key)
    within: Matched = {"reg2": TENANT.match(number)}
    places = view.ask(isolated_in, key.name)
    for way in WAYS:
        each = (view.ask(isolation, (key.name, *at)) for at in places if at[0] == way)
        parts = tuple(part for some in each for part in some)
        yield from parts
        where = frozenset().union(*(part.hosts for part in parts))
        yield on(where, *_undecided(way, number, ISOLATED, spec, write))
    denied: frozenset[Direction] = view.ask(denies, key.name)
    for way in sorted(denied):
        flow = write(f"{way}_baseline", LOW, within, RULE.load(DENIED), goto=f"{way}_verdict")
        drops = _undecided(way, number, DENIED, spec, write)
        yield on(view.ask(policing, key.name), flow, *drops)


def _undecided(
    way: Direction, tenant: int, why: int, spec: TenantSpec, write: Writer
) -> Iterator[Flow]:
    """What is dropped for want of a rule, counted for each tenant."""
    decided: Matched = {"reg2": TENANT.match(tenant), "reg8": RULE.match(why)}
    told = (logged(way, tenant, why),) if spec.log_denied else ()
    yield from refused(way, decided, write, *told)


def bridge(view: View, host: Key, write: Writer) -> Iterator[Part]:
    """The same on every bridge, but for the addresses of the host itself.

    A host always reaches the endpoints on it (Kubernetes: for probes of their health), and
    isolation does not keep them from it, unless its address is that of an endpoint.
    """
    if view.ask(bridge_of, host.name) is None:
        return
    spec: HostSpec = view.get("Host", host)
    flows = tuple(flow for way in WAYS for flow in _of_bridge(way, write))
    yield Part(frozenset([host.name]), flows, (), METERS)
    if host.name in view.ask(naming, None):
        yield on(host.name, write(*ANSWERED, OUT_PORT.output()))
    for address in sorted({ip_address(text) for text in spec.tunnel_addresses}, key=str):
        own: Matched = {"reg7": PEER.match(0), **peer_address("ingress", address)}
        yield on(host.name, write("ingress_tiers", OWN_HOST, own, goto="ingress_verdict"))
        there: Matched = {"reg7": PEER.match(0), **peer_address("egress", address)}
        there["reg8"] = RULE.match(ISOLATED)
        passes = committed("egress", ALLOWED)
        yield on(host.name, write("egress_verdict", EXCEPTION, there, passes, goto=THEN["egress"]))


def _of_bridge(way: Direction, write: Writer) -> Iterator[Flow]:
    state, verdict, then = f"{way}_state", f"{way}_verdict", THEN[way]
    for family in FAMILIES:
        ip: Matched = {"eth_type": family}
        astray: Matched = {**ip, "ip_proto": PROTO_TCP, "ct_state": INVALID}
        yield write(state, HIGH, astray)
        for either in WAYS:
            yield write(state, HIGH, {**ip, "ct_state": REPLY, "ct_label": cut(either)})
        unasked: Matched = {**ip, "ct_state": REPLY, "ct_label": labelled(_OTHER[way], 0)}
        yield write(state, NORMAL, {**ip, "ct_state": REPLY}, goto=then)
        yield write(state, NORMAL + 1, unasked, goto=f"{way}_peer")
        yield write(state, NORMAL + 2, {**ip, "ct_state": RELATED}, goto=then)
        yield write(state, NORMAL + 3, {**ip, "ct_label": kept(way)}, goto=then)
        passes: Matched = {**ip, "reg8": RULE.match(0)}
        yield write(verdict, LOW, passes, committed(way, ALLOWED), goto=then)
        midway: Matched = {"ip_proto": PROTO_TCP, "tcp_flags": (0, _SYN), "ct_state": FRESH}
        yield write(verdict, LOW + 1, {**passes, **midway}, goto=then)
    undecided: Matched = {"reg8": RULE.match(0)}
    yield write(verdict, NORMAL, {**undecided, "ct_label": labelled(way, ALLOWED)}, goto=then)
    yield write(verdict, EXCEPTION, {**undecided, "ct_state": INVALID}, goto=then)


FEATURE = Feature(
    "police",
    ID,
    "who is asked about, and what no rule decides",
    {"Endpoint": endpoint, "Tenant": tenant, "Host": bridge},
)
