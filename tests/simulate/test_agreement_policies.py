# SPDX-License-Identifier: Apache-2.0
"""Compiled policies decide on frames that really pass a dummy datapath as they do here.

Connections are tracked on both sides, so what is decided depends on all frames before it.
"""

from random import Random

import pytest
from policy_worlds import Policed, endpoint, manifest

from vneter_sdn.simulate.packet import Ends, echo, tcp, udp

SYN, ACK, RST = 2, 16, 4
APPS = {"web": "web", "db": "high", "odd": "none", "mail": "other"}
PORTS = (22, 53, 80, 8080)
FRAMES = 40


def of_app(app):
    return {"endpoints": {"matchLabels": {"app": app}}}


POLICIES = {
    "isolated": {"tier": "kubernetes", "isolates": ["ingress"], "appliesTo": [of_app("db")]},
    "named": {
        "tier": "kubernetes",
        "isolates": ["ingress"],
        "appliesTo": [of_app("db")],
        "ingress": [
            {
                "peers": [of_app("web"), {"cidr": "fd00::/64", "excluded": ["fd00::2/128"]}],
                "ports": [{"port": "web"}, {"port": 50, "endPort": 60}, {"protocol": "icmp"}],
            }
        ],
    },
    "first": {
        "tier": "emergency",
        "appliesTo": [of_app("odd")],
        "egress": [
            {"action": "pass", "peers": [of_app("web")], "ports": [{"port": 80}]},
            {"action": "drop", "peers": [{"cidr": "10.0.0.0/24", "excluded": ["10.0.0.5/32"]}]},
        ],
    },
    "kept": {
        "tier": "application",
        "established": "keep",
        "ingress": [{"ports": [{"protocol": "udp", "port": 53}], "stateful": False}],
    },
    "last": {
        "tier": "baseline",
        "appliesTo": [of_app("mail")],
        "ingress": [{"peers": [of_app("web")]}],
    },
}


@pytest.fixture(scope="module")
def policed():
    made = [
        manifest("Tenant", "red", {"defaultIngress": "drop"}),
        manifest("Network", "net", {"prefixes": ["10.0.0.0/24", "fd00::/64"]}, "red"),
        manifest("Host", "h1", {"ovsdb": "unix:/x/h1", "tunnelAddresses": ["192.0.2.1"]}),
    ]
    for app, held in APPS.items():
        made.append(endpoint(("red", app), ("net", "h1"), {"app": app}, None, held))
    made += [manifest("Policy", name, spec, "red") for name, spec in POLICIES.items()]
    return Policed.of(made)


def draw_packet(rng, stations, seen):
    """Of a new connection, or of one that was tried before, either way."""
    back = False
    if seen and rng.random() < 0.6:
        source, target, ports = rng.choice(seen)
        back = rng.random() < 0.7
        if back:
            source, target, ports = target, source, ports[::-1]
    else:
        source, target = rng.sample(stations, 2)
        ports = (rng.randrange(1000, 1003), rng.choice(PORTS))
        seen.append((source, target, ports))
    version = rng.choice((4, 6))
    one, other = (next(a for a in s.addresses if a.version == version) for s in (source, target))
    ends = Ends(source.mac, target.mac, one, other)
    kind = rng.choice(("tcp", "tcp", "udp", "echo"))
    if kind == "tcp":
        # Both ends opening one connection at once is not what `connections` is about.
        flags = rng.choice((SYN | ACK, SYN | ACK, ACK, RST | ACK) if back else (SYN, SYN, ACK))
        return tcp(ends, *ports, flags=flags).at(source.port)
    if kind == "udp":
        return udp(ends, *ports).at(source.port)
    return echo(ends, reply=rng.random() < 0.5).at(source.port)


@pytest.fixture(scope="module")
def bridge(sandbox, policed):
    made = sandbox.bridge([station.port for station in policed.stations])
    made.record()
    made.load(policed.compiler.bridge("h1"))
    return made


@pytest.mark.ovs
@pytest.mark.parametrize("seed", range(8))
def test_frames_pass_as_simulated(bridge, policed, seed):
    rng, seen = Random(seed), []
    packets = (draw_packet(rng, policed.stations, seen) for _ in range(FRAMES))
    passed = bridge.forward(policed.compiler.bridge("h1"), packets)
    assert 0 < passed < FRAMES
