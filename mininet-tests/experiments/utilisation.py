#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How full the fullest wire gets when the demands of a topology are sent over real bridges.

Every demand is sent as UDP packets over many connections, once along the tree that everything takes
by default and once under a policy that is engineered for these demands, and every wire's octets are
counted. What is measured is a wire's share of all that was sent, so it depends on no clock. Beside
it stand what the controller computed of both, and the bound that no routing can beat (an LP).
Needs root.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import PATIENCE, Bench, bench, bridges_of, manifest, offer, until
from engineering import demands_of
from results import COLOURS, canvas, number_above, parser, run, tell, write

from vneter_sdn.fleet.sockets import open_udp
from vneter_sdn.fleet.system import inside
from vneter_sdn.graph.atlas import Atlas, read_atlas
from vneter_sdn.graph.engineering import PATHS
from vneter_sdn.graph.traffic import ASSUMED_CAPACITY

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
POLICY, PORT = "engineered", 7000
RATE = 800.0
"""Packets per second: what two cores pass on for sure."""
CALM = ("--bfd-interval-ms", "500")
"""Nothing fails here, and a machine that is too busy for BFD is not to be taken for a failure."""
WINDOW, LOST_AFTER = 60, 3.0
"""Packets that are on their way at most, and seconds after which they are taken to be lost."""
PAYLOAD = 1000
FRAME = 14 + 20 + 8 + PAYLOAD
"""Octets of a packet on a wire, by its interface's counters."""
ROUTINGS = {"shortest_path": "shortestPath", "ours": "ours"}
"""As rows and the controller call them."""
Pairs = dict[tuple[str, str], float]
_UDP = struct.Struct("!HHHH")


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--topology",
        nargs="+",
        default=["ring", "leaf-spine", "abilene"],
        help="names below topologies/, or files",
    )
    arguments.add_argument(
        "--packets", type=number_above(0, int), default=12_000, help="for each routing"
    )
    arguments.add_argument(
        "--connections", type=number_above(0, int), default=256, help="of each demand"
    )
    offer(arguments)
    asked = arguments.parse_args(words)
    rows = []
    for name in asked.topology:
        known = TOPOLOGIES / f"{name}.yaml"
        path = known if known.exists() else Path(name)
        with bench(asked.on, bridges_of(path), *CALM) as made:
            for row in measure(made, read_atlas(path), asked.packets, asked.connections):
                rows.append({"topology": path.stem} | row)
                tell(" ".join(f"{key} {value}" for key, value in rows[-1].items()))
    write(asked.output, "utilisation", rows, _plot(rows))


def measure(made: Bench, atlas: Atlas, packets: int, connections: int) -> Iterator[dict[str, Any]]:
    """A row for each routing."""
    demands, capacities = between_bridges(atlas), capacities_of(atlas)
    made.attach({bridge: bridge for bridge in sorted({end for pair in demands for end in pair})})
    declare_links(made, capacities)
    seen = {"shortest_path": _loads(made, demands, packets, connections)}
    status = _engineered(made, demands)
    seen["ours"] = _loads(made, demands, packets, connections)
    computed = status["maxUtilisation"]
    for routing, called in ROUTINGS.items():
        use = {way: load / capacities[frozenset(way)] for way, load in seen[routing].items()}
        fullest = max(use, key=use.__getitem__)
        yield {
            "routing": routing,
            "fullest": ">".join(fullest),
            "measured": round(use[fullest], 4),
            "computed": round(computed[called], 4),
            "lp_bound": round(computed["lpBound"], 4),
            "measured_over_bound": round(use[fullest] / computed["lpBound"], 3),
        }


def between_bridges(atlas: Atlas) -> Pairs:
    """Mbit/s between bridges: a host's are those of the first switch that it has a link to."""
    at = {
        one: other
        for link in reversed(atlas.links)
        for one, other in (link.ends, link.ends[::-1])
        if one in atlas.aside and other not in atlas.aside
    }
    found: Pairs = {}
    for demand in demands_of(atlas):
        pair = at.get(demand.source, demand.source), at.get(demand.target, demand.target)
        if pair[0] != pair[1]:
            found[pair] = found.get(pair, 0.0) + demand.mbps
    if not found:
        raise SystemExit(f"{atlas.name}: nothing is sent between two bridges")
    return found


def capacities_of(atlas: Atlas) -> dict[frozenset[str], float]:
    """Of the wires, by ends; those of one pair are taken to be alike."""
    return {frozenset(link.ends): link.capacity or ASSUMED_CAPACITY for link in atlas.links}


def declare_links(made: Bench, capacities: Mapping[frozenset[str], float]) -> None:
    """Declare what the wires that were found can carry, Mbit/s by ends."""
    objects = []
    for link in made.client.list("Link"):
        spec = link["spec"]
        ends = frozenset(map(made.original, (spec["source"], spec["target"])))
        spec = {**spec, "capacityMbps": capacities[ends]}
        objects.append(manifest("Link", link["metadata"]["name"], **spec))
    made.client.apply(objects)


def _engineered(made: Bench, demands: Pairs) -> dict[str, Any]:
    """Put the policy in force; its status, once bridges hold it."""
    hosts = [one["metadata"]["name"] for one in made.client.list("Host")]
    names = {made.original(host): host for host in hosts}
    objects = [
        manifest("Demand", f"d{number}", source=names[one], target=names[other], mbps=mbps)
        for number, ((one, other), mbps) in enumerate(sorted(demands.items()))
    ]
    policy = {"tenants": [made.tenant], "paths": PATHS, "sharing": "engineered"}
    made.client.apply([*objects, manifest("PathPolicy", POLICY, **policy)])
    wanted = {f"{names[one]}>{names[other]}" for one, other in demands}

    def held() -> Any:
        status = made.client.get("PathPolicy", "", POLICY).get("status", {})
        conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
        ready = conditions.get("Ready") == "True" and wanted <= status.get("plan", {}).keys()
        return status if ready and "maxUtilisation" in status else None

    return dict(until(held, "that the policy is planned and in force", 3 * PATIENCE))


def _loads(
    made: Bench, demands: Pairs, packets: int, connections: int
) -> dict[tuple[str, str], float]:
    """Mbit/s on each wire, each way, if all that was sent is all that is demanded."""
    total = sum(demands.values())
    queue = [
        pair for pair, mbps in sorted(demands.items()) for _ in range(round(packets * mbps / total))
    ]
    random.Random(7).shuffle(queue)
    turns = {pair: count() for pair in demands}
    with ExitStack() as undo:
        senders, window = {}, Window()
        for name, record in made.workloads.items():
            window.sinks.append(undo.enter_context(open_udp(record.netns, 4, PORT)))
            senders[name] = undo.enter_context(inside(record.netns, raw_socket))
        before = octets(made)
        due = time.monotonic()
        for pair in queue:
            source = 10_000 + next(turns[pair]) % connections
            send(made, senders[pair[0]], pair, source)
            window.sent()
            due = max(due, time.monotonic() - 0.1) + 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
        window.await_rest()
        after = octets(made)
    if window.lost:
        tell(f"{window.lost} of {len(queue)} packets were lost")
    return {way: (after[way] - before[way]) / (len(queue) * FRAME) * total for way in after}


class Window:
    """How many packets are on their way: a busy machine is given time, rather than more of them."""

    def __init__(self) -> None:
        self.sinks: list[socket.socket] = []
        """Where they arrive."""
        self.under_way = self.lost = 0

    def sent(self) -> None:
        """Note that one was sent; wait if there are too many."""
        self.under_way += 1
        if self.under_way >= WINDOW:
            self._wait_for(WINDOW // 2)

    def await_rest(self) -> None:
        """Wait until all have arrived."""
        self._wait_for(0)

    def _wait_for(self, most: int) -> None:
        while self.under_way > most:
            ready = select.select(self.sinks, [], [], LOST_AFTER)[0]
            if not ready:
                self.lost += self.under_way
                self.under_way = 0
            for sink in ready:
                with suppress(BlockingIOError):
                    while sink.recv(1):
                        self.under_way -= 1


def raw_socket() -> socket.socket:
    """One that sends IPv4 packets as they are given."""
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def send(made: Bench, sender: socket.socket, pair: tuple[str, str], port: int) -> None:
    """A UDP packet of any source port, which needs no socket for each; RFC 768, RFC 791."""
    ends = [made.workloads[name].addresses[0].partition("/")[0] for name in pair]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0)
    header += b"".join(ip_address(end).packed for end in ends)
    sender.sendto(header + _UDP.pack(port, PORT, 8 + PAYLOAD, 0) + bytes(PAYLOAD), (ends[1], 0))


def octets(made: Bench) -> dict[tuple[str, str], int]:
    """What each wire has carried so far, each way; the fullest of those between the same two."""
    found: dict[tuple[str, str], int] = {}
    for wire in made.wires:
        netns, interface = wire.places[0]
        counted = inside(netns, _counters(interface))
        for way, carried in zip((wire.ends[::-1], wire.ends), counted, strict=True):
            found[way] = max(found.get(way, 0), carried)
    return found


def _counters(interface: str) -> Callable[[], tuple[int, int]]:
    """Octets that an interface of this thread's namespace received, and sent."""

    def read() -> tuple[int, int]:
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == interface:
                words = numbers.split()
                return int(words[0]), int(words[8])
        return 0, 0

    return read


def _plot(rows: Sequence[Mapping[str, Any]]) -> Any:
    figure, (axis,) = canvas(1)
    topologies = list(dict.fromkeys(row["topology"] for row in rows))
    bars = [(routing, kind) for routing in ROUTINGS for kind in ("computed", "measured")]
    for number, (routing, kind) in enumerate(bars):
        places = [place + (number - 1.5) * 0.2 for place in range(len(topologies))]
        heights = [row[kind] / row["lp_bound"] for row in rows if row["routing"] == routing]
        label = f"{routing.replace('_', ' ')}, {kind}"
        axis.bar(places, heights, 0.19, color=COLOURS[number], label=label)
    axis.axhline(1, color="grey", linestyle="--", linewidth=1)
    axis.set_xticks(range(len(topologies)), topologies)
    axis.set_ylabel("fullest wire, over the LP bound")
    axis.legend(frameon=False)
    return figure


if __name__ == "__main__":
    run(main)
