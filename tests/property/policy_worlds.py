# SPDX-License-Identifier: Apache-2.0
"""Random tenants under random policies: manifests, what is compiled from them, and the yardstick.

Two tenants use the same addresses, labels and names on purpose; what is drawn is from few words, so
that selectors select somebody, policies meet, and blocks hold some endpoints and not others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from hypothesis import strategies as st

from vneter_sdn.compile.network import Compiler
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.model.flow import BridgeState
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.policy.evaluate import Party, PortName, World
from vneter_sdn.policy.rules import PROTOCOLS, rule_book
from vneter_sdn.simulate.attempts import Numbers, numbers_of
from vneter_sdn.simulate.fleet import Fleet, join
from vneter_sdn.simulate.meaning import Meaning, meaning_of

HOSTS, TENANTS, NAMESPACES = ("h1", "h2", "h3"), ("red", "blue"), ("x", "y", "z")
GROUPS, TIER = ("g", "nest"), "mine"
PREFIXES = {"front": ["10.0.0.0/24"], "back": ["10.0.1.0/24", "fd00::/64"]}
OUTSIDE = ("198.51.100.2", "198.51.100.7", "10.0.0.250", "192.0.2.1", "2001:db8::7")
BEGINNING = datetime.fromtimestamp(0, UTC)
"""When the offline compiler takes it to be."""

one = st.sampled_from


def manifest(kind, name, spec, tenant="", labels=None):
    metadata = {"name": name, "labels": labels or {}} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def some(values, most=2):
    return st.lists(values, min_size=1, max_size=most)


VALUES = {
    "app": ("web", "db"),
    "env": ("prod", "test"),
    "kubernetes.io/metadata.name": ("x", "y"),
}
label_sets = st.fixed_dictionaries(
    {}, optional={"app": one(("web", "db")), "env": one(("prod", "test"))}
)
pairs_of_labels = one([(key, value) for key, values in VALUES.items() for value in values])
requirements = st.one_of(
    st.builds(
        lambda label, operator: {"key": label[0], "operator": operator, "values": [label[1]]},
        pairs_of_labels,
        one(("In", "NotIn")),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        one(tuple(VALUES)),
        one(("Exists", "DoesNotExist")),
    ),
    st.builds(
        lambda key: {"key": key, "operator": "In", "values": list(VALUES[key])}, one(tuple(VALUES))
    ),
)
selectors = st.one_of(
    st.just({}),
    st.builds(lambda label: {"matchLabels": dict([label])}, pairs_of_labels),
    st.builds(lambda found: {"matchExpressions": found}, some(requirements)),
    st.builds(
        lambda label, found: {"matchLabels": dict([label]), "matchExpressions": [found]},
        pairs_of_labels,
        requirements,
    ),
)
scopes = st.one_of(
    st.builds(lambda found: {"endpoints": found}, selectors),
    st.builds(lambda found: {"namespaces": found}, selectors),
    st.builds(lambda n, e: {"namespaces": n, "endpoints": e}, selectors, selectors),
)
blocks = one(
    (
        {"cidr": "0.0.0.0/0"},
        {"cidr": "::/0"},
        {"cidr": "10.0.0.0/24", "excluded": ["10.0.0.2/32", "10.0.0.4/31"]},
        {"cidr": "10.0.0.0/23", "excluded": ["10.0.1.0/28"]},
        {"cidr": "198.51.100.0/24", "excluded": ["198.51.100.4/30"]},
        {"cidr": "198.51.100.0/30"},
        {"cidr": "fd00::/64", "excluded": ["fd00::2/127"]},
        {"cidr": "192.0.2.1/32"},
    )
)
alike = st.builds(
    lambda labels, found: {"sameLabels": labels} | ({"endpoints": found} if found else {}),
    one((["kubernetes.io/metadata.name"], ["env"], ["env", "app"])),
    selectors,
)
ports = one(
    (
        {"port": 80},
        {"port": "web"},
        {"port": 79, "endPort": 90},
        {"port": 1, "endPort": 65535},
        {"protocol": "tcp"},
        {"protocol": "udp"},
        {"protocol": "udp", "port": 53},
        {"protocol": "udp", "port": "dns"},
        {"protocol": "sctp", "port": 80},
        {"protocol": "icmp"},
        {"protocol": "icmp", "icmpType": 8},
        {"protocol": "icmp", "icmpType": 8, "icmpCode": 1},
        {"protocol": "icmpv6", "icmpType": 128},
    )
)
named = {
    "web": [{"name": "web", "port": 80}, {"name": "dns", "protocol": "udp", "port": 53}],
    "high": [{"name": "web", "port": 8080}],
    "other": [{"name": "web", "protocol": "udp", "port": 80}],
    "none": [],
}
windows = one(([{"end": "2020-01-01T00:00:00Z"}], [{"start": "2020-01-01T00:00:00Z"}]))


def whom(groups, more=()):
    """Whom a rule is about; ``more``: what only the other end can be."""
    held = (st.builds(lambda name: {"group": name}, one(GROUPS)),) if groups else ()
    return st.one_of(scopes, scopes, *held, *more)


def rules(verdicts, groups):
    return st.builds(
        lambda action, rest: {"action": action} | rest,
        one(verdicts),
        st.fixed_dictionaries(
            {},
            optional={
                "peers": st.lists(whom(groups, (blocks, alike, st.just(HOST_ONE))), max_size=2),
                "ports": some(ports),
                "appliesTo": some(whom(groups)),
                "stateful": st.booleans(),
            },
        ),
    )


HOST_ONE = {"hosts": {"matchLabels": {"rack": "1"}}}
TIERS = ("emergency", "application", "admin", TIER, "kubernetes", "baseline", "baseline-admin")


@st.composite
def policy_specs(draw, groups=True, most=2):
    tier = draw(one((*TIERS, "kubernetes", "kubernetes")))
    kubernetes = tier == "kubernetes"
    verdicts = ("allow",) if kubernetes else ("allow", "drop", "reject", "pass")
    lists = st.lists(rules(verdicts, groups), max_size=most)
    spec = {"tier": tier, "priority": draw(one((1, 5, 5.5)))}
    spec |= {"ingress": draw(lists), "egress": draw(lists)}
    if kubernetes:
        spec["isolates"] = draw(one((["ingress"], ["egress"], ["ingress", "egress"])))
    if draw(st.booleans()):
        spec["appliesTo"] = draw(some(whom(groups)))
    if draw(one((False, False, False, True))):
        spec["schedule"] = draw(windows)
    return spec


@st.composite
def cluster_specs(draw):
    tenants = draw(one(([], ["red"], ["blue", "red"])))
    return draw(policy_specs(groups=bool(tenants))) | {"tenants": tenants}


def topology():
    """Hosts, the operator's tier, tenants with the same networks."""
    for number, name in enumerate(HOSTS, 1):
        spec = {"ovsdb": f"unix:/x/{name}", "tunnelAddresses": [f"192.0.2.{number}"]}
        yield manifest("Host", name, spec, labels={"rack": str(number)})
    yield manifest("Tier", TIER, {"priority": 7})
    for tenant in TENANTS:
        for name, prefixes in PREFIXES.items():
            yield manifest("Network", name, {"prefixes": prefixes}, tenant)


def endpoint(key, place, labels, namespace, held):
    """One of a tenant and name, in a network on a host; ``held``: which named ports."""
    (tenant, name), (network, host) = key, place
    spec = {"network": network, "host": host, "ports": named[held]}
    return manifest(
        "Endpoint", name, spec | ({"namespace": namespace} if namespace else {}), tenant, labels
    )


@st.composite
def worlds(draw):
    """Manifests of a world."""
    found = [*topology()]
    defaults = one(("allow", "allow", "drop"))
    for tenant in TENANTS:
        spec = {"defaultIngress": draw(defaults), "defaultEgress": draw(defaults)}
        found.append(manifest("Tenant", tenant, spec))
        found += [manifest("Namespace", n, {}, tenant, draw(label_sets)) for n in NAMESPACES]
        members = draw(some(st.one_of(scopes, blocks)))
        found.append(manifest("Group", "g", {"members": members}, tenant))
        nest = [{"group": "g"}, draw(scopes)]
        found.append(manifest("Group", "nest", {"members": nest}, tenant))
        for number in range(4 if tenant == "red" else 2):
            place = draw(one(tuple(PREFIXES))), draw(one(HOSTS))
            what = draw(label_sets), draw(one((None, *NAMESPACES))), draw(one(tuple(named)))
            found.append(endpoint((tenant, f"e{number}"), place, *what))
        for number, spec in enumerate(draw(st.lists(policy_specs(), max_size=4))):
            found.append(manifest("Policy", f"p{number}", spec, tenant))
    for number, spec in enumerate(draw(st.lists(cluster_specs(), max_size=2))):
        found.append(manifest("ClusterPolicy", f"c{number}", spec))
    return found


@dataclass(frozen=True)
class Policed:
    """A world, compiled, and as the plain evaluator sees it."""

    snapshot: Snapshot
    compiler: Compiler
    mutate: Callable[[BridgeState], BridgeState] = lambda state: state
    """Breaks each bridge's state, for laws to notice."""

    @classmethod
    def of(cls, manifests, *mutate):
        done = compile_manifests(manifests)
        return cls(done.snapshot, done.compiler, *mutate)

    @cached_property
    def fleet(self) -> Fleet:
        hosts = self.compiler.hosts()
        states = {host: self.mutate(self.compiler.bridge(host)) for host in hosts}
        return join(states, {host: self.compiler.rows(host) for host in hosts})

    @cached_property
    def meaning(self) -> Meaning:
        return meaning_of(self.snapshot)

    @cached_property
    def stations(self):
        return tuple(self.meaning.stations.values())

    def numbers(self, tenant) -> Numbers:
        return numbers_of(self.snapshot, tenant)

    @cached_property
    def plain(self) -> World:
        return plain(self.snapshot)


def plain(snapshot):
    """What the evaluator looks at."""
    objects = snapshot.objects.values()
    stations = meaning_of(snapshot).stations
    return World(
        parties=tuple(_party(one, stations) for one in objects if one.key in stations),
        namespaces={
            (one.key.tenant, one.key.name): one.labels
            for one in objects
            if one.key.kind == "Namespace"
        },
        book=rule_book(objects, BEGINNING),
        defaults={
            one.key.name: (one.spec.default_ingress, one.spec.default_egress)
            for one in objects
            if one.key.kind == "Tenant"
        },
        hosts={
            one.key.name: one.spec.tunnel_addresses for one in objects if one.key.kind == "Host"
        },
    )


def _party(stored, stations):
    station = stations[stored.key]
    held = tuple(PortName(p.name, PROTOCOLS[p.protocol], p.port) for p in stored.spec.ports)
    return Party(
        stored.key,
        stored.spec.namespace or "",
        stored.labels,
        held,
        tuple(str(address) for address in sorted(station.addresses, key=str)),
        station.host,
    )
