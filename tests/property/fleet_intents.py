# SPDX-License-Identifier: Apache-2.0
"""Random intents, through admission and bindings to a snapshot; and the fleet compiled from it.

Tenants use the same prefixes and the same MACs on purpose. Endpoints are expected on one host and
bound to the same, to another (moved), or nowhere; some ask for addresses outside every block.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import count

from hypothesis import strategies as st

from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Binding, Key, Snapshot
from vneter_sdn.simulate.fleet import Fleet, deliver, join
from vneter_sdn.simulate.meaning import Meaning, meaning_of
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

FOURS = ("10.0.0.0/24", "10.0.1.0/25")
SIXES = ("fd00:0:0:1::/64", "fd00:0:0:2::/64")
TENANTS = ("red", "blue")
FIRST_PORT = 5


@dataclass(frozen=True)
class EndpointPlan:
    """One endpoint; ``asked`` are the numbers of its addresses within the prefixes."""

    network: Key
    expected: str | None
    bound: str | None
    asked: int | None
    mac: str | None
    before: str | None = None
    """Host it was bound to first."""


@dataclass(frozen=True)
class Plan:
    """An intent, before it has names and numbers."""

    hosts: dict[str, str]
    """Encapsulation by name."""
    networks: dict[Key, tuple[str, ...]]
    """Prefixes by network."""
    endpoints: tuple[EndpointPlan, ...]
    gateways: bool = False
    """Whether gateways are the last addresses of their prefixes instead of the first."""
    apart: tuple[str, str] | None = None
    """Two hosts without a tunnel between them."""
    more: tuple[tuple[str, dict], ...] = ()
    """What else networks of a name are asked to be."""


@st.composite
def plans(draw):
    names = ("h1", "h2", "h3")[: draw(st.integers(1, 3))]
    hosts = {name: draw(st.sampled_from(("geneve", "vxlan", "gre"))) for name in names}
    apart = draw(st.sampled_from((None, ("h1", "h2"), ("h3", "h1")))) if len(names) == 3 else None
    networks = {}
    for tenant in TENANTS:
        for number in range(draw(st.integers(1, 2))):
            families = draw(st.sampled_from(("4", "6", "46", "46")))
            prefixes = [FOURS[number]] if "4" in families else []
            prefixes += [SIXES[number]] if "6" in families else []
            networks[Key("Network", tenant, f"n{number}")] = tuple(prefixes)
    chosen = draw(members(tuple(hosts), tuple(networks)))
    return Plan(hosts, networks, chosen, draw(st.booleans()), apart)


@st.composite
def members(draw, hosts, networks):
    """Endpoints for these hosts and networks."""
    place = st.sampled_from((*hosts, None))
    endpoints = []
    for number in range(draw(st.integers(2, 7))):
        bound = draw(st.sampled_from((*hosts, *hosts, None)))
        plan = EndpointPlan(
            draw(st.sampled_from(networks)),
            draw(st.one_of(st.just(bound), place)),
            bound,
            # Far from the first blocks, so that no host's block holds it.
            draw(st.sampled_from((None, None, 90 + number))),
            draw(st.sampled_from((None, None, f"02:aa:00:00:00:{number // 2:02x}"))),
            draw(place),
        )
        endpoints.append(plan)
    return tuple(_without_doubles(endpoints))


@st.composite
def histories(draw):
    """A plan, and the same networks with other endpoints of the same names."""
    plan = draw(plans())
    return plan, replace(plan, endpoints=draw(members(tuple(plan.hosts), tuple(plan.networks))))


def _without_doubles(endpoints):
    """One network has one owner of a MAC."""
    seen = set()
    for plan in endpoints:
        if plan.mac and (plan.network, plan.mac) in seen:
            yield replace(plan, mac=None)
        else:
            seen.add((plan.network, plan.mac))
            yield plan


def edits(plan):
    for number, (name, encapsulation) in enumerate(plan.hosts.items(), 1):
        address = f"192.0.2.{number}"
        spec = {"ovsdb": f"unix:/x/{name}", "tunnelAddresses": [address]}
        yield edit(Key("Host", "", name), {**spec, "encapsulation": encapsulation})
    for tenant in sorted({key.tenant for key in plan.networks}):
        yield edit(Key("Tenant", "", tenant), {})
    for key, prefixes in plan.networks.items():
        lengths = {"blockLength4": 28, "blockLength6": 124}
        last = [str(ip_network(prefix)[120]) for prefix in prefixes] if plan.gateways else []
        answers = {"dns": {}} if plan.gateways else {}
        if plan.gateways and any(ip_network(prefix).version == 4 for prefix in prefixes):
            answers["dhcp"] = {}
        answers |= dict(plan.more).get(key.name, {})
        yield edit(key, {"prefixes": list(prefixes), "gateways": last, **lengths, **answers})
    if plan.apart:
        source, target = plan.apart
        yield edit(Key("Link", "", "gap"), {"source": source, "target": target, "disabled": True})
    for number, endpoint in enumerate(plan.endpoints):
        spec = {"network": endpoint.network.name}
        if endpoint.expected:
            spec["host"] = endpoint.expected
        if endpoint.asked is not None:
            prefixes = plan.networks[endpoint.network]
            spec["addresses"] = [str(ip_network(prefix)[endpoint.asked]) for prefix in prefixes]
        if endpoint.mac:
            spec["mac"] = endpoint.mac
        yield edit(endpoint_key(plan, number), spec)


def endpoint_key(plan, number):
    return Key("Endpoint", plan.endpoints[number].network.tenant, f"e{number}")


def edit(key, spec):
    metadata = {"name": key.name} | ({"tenant": key.tenant} if key.tenant else {})
    manifest = {"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata, "spec": spec}
    return Edit("apply", key, manifest)


def bindings(plan):
    """Each endpoint's way, oldest first: (where it was, where it is)."""
    ports = {host: count(FIRST_PORT) for host in plan.hosts}
    for number, endpoint in enumerate(plan.endpoints):
        key = endpoint_key(plan, number)
        if endpoint.bound:
            port = next(ports[endpoint.bound])
            before = Binding(key, endpoint.before or endpoint.bound, f"i{number}", port + 50, 1)
            yield before, Binding(key, endpoint.bound, f"i{number}", port, number + 2)


def snapshot_of(*history):
    """Through admission and bindings, plan after plan, an hour apart."""
    hours = count(500_000)
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for sequence, plan in enumerate(history):
        now[0] = next(hours) * 3600.0
        wanted = {edit.key: edit for edit in edits(plan)}
        gone = [key for key in store.snapshot().objects if key not in wanted]
        moved = [
            key for key in store.snapshot().objects if key in wanted and key.kind == "Endpoint"
        ]
        for keys in (gone, moved):
            store.apply([Edit("delete", key) for key in keys], author="test")
        now[0] = next(hours) * 3600.0
        store.sweep()
        store.apply(list(wanted.values()), author="test")
        _bind(store, plan, 1000 * sequence)
    return store.snapshot()


def _bind(store, plan, sequence):
    """The oldest news of bindings comes in first, and once more last."""
    ways = [
        tuple(replace(b, sequence=b.sequence + sequence) for b in way) for way in bindings(plan)
    ]
    store.bind([before for before, _ in ways])
    store.bind([after for _, after in ways])
    store.bind([before for before, _ in ways])


@dataclass(frozen=True)
class World:
    """A snapshot, what it means, and the fleet that was compiled from it."""

    snapshot: Snapshot
    meaning: Meaning
    fleet: Fleet

    @property
    def stations(self):
        return tuple(self.meaning.stations.values())

    def pairs(self):
        return [(a, b) for a in self.stations for b in self.stations if a.key != b.key]

    def send(self, station, packet):
        delivery = deliver(self.fleet, station.host, packet.at(station.port))
        self.check(delivery, packet)
        return delivery

    def check(self, delivery, packet):
        """What holds of every packet."""
        assert not delivery.loop, packet
        for host, tie in delivery.ambiguities:
            # Several flows may refuse one packet; they may not disagree about it.
            assert len({(flow.actions, flow.goto) for flow in tie.flows}) == 1, (host, tie)
        assert not delivery.lost, packet
        assert len(set(delivery.hops)) == len(delivery.hops), packet
        for host, punted in delivery.punts:
            assert punted.action.meter in self.fleet.bridges[host].meters, punted


def world_of(*history, mutate=lambda state: state):
    """Compile what comes of plans; ``mutate`` breaks each bridge's state, for laws to notice."""
    snapshot = snapshot_of(*history)
    states, rows = compiled(snapshot)
    fleet = join({host: mutate(state) for host, state in states.items()}, rows)
    return World(snapshot, meaning_of(snapshot), fleet)


def compiled(snapshot):
    """(state, rows) by host."""
    compiler = compile_snapshot(snapshot)
    hosts = compiler.hosts()
    return {h: compiler.bridge(h) for h in hosts}, {h: compiler.rows(h) for h in hosts}
