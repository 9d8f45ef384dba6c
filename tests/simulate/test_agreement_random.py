# SPDX-License-Identifier: Apache-2.0
"""On states and packets drawn at random, `bridge.run` does what Open vSwitch does."""

from ipaddress import ip_address
from random import Random

import pytest

from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    IN_PORT,
    BridgeState,
    Bucket,
    Conjunction,
    Copy,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.packet import (
    Ends,
    arp_request,
    echo,
    neighbour_solicitation,
    raw,
    tcp,
    udp,
)

PORTS = (1, 2, 3, 0x8001, 0x8002)
MACS = (0x020000000001, 0x020000000002, 0x0200010000AA)
FOURS = tuple(int(ip_address(text)) for text in ("10.0.0.1", "10.0.0.2", "10.0.1.9"))
SIXES = tuple(int(ip_address(text)) for text in ("fd00::1", "fd00::2", "fd00:0:1::9"))
REGISTERS = ("reg0", "reg1", "reg3", "reg15")
KINDS = {
    "any": {},
    "arp": {"eth_type": 0x806},
    "ip": {"eth_type": 0x800},
    "icmp": {"eth_type": 0x800, "ip_proto": 1},
    "tcp": {"eth_type": 0x800, "ip_proto": 6},
    "ipv6": {"eth_type": 0x86DD},
    "ns": {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0},
    "na": {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 136, "icmpv6_code": 0},
}
POOLS = {
    "eth_src": MACS,
    "eth_dst": MACS,
    "arp_sha": MACS,
    "arp_tha": MACS,
    "nd_sll": MACS,
    "nd_tll": MACS,
    "arp_spa": FOURS,
    "arp_tpa": FOURS,
    "ip_src": FOURS,
    "ip_dst": FOURS,
    "ipv6_src": SIXES,
    "ipv6_dst": SIXES,
    "nd_target": SIXES,
    "arp_op": (1, 2),
    "icmp_type": (0, 8),
    "tcp_dst": (80, 443),
    "ip_ttl": (1, 2, 64),
    "tun_id": (0, 5, 7),
    "icmpv6_type": (135, 136),
    **dict.fromkeys(REGISTERS, (0, 1, 5, 0x8001, 0x10002)),
}
PARTIAL = ("eth_dst", "ip_dst", "ip_src", "ipv6_dst", "tun_id", *REGISTERS)


def fields_of(kind):
    """Fields a flow of this kind may match or set."""
    present = KINDS[kind].items()
    allowed = [
        name
        for name in POOLS
        if set(FIELDS[name].needs) <= set(present) and name not in KINDS[kind]
    ]
    return [n for n in allowed if n != "ip_ttl" or KINDS[kind].get("eth_type") in (0x800, 0x86DD)]


def draw_match(rng, kind):
    terms = dict(KINDS[kind])
    if rng.random() < 0.5:
        terms["in_port"] = rng.choice(PORTS)
    for name in rng.sample(fields_of(kind), rng.randint(0, 2)):
        value, full = rng.choice(POOLS[name]), FIELDS[name].full
        mask = full
        if name in PARTIAL and rng.random() < 0.5:
            mask = full ^ ((1 << rng.randint(1, 9)) - 1)
        terms[name] = (value & mask, mask)
    return match(**terms)


def draw_action(rng, kind, table):
    name = rng.choice(fields_of(kind))
    width = FIELDS[name].bits
    register = rng.choice(REGISTERS)
    bits = rng.choice([b for b in (8, 16, 32) if b <= min(width, 32)])
    settable = [n for n in fields_of(kind) if not (n == "ip_ttl" and kind == "any")]
    target = rng.choice(settable)
    options = [
        lambda: Output(rng.choice((*PORTS, IN_PORT))),
        lambda: SetField(target, rng.choice(POOLS[target]), FIELDS[target].full),
        lambda: SetField(register, 0x50, 0xF0),
        lambda: Copy(name, register, bits, rng.randint(0, width - bits), 32 - bits),
        lambda: Punt(b"\x01\x02", max_len=128),
        lambda: OutputField(register),
    ]
    if table < 3:
        options.append(lambda: Resubmit(rng.randint(table + 1, 3)))
    if kind not in ("any", "arp"):
        options.append(DecTtl)
    if kind == "ns":
        options.append(lambda: SetField("icmpv6_type", 136, 0xFF))
    options += [lambda: GroupAction(rng.randint(1, 4)), lambda: MeterAction(1)]
    return rng.choice(options)()


def draw_state(rng):
    flows = {}
    for table in range(4):
        for priority in range(1, 13):
            kind = rng.choice(list(KINDS))
            actions = [draw_action(rng, kind, table) for _ in range(rng.randint(0, 4))]
            # Open vSwitch wants a meter before everything else.
            actions.sort(key=lambda action: not isinstance(action, MeterAction))
            actions = actions[:1] + [a for a in actions[1:] if not isinstance(a, MeterAction)]
            goto = rng.choice([None, *range(table + 1, 4)])
            flow = Flow(table, priority, draw_match(rng, kind), tuple(actions), goto)
            flows[flow.key] = flow
    mark = SetField("eth_dst", MACS[2], FIELDS["eth_dst"].full)
    groups = (
        Group(1, "all", (Bucket((Output(1), mark)), Bucket((Output(2),)), Bucket((Output(3),)))),
        Group(2, "indirect", (Bucket((Output(0x8001), mark)),)),
        Group(3, "ff", (Bucket((Output(2),), watch_port=1), Bucket((Output(3),), watch_port=1))),
        Group(4, "select", (Bucket((Output(2),), weight=0), Bucket((mark, Output(3)), weight=1))),
    )
    return BridgeState(flows, {g.group: g for g in groups}, {1: Meter(1, 1000, 1000)})


def draw_packet(rng):
    eth_src, eth_dst = rng.choice(MACS), rng.choice(MACS)
    four = Ends(eth_src, eth_dst, *(ip_address(rng.choice(FOURS)) for _ in range(2)))
    six = Ends(eth_src, eth_dst, *(ip_address(rng.choice(SIXES)) for _ in range(2)))
    ttl = rng.choice((1, 2, 64))
    packet = rng.choice(
        [
            arp_request(eth_src, rng.choice(FOURS), rng.choice(FOURS)),
            neighbour_solicitation(eth_src, six.source, six.target),
            echo(four, ttl=ttl),
            echo(six, ttl=ttl),
            tcp(four, 1000, rng.choice((80, 443)), ttl=ttl),
            udp(six, 1000, 53, ttl=ttl),
            raw(eth_src, eth_dst, 0x88CC),
        ]
    )
    tag = rng.choice((0, 0, 0, 0x1005))
    return packet.at(rng.choice(PORTS)).with_(vlan_vid=tag, tun_id=rng.choice((0, 5, 7)))


@pytest.fixture(scope="module")
def bridge(sandbox):
    made = sandbox.bridge(PORTS)
    made.sandbox.control("netdev-dummy/set-admin-state", "up")
    return made


def passed(bridge, state, draw):
    """A bridge gets a state; packets that are drawn, and what the simulator makes of them."""
    bridge.load(state)
    datapath = Datapath.of(state)
    for _ in range(100):
        packet = draw()
        yield packet, run(datapath, packet)


@pytest.mark.ovs
@pytest.mark.parametrize("seed", range(25))
def test_agrees_on_random_states(bridge, seed):
    rng = Random(seed)
    state = draw_state(rng)
    for packet, result in passed(bridge, state, lambda: draw_packet(rng)):
        assert not result.ambiguities
        assert not bridge.disagreement(packet, result), packet


CLAUSES = (
    ("ip_dst", (*FOURS, (0x0A000000, 0xFFFF0000), (0x0A000000, 0xFF000000))),
    ("reg1", (0, 1, 5)),
    ("tcp_dst", (80, 443, (0x1B0, 0xFFF0))),
)
"""Fields of the clauses, and values of each."""


def draw_conjunctions(rng):
    """Two tables: the first loads a register, the second is of conjunctions and plain flows."""
    flows = {}

    def add(*parts):
        flow = Flow(*parts)
        flows.setdefault(flow.key, flow)

    for value, address in enumerate(FOURS):
        add(0, 5, match(eth_type=0x800, ip_src=address), (SetField("reg1", value, 0xFF),), 1)
    add(0, 1, (), (), 1)
    for priority in rng.sample(range(2, 60), 12):
        number, of = priority * 7, rng.choice((2, 3))
        for clause, (name, values) in enumerate(rng.sample(CLAUSES, of), 1):
            for value in rng.sample(values, rng.randint(1, 2)):
                needs = {"ip_proto": 6} if name == "tcp_dst" else {}
                matched = match(eth_type=0x800, **needs, **{name: value})
                add(1, priority, matched, (Conjunction(number, clause, of),))
        if rng.random() < 0.9:
            add(1, rng.choice((priority, 1)), match(conj_id=number), (Output(rng.choice(PORTS)),))
    for priority in rng.sample(range(60), 5):
        add(1, priority, draw_match(rng, rng.choice(("ip", "tcp", "any"))), (Output(3),))
    return BridgeState(flows)


def draw_tcp(rng):
    ends = Ends(MACS[0], MACS[1], *(ip_address(rng.choice(FOURS)) for _ in range(2)))
    return tcp(ends, 1000, rng.choice((80, 443))).at(rng.choice(PORTS))


@pytest.mark.ovs
@pytest.mark.parametrize("seed", range(25))
def test_agrees_on_random_conjunctions(bridge, seed):
    rng = Random(seed)
    state = draw_conjunctions(rng)
    for packet, result in passed(bridge, state, lambda: draw_tcp(rng)):
        if not result.ambiguities:  # a plain flow and a conjunction of one priority
            assert not bridge.disagreement(packet, result), packet


def test_the_conjunctions_drawn_are_met():
    met = 0
    for seed in range(5):
        rng = Random(seed)
        datapath = Datapath.of(draw_conjunctions(rng))
        for _ in range(100):
            result = run(datapath, draw_tcp(rng))
            met += any(term.field == "conj_id" for _, flow in result.trail for term in flow.match)
    assert met > 100
