# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench edge``: what the edge of networks costs, and how fast questions are answered.

The world of ``bench compile``, twice: with every network answering DHCP, names and routers, and
with none of that. Peers are the world without. Answers are those of one core, without sockets: the
ledger of the whole world, a question, the frame and the message that carries it to the bridge.
"""

from __future__ import annotations

import argparse
import itertools
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from statistics import median
from typing import Any

from vneter_sdn.compile.facts import everything
from vneter_sdn.compile.network import Compiler
from vneter_sdn.daemon.bench_compile import MEMORY, Bound, against, edit, intent, row, timed
from vneter_sdn.daemon.breath import uncollected
from vneter_sdn.daemon.edge import Edge, Responder, telling
from vneter_sdn.daemon.resolver import Resolver
from vneter_sdn.edge import advertising, dhcp4
from vneter_sdn.edge.ledger import Asker, Ledger
from vneter_sdn.model.addresses import link_local, mac_number
from vneter_sdn.model.flow import CONTROLLER, Action
from vneter_sdn.model.snapshot import Pools, Snapshot
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.punts import Asked, Service
from vneter_sdn.southbound.openflow import complaint, datagram, dns_message, encode, icmp6
from vneter_sdn.southbound.openflow import dhcp4 as dhcp_message
from vneter_sdn.southbound.openflow.bench import Row
from vneter_sdn.southbound.openflow.dns_message import Question
from vneter_sdn.southbound.openflow.wire import V15
from vneter_sdn.store.port import Edit

SIZES = ((1_000, 100), (10_000, 100))
"""Endpoints and hosts."""
FLOWS, METERS = 10.0, 2.0
"""Targets: flows and meters more for each endpoint, on all bridges together."""
SHARE = 0.6
"""Target: compiling with the edge against without, by time."""
HELD = 50_000.0
"""Target: flows that a bridge holds."""
RATES = {"dhcp": 2000.0, "names": 3000.0, "router": 3000.0, "error": 5000.0}
"""Targets: answers a second of processor time."""
ROUNDS, QUESTIONS = 15, 1000
EVERYBODY_MAC, ALL_ROUTERS_MAC = 0xFFFF_FFFF_FFFF, 0x3333_0000_0002


def measure(arguments: list[str]) -> list[Row]:
    """Run the bench.

    Args:
        arguments: ``--endpoints N --hosts N`` for one other size.
    """
    parser = argparse.ArgumentParser(prog="bench edge", description=__doc__)
    parser.add_argument("--endpoints", type=int)
    parser.add_argument("--hosts", type=int, default=100)
    given = parser.parse_args(arguments)
    sizes = SIZES if given.endpoints is None else ((given.endpoints, given.hosts),)
    return [row for endpoints, hosts in sizes for row in _measured(endpoints, hosts)]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a world comes to."""

    flows: int
    meters: int
    """On all bridges."""
    full: float
    """Seconds to compile all of it."""
    added: float
    """Seconds to take in one endpoint more, the median."""


def answering(edits: Iterator[Edit]) -> Iterator[Edit]:
    """The same, with every network answering all that it can."""
    for one in edits:
        manifest = dict(one.manifest or {})
        if one.key.kind == "Network":
            spec = {**manifest["spec"], "dhcp": {}, "dns": {}}
            if any(":" in prefix for prefix in spec["prefixes"]):
                spec["ra"] = {}
            manifest["spec"] = spec
        yield replace(one, manifest=manifest)


def _measured(endpoints: int, hosts: int) -> list[Row]:
    name = f"edge/{endpoints}/{hosts}"
    cost, snapshot = _cost(list(answering(intent(endpoints, hosts))))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare = _cost(list(intent(endpoints, hosts)))[0]
    share = [
        ("full", "endpoints/s", endpoints / cost.full, endpoints / bare.full),
        ("one-added", "changes/s", 1 / cost.added, 1 / bare.added),
    ]
    flows = (cost.flows - bare.flows) / endpoints
    meters = (cost.meters - bare.meters) / endpoints
    return [
        row(f"{name}/flows-of-endpoint", "flows", flows, FLOWS, fewer=True),
        row(f"{name}/meters-of-endpoint", "meters", meters, METERS, fewer=True),
        row(f"{name}/flows-per-bridge", "flows", cost.flows / hosts, HELD, fewer=True),
        *(against(f"{name}/{what}", *of, SHARE) for what, *of in share),
        row(f"{name}/peak-memory", "MB", memory, MEMORY, fewer=True),
        *_answers(name, snapshot),
    ]


def _cost(edits: list[Edit]) -> tuple[Cost, Snapshot]:
    bound = Bound()
    bound.apply(edits)
    snapshot, compiler = bound.store.snapshot(), Compiler()
    with uncollected():
        full = timed(lambda: compiler.take(snapshot, everything(snapshot)))
    held = [compiler.bridge(host) for host in compiler.hosts()]
    flows, meters = sum(len(one.flows) for one in held), sum(len(one.meters) for one in held)
    return Cost(flows, meters, full, _added(bound, compiler)), snapshot


def _added(bound: Bound, compiler: Compiler) -> float:
    known, found = bound.store.snapshot(), []
    for number in range(ROUNDS):
        wanted = edit("Endpoint", f"new{number}", "t0", network="db", host="h0")
        bound.apply([wanted])
        news = bound.store.wait(known, 0)
        assert news is not None
        known, delta = news
        with uncollected():
            found.append(timed(lambda: compiler.take(known, delta)))  # noqa: B023
    return median(found)


class _Wire:
    """Bridges, as far as answers leave: each becomes the message that carries it."""

    def __init__(self) -> None:
        self.sent = 0

    def packet_out(
        self, dpid: int, frame: bytes, actions: tuple[Action, ...], in_port: int = CONTROLLER
    ) -> bool:
        """Encode it."""
        del dpid
        encode.packet_out(frame, actions, V15, 1, in_port)
        self.sent += 1
        return True


def _answers(name: str, snapshot: Snapshot) -> Iterator[Row]:
    """Answers a second, of each service, to endpoints all over the world."""
    ledger, wire = Ledger(), _Wire()
    ledger.stored(snapshot, None)
    responders: dict[Service, Responder] = {
        Service.DHCP: telling(dhcp4.respond),
        Service.DNS: Resolver(ledger, (), lambda _key, _host, _message, send: send()),
        Service.ROUTER: telling(advertising.respond),
    }
    clock = itertools.count()  # as if a second passed between any two, so that none is too many
    edge: Any = Edge(wire, ledger, responders, lambda: float(next(clock)))  # type: ignore[arg-type]
    askers = list(itertools.islice(itertools.cycle(_askers(snapshot, ledger)), QUESTIONS))
    frames: dict[str, tuple[Service, Callable[[Asker], bytes]]] = {
        "dhcp": (Service.DHCP, _discovering),
        "names": (Service.DNS, _naming),
        "router": (Service.ROUTER, _soliciting),
    }
    for what, (service, asking) in frames.items():
        asked = [(Asked(service, 1, vni, one.mac), asking(one)) for vni, one in askers]
        seconds = timed(lambda: [edge.asked(1, why, f, len(f)) for why, f in asked])  # noqa: B023
        yield row(f"{name}/answers-{what}", "answers/s", QUESTIONS / seconds, RATES[what])
    assert wire.sent == len(frames) * QUESTIONS, edge.counts
    told = [(_lost(one), _complaint(vni, one)) for vni, one in askers]
    seconds = timed(lambda: [_told(wire, *one) for one in told])
    yield row(f"{name}/answers-error", "answers/s", QUESTIONS / seconds, RATES["error"])


def _askers(snapshot: Snapshot, ledger: Ledger) -> list[tuple[int, Asker]]:
    """Endpoints of networks with both families, with their VNIs."""
    held = snapshot.allocations.values()
    vnis = {one.owner: int(one.value) for one in held if one.pool == Pools.VNI}
    networks = {Pools.mac(key): key for key in snapshot.objects if key.kind == "Network"}
    places = ((networks.get(one.pool), one) for one in held)
    found = (
        (vnis[str(network)], ledger.asker(vnis[str(network)], mac_number(one.value)))
        for network, one in places
        if network is not None and one.owner.startswith("Endpoint ")
    )
    dual = ((vni, one) for vni, one in found if one is not None and len(one.gateways) == 2)
    return list(itertools.islice(dual, QUESTIONS))


def _own(asker: Asker, version: int) -> Any:
    return next(one for one in asker.addresses if one.version == version)


def _discovering(asker: Asker) -> bytes:
    options = {
        dhcp_message.Code.KIND: bytes((dhcp_message.Kind.DISCOVER,)),
        dhcp_message.Code.WANTED: bytes((1, 3, 6, 12, 15, 26, 28, 42, 119, 121)),
    }
    payload = dhcp_message.encode(dhcp_message.Message(7, asker.mac, options=options), 9000)
    ends = (asker.mac, EVERYBODY_MAC, IPv4Address(0), IPv4Address(0xFFFF_FFFF), 68, 67)
    return datagram.written(datagram.Datagram(*ends, payload))


def _naming(asker: Asker) -> bytes:
    name = tuple(f"{asker.key.name}.{asker.network.name}.{asker.domain}".encode().split(b"."))
    asked = Question(name, dns_message.Kind.A, 1)
    payload = dns_message.encode(dns_message.Message(7, wanted=True, question=asked))
    gateway = next(one for one in asker.gateways if one.version == 4)
    ends = (asker.mac, asker.gateway_mac, _own(asker, 4), gateway, 40_000, 53)
    return datagram.written(datagram.Datagram(*ends, payload))


def _soliciting(asker: Asker) -> bytes:
    ends = (asker.mac, ALL_ROUTERS_MAC, link_local(asker.mac), IPv6Address("ff02::2"))
    return icmp6.framed(icmp6.Ends6(*ends), b"\x85" + bytes(7))


def _lost(asker: Asker) -> bytes:
    """A packet to an address that no network has."""
    ends = (asker.mac, asker.gateway_mac, _own(asker, 4), IPv4Address("192.0.2.1"), 1000, 33_434)
    return datagram.written(datagram.Datagram(*ends, bytes(32)))


def _complaint(vni: int, asker: Asker) -> Complaint:
    gateway = next(one for one in asker.gateways if one.version == 4)
    return Complaint(Fault.NO_ROUTE, gateway, asker.gateway_mac, 1, vni)


def _told(wire: _Wire, frame: bytes, why: Complaint) -> None:
    answer = complaint.answer(frame, why)
    assert answer is not None
    wire.packet_out(1, answer, ())
