#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How connections spread over paths, against the weights that a policy asks for.

Two bridges are joined by way of several others, at different cost. A path policy shares in inverse
proportion to cost, connections are opened, and each is found on the wire that it goes by: at the
bridges in the middle, by listening there. Needs root.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import PATIENCE, Bench, bench, manifest, offer, until
from results import COLOURS, canvas, number_above, parser, run, tell, write

from vneter_sdn.fleet.sockets import open_udp
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.system import inside
from vneter_sdn.fleet.topology import Topology, as_wires

ETH_P_IP = 0x0800
PORT, FIRST = 7000, 10_000
RATE = 1500.0
"""Connections opened per second."""
_UDP = struct.Struct("!HH")


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--cost",
        nargs="+",
        type=number_above(0, int),
        default=[2, 3, 4, 6],
        help="of each path; as many bridges are in the middle; at least 2 each",
    )
    arguments.add_argument(
        "--connections",
        nargs="+",
        type=number_above(0, int),
        default=[100, 300, 1000, 3000, 10_000],
        help="how many, one round after the other",
    )
    offer(arguments)
    asked = arguments.parse_args(words)
    if min(asked.cost) < 2 or not 2 <= len(asked.cost) <= 16:
        raise SystemExit("2 to 16 paths, each at a cost of 2 at least: it has two wires")
    if max(asked.connections) > 50_000:
        raise SystemExit("at most 50000 connections in a round: each has a port of its own")
    middles = {f"m{number + 1}": cost for number, cost in enumerate(asked.cost)}
    with bench(asked.on, _fan(list(middles)), "--bfd-interval-ms", "500") as made:
        weights = _declare(made, middles)
        rows = []
        for connections in asked.connections:
            seen = spread(made, list(middles), connections)
            rows += _rows(connections, weights, seen)
            worst = max(abs(row["deviation_percent"]) for row in rows[-len(middles) :])
            tell(f"{connections} connections: {seen}, at most {worst:.2f} % off")
    write(asked.output, "path_spread", rows, _plot(rows))


def _fan(middles: Sequence[str]) -> Topology:
    wires = [pair for middle in middles for pair in (("a", middle), (middle, "b"))]
    return as_wires(Topology(hosts=("a", *middles, "b"), links=tuple(wires)))


def _declare(made: Bench, middles: Mapping[str, int]) -> dict[str, float]:
    """Costs, workloads and the policy; the share that each path is to have."""
    found = {
        (one["spec"]["source"], one["spec"]["target"]): one for one in made.client.list("Link")
    }
    objects = [
        manifest("Link", link["metadata"]["name"], **link["spec"] | {"cost": middles[pair[1]] - 1})
        for pair, link in found.items()
        if pair[0] == "a"
    ]
    made.client.apply(objects)
    made.attach({"a": "a", "b": "b"})
    policy = {"tenants": [made.tenant], "paths": len(middles), "sharing": "unequal"}
    made.client.apply([manifest("PathPolicy", "spread", **policy)])

    until(lambda: made.ways_out("a") == len(middles), "that the policy has all its paths")
    with Stream(made.workloads["a"], made.workloads["b"], rate=10, protocol="udp") as first:
        until(first.await_flow, "an answer")
    total = sum(1 / cost for cost in middles.values())
    return {middle: 1 / cost / total for middle, cost in middles.items()}


def spread(made: Bench, middles: Sequence[str], connections: int) -> dict[str, int]:
    """How many of so many new connections each bridge in the middle sees."""
    source, target = made.workloads["a"], made.workloads["b"]
    address = target.addresses[0].partition("/")[0]
    spread.base = FIRST + (spread.base - FIRST + 7919) % 4000  # type: ignore[attr-defined]
    ports = range(spread.base, spread.base + connections)  # type: ignore[attr-defined]
    with ExitStack() as undo:
        listeners = {middle: undo.enter_context(_listener(made, middle)) for middle in middles}
        sink = undo.enter_context(open_udp(target.netns, 4, PORT))
        missing, deadline = set(ports), time.monotonic() + PATIENCE
        while missing and time.monotonic() < deadline:  # a busy machine loses some
            _send(source.netns, sorted(missing), (address, PORT))
            time.sleep(0.5)
            missing -= set().union(*listeners.values())
        del sink
    return {middle: len(heard & set(ports)) for middle, heard in listeners.items()}


spread.base = FIRST  # type: ignore[attr-defined]


def _send(netns: str, ports: Sequence[int], target: tuple[str, int]) -> None:
    """A datagram by each source port."""
    due = time.monotonic()
    for port in ports:
        with open_udp(netns, 4, port) as opened:
            opened.sendto(b"path_spread", target)
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def _listener(made: Bench, middle: str) -> Iterator[set[int]]:
    """Source ports of what comes from ``a`` to a bridge, for as long as the context lasts."""
    wire = next(wire for wire in made.wires if set(wire.ends) == {"a", middle})
    netns, interface = wire.places[wire.ends.index(middle)]
    heard: set[int] = set()
    stop = threading.Event()

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        made.bind((interface, ETH_P_IP))
        return made

    def listen(raw: socket.socket) -> None:
        while not stop.is_set():
            if select.select([raw], [], [], 0.1)[0]:
                frame, place = raw.recvfrom(2048)
                ports = _UDP.unpack_from(frame, 34) if len(frame) >= 42 else (0, 0)
                if place[2] != socket.PACKET_OUTGOING and frame[23] == 17 and ports[1] == PORT:
                    heard.add(ports[0])

    with inside(netns, opened) as raw:
        thread = threading.Thread(target=listen, args=(raw,), daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            stop.set()
            thread.join()


def _rows(
    connections: int, weights: Mapping[str, float], seen: Mapping[str, int]
) -> list[dict[str, Any]]:
    total = sum(seen.values()) or 1
    return [
        {
            "connections": connections,
            "path": f"by {middle}",
            "asked_percent": round(weight * 100, 3),
            "seen": seen[middle],
            "seen_percent": round(seen[middle] / total * 100, 3),
            "deviation_percent": round((seen[middle] / total - weight) * 100, 3),
        }
        for middle, weight in weights.items()
    ]


def _plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = canvas(2)
    rounds = list(dict.fromkeys(row["connections"] for row in rows))
    last = [row for row in rows if row["connections"] == rounds[-1]]
    for number, (key, label) in enumerate((("asked_percent", "asked"), ("seen_percent", "seen"))):
        places = [place + (number - 0.5) * 0.36 for place in range(len(last))]
        left.bar(places, [row[key] for row in last], 0.34, color=COLOURS[number], label=label)
    left.set_xticks(range(len(last)), [row["path"] for row in last])
    left.set_ylabel(f"% of {rounds[-1]} connections")
    left.legend(frameon=False)
    for number, path in enumerate(dict.fromkeys(row["path"] for row in rows)):
        off = [row["deviation_percent"] for row in rows if row["path"] == path]
        right.plot(rounds, off, "o-", color=COLOURS[number % len(COLOURS)], label=path)
    for bound in (-2, 2):
        right.axhline(bound, color="grey", linestyle="--", linewidth=1)
    right.set_xscale("log")
    right.set_xlabel("connections")
    right.set_ylabel("off what was asked, percentage points")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    run(main)
