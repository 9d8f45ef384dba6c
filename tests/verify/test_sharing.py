# SPDX-License-Identifier: Apache-2.0
"""What is followed once for many is not taken for what is so of one of them that differs."""

from dataclasses import replace
from random import Random

import pytest
from change_world import change as changed
from change_world import labelled, policy, prover, rule, same, shop
from policy_traffic import sound

from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.pipeline.tables import table
from vneter_sdn.verify.facts import RULED, exactly
from vneter_sdn.verify.forwarding import ends_of
from vneter_sdn.verify.gates import Gates
from vneter_sdn.verify.narrowing import Narrowing
from vneter_sdn.verify.packets import Packets, overlap
from vneter_sdn.verify.passing import Passing
from vneter_sdn.verify.policies import News, Pages, conflicts, shadows
from vneter_sdn.verify.reach import Pair, change, reach
from vneter_sdn.verify.rulings import Place, Rulings
from vneter_sdn.verify.values import Rest, holds
from vneter_sdn.verify.written import WAYS

WEB, DB, OPS = labelled(app="web"), labelled(app="db"), labelled(app="ops")
HOSTS = ("h1", "h2", "h3")
REFUSED = policy("new", {"endpoints": {}}, priority=9.0, ingress=[rule("drop", None, 80)])


def flows_of(proof, host, name):
    """Flows of a table but for the last one."""
    flows = proof.bench.compiler.bridge(host).flows.values()
    return [f for f in flows if f.table == table(name).id and f.priority > 1]


# ---- forwarding: each kind of flow, wrong on one bridge or for one endpoint alone

FAULTY = ("classify", "switch", "route", "arrival", "deliver", "transit", "output")


@pytest.mark.parametrize("name", FAULTY)
def test_forwarding_that_is_otherwise_for_one_is_told_apart(name):
    """After a flow of forwarding was lost, policies gain and lose nothing that it took away."""
    proof = prover(shop(hosts=HOSTS))
    watch = proof.watch
    changed(proof, [policy("old", WEB, priority=9.0, ingress=[rule("drop", None, 80)])])
    for host in HOSTS[1:]:
        for flow in sorted(flows_of(proof, host, name), key=lambda one: one.key)[:2]:
            watch.update({host: {flow.key: None}}, watch.known.meaning)
            before = reach(watch.new, watch.known)
            moved = changed(proof, [REFUSED]).verdict.change
            assert same(moved, change(before, reach(watch.new, watch.known)))
            changed(proof, [{**REFUSED, "spec": {**REFUSED["spec"], "ingress": []}}])
            watch.update({host: {flow.key: flow}}, watch.known.meaning)


def test_somebody_elses_port_behind_one_slot_is_told_apart():
    """One endpoint's packets come out at its neighbour; those of all others do not."""
    proof = prover(shop(hosts=("h1", "h2")))
    watch = proof.watch
    flow, other = flows_of(proof, "h1", "arrival")[:2]
    wrong = {"h1": {flow.key: replace(flow, actions=other.actions)}}
    watch.update(wrong, watch.known.meaning)
    before = reach(watch.new, watch.known)
    moved = changed(proof, [REFUSED]).verdict.change
    assert moved.lost.allowed
    assert same(moved, change(before, reach(watch.new, watch.known)))


def test_a_change_after_one_that_could_not_be_weighed_is_as_exact():
    """Whose endpoints are an address's is not half known, where one has no tenant."""
    proof = prover(shop(hosts=("h1", "h2")))
    watch = proof.watch
    first = next(s for s in watch.known.stations if s.host == "h1")
    flow = next(f for f in flows_of(proof, "h1", "classify") if exactly(f, "in_port") == first.port)
    watch.update({"h1": {flow.key: None}}, watch.known.meaning)
    for number in range(3):
        refused = policy("new", WEB, priority=9.0, ingress=[rule("drop", None, 80 + number)])
        before = reach(watch.new, watch.known)
        moved = changed(proof, [refused]).verdict.change
        assert moved.lost.allowed
        assert same(moved, change(before, reach(watch.new, watch.known)))


# ---- gates


def between(gate, who, ends):
    """What a gate lets pass between two addresses, by what it lets pass at all."""
    version, source, target = ends
    wanted = {"reg7": who, f"{version}_src": source, f"{version}_dst": target}
    wanted["eth_type"] = 0x800 if version == "ip" else 0x86DD
    kind = {"eth_type": frozenset((wanted["eth_type"],))}
    cubes = [
        {name: values for name, values in cube.items() if name not in wanted} | kind
        for cube in gate.beginning()
        if all(name not in cube or holds(cube[name], v) for name, v in wanted.items())
    ]
    return Packets(tuple(cubes))


def test_between_two_addresses_is_a_part_of_all_that_passes():
    watch = Prover(sound()).watch
    rulings = watch._ruling()
    stations = list(watch.known.stations)
    asked = 0
    for here in stations:
        for way in WAYS:
            gate = rulings.gate(Place(here, way))
            tables = rulings.gates.tables(here.host)
            identities = [0, *tables.whose(way)]
            for other in stations:
                pair = (here, other) if way == "egress" else (other, here)
                for ends in ends_of(*pair):
                    for who in identities:
                        asked += 1
                        assert gate.between(who, ends).same(between(gate, who, ends))
    assert asked > 500


def alone(watch, pair):
    """What gates let pass of one pair, with nothing known from others."""
    rulings = Rulings(watch._indexes, watch.open, watch.known)
    return Passing(rulings).ruled((pair,))[pair]


def equal(one, other):
    """Whether what gates let pass is the same, by addresses."""
    return [ends for ends, *_ in one] == [ends for ends, *_ in other] and all(
        Packets(ours.cubes).same(Packets(theirs.cubes))
        for (_, *mine), (_, *others) in zip(one, other, strict=True)
        for ours, theirs in zip(mine, others, strict=True)
    )


@pytest.mark.parametrize("seed", range(2))
def test_what_passes_of_all_pairs_is_what_passes_of_each_alone(seed):
    """Narrowed by classes of identities and addresses, while policies come and go."""
    random = Random(seed)
    proof = prover(shop(hosts=HOSTS))
    watch = proof.watch
    shared = Passing(watch._ruling())
    stations = list(watch.known.stations)
    pairs = [Pair(a.key, b.key) for a in stations for b in stations if a is not b]
    seen = set()
    for number in range(6):
        peers = random.choice((None, WEB, OPS, {"cidr": "10.0.1.0/31"}, {"cidr": "10.0.2.0/24"}))
        way = random.choice(("ingress", "egress"))
        isolates = {"isolates": [way]} if random.random() < 0.5 else {"priority": 9.0 - number}
        action = "allow" if "isolates" in isolates else random.choice(("allow", "drop"))
        said = {way: [rule(action, peers, 80 + number)], **isolates}
        tier = "kubernetes" if "isolates" in isolates else "application"
        changed(proof, [policy(f"p{number}", random.choice((WEB, DB, OPS)), tier=tier, **said)])
        together = shared.ruled(pairs)
        for pair in random.sample(pairs, 6):
            found = alone(watch, pair)
            assert equal(together[pair], found)
            seen |= {len(packets.cubes) for _, *both in found for packets in both}
    assert len(seen) > 1


@pytest.mark.parametrize("seed", range(3))
def test_gates_that_are_kept_are_what_they_would_be_made_anew(seed):
    """Whatever flows of policies come and go, one after the other."""
    random = Random(seed)
    watch = Prover(sound()).watch
    rulings = watch._ruling()
    host, index = next(iter(sorted(rulings.indexes.items())))
    here = [s for s in watch.known.stations if s.host == host]
    flows = [f for number in sorted(RULED) for f in index.flows(number)]
    gone = []
    made = 0
    for _ in range(20):
        if gone and random.random() < 0.4:
            flow = gone.pop(random.randrange(len(gone)))
            index.put(flow.key, flow)
        else:
            flow = random.choice(flows)
            if index.put(flow.key, None) is not None:
                gone.append(flow)
        fresh = Gates(rulings.indexes)
        for station in here:
            for way in WAYS:
                asked = host, way, station.port, rulings.number(station)
                kept, new = rulings.gates.of(*asked), fresh.of(*asked)
                assert Packets(kept.beginning()).same(Packets(new.beginning()))
                assert kept.labels == new.labels
                made += bool(kept.beginning())
    assert made


# ---- what is read before it is asked for


def test_what_is_read_beforehand_is_up_to_date_whenever_a_change_comes():
    proof = prover(shop(hosts=HOSTS))
    watch = proof.watch
    ready = proof.prepare()
    for number in range(8):
        for _ in zip(range(25), ready, strict=False):
            pass
        new = policy("new", WEB, priority=9.0, ingress=[rule("drop", OPS, 80 + number)])
        before = reach(watch.new, watch.known)
        verdict = changed(proof, [new]).verdict
        assert verdict.change.lost.allowed
        assert same(verdict.change, change(before, reach(watch.new, watch.known)))


def test_rules_that_are_kept_are_those_that_are_there():
    """Of what is said about rules after a change, nothing hangs on what was read before."""
    proof = prover(shop(hosts=HOSTS))
    pages = Pages()
    told = set()
    for number in range(6):
        wide = rule("drop" if number % 2 else "allow", None if number % 3 else OPS, 80)
        new = policy("new", WEB, priority=4.0 + number % 2, ingress=[wide])
        old = policy("old", WEB, priority=5.0, ingress=[rule("allow", OPS, 80)])
        edits, _ = proof.bench.edits([new, old])
        step = proof.bench.take(edits)
        proof.take(step)
        states = proof.bench.states()
        news = News.of({host: b.flows.values() for host, b in step.bridges.items()})
        for host, bridge in step.bridges.items():
            pages.take(host, bridge.flows.values())
        for check in (shadows, conflicts):
            ours = [str(one) for one in check(states, proof.books, news, pages)]
            assert ours == [str(one) for one in check(states, proof.books, news)]
            told |= set(ours)
    assert told


# ---- cubes without the values that they are narrowed to


@pytest.mark.parametrize("but", [None, 5, 7])
@pytest.mark.parametrize("mac", [None, 5, 6])
@pytest.mark.parametrize("address", range(4))
def test_narrowed_cubes_are_those_that_hold_the_values(address, mac, but):
    """And the same cubes, narrowed to other values, other ones."""
    narrowing = Narrowing()
    ip = frozenset((0x800,))
    cubes = narrowing.one(
        [
            {"eth_type": ip, "ip_dst": frozenset((1, 2)), "tcp_dst": frozenset((80,))},
            {"eth_type": ip, "ip_dst": Rest(32, frozenset((1, 2))), "eth_dst": frozenset((5, 6))},
            {"eth_dst": Rest(48, frozenset((5,))), "udp_dst": frozenset((53,))},
        ]
    )
    every = [
        ((("eth_type", 0x800), ("ip_dst", value)), None if other is None else ("eth_dst", other))
        for value in range(4)
        for other in (None, 5, 6)
    ]
    for given, own in every:  # in any order: what was asked before is of no account
        narrowing.to(cubes, given if own is None else (*given, own))
    given = (("eth_type", 0x800), ("ip_dst", address))
    given = given if mac is None else (*given, ("eth_dst", mac))
    if mac is not None:
        but = None
    held = {name: frozenset((value,)) for name, value in given}
    wanted = [both for cube in cubes if (both := overlap(cube, held)) is not None]
    if but is not None:
        apart = {"eth_dst": Rest(48, frozenset((but,)))}
        wanted = [both for cube in wanted if (both := overlap(cube, apart)) is not None]
    found = [overlap(cube, held) for cube in narrowing.to(cubes, given, but)]
    assert Packets(tuple(found)).same(Packets(tuple(wanted)))
