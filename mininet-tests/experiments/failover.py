#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a failure costs a steady stream: packets lost, and the longest gap.

A stream of UDP packets, each answered, crosses a topology of real Open vSwitch bridges between two
of them that lie far apart. Then the busiest wire on its way loses its carrier, or swallows frames
silently, or the bridge at its end hangs (SIGSTOP) - while the controller is stopped, so that the
bridges repair alone, or while it runs. Needs root.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fleets import Bench, bench, bridges_of, until
from results import COLOURS, canvas, number_above, parser, run, tell, write

from vneter_sdn.fleet.strands import Strand, set_state
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import Topology, whole

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
FAILURES = ("carrier", "silent", "bridge")
SETTLE, AFTER = 1.0, 2.0
"""Seconds of stream before the failure, and after it."""


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--topology",
        nargs="+",
        default=["ring", "leaf-spine", "dual-homed", "fat-tree", "abilene"],
        help="names below topologies/, or files",
    )
    arguments.add_argument("--failure", nargs="+", choices=FAILURES, default=list(FAILURES))
    arguments.add_argument(
        "--controller", nargs="+", choices=("stopped", "runs"), default=["stopped", "runs"]
    )
    arguments.add_argument("--rate", type=number_above(0), default=1000.0, help="packets/s")
    arguments.add_argument("--repeat", type=number_above(0, int), default=3)
    arguments.add_argument(
        "--rest",
        type=number_above(-1),
        default=12.0,
        help="seconds before each failure; repairs follow a change of the graph some time later",
    )
    arguments.add_argument(
        "--bfd", type=number_above(0, int), default=20, help="ms between packets"
    )
    asked = arguments.parse_args(words)
    rows: list[dict[str, Any]] = []
    for name in asked.topology:
        known = TOPOLOGIES / f"{name}.yaml"
        topology = bridges_of(known if known.exists() else Path(name))
        ends = far_apart(topology)
        if ends is None:
            tell(f"{name}: left out, no two bridges have two ways without a common one")
            continue
        with bench(topology, "--bfd-interval-ms", str(asked.bfd)) as made:
            made.attach({"a": ends[0], "b": ends[1]})
            for failure in asked.failure:
                for state in asked.controller:
                    for _ in range(asked.repeat):
                        row = {"topology": Path(name).stem, "failure": failure, "controller": state}
                        time.sleep(asked.rest)
                        rows.append(row | measure(made, failure, state == "stopped", asked.rate))
                        tell(" ".join(f"{key} {value}" for key, value in rows[-1].items()))
    if not rows:
        raise SystemExit("nothing was measured")
    write(asked.output, "failover", rows, _plot(rows))


def far_apart(topology: Topology) -> tuple[str, str] | None:
    """The first of those two bridges furthest from one another that any one other may be lost."""
    near: dict[str, set[str]] = {host: set() for host in topology.hosts}
    for link in map(whole, topology.links):
        near[link.ends[0]].add(link.ends[1])
        near[link.ends[1]].add(link.ends[0])

    def distance(one: str, other: str, without: str = "") -> int:
        seen, edge, steps = {one, without}, {one}, 0
        while edge and other not in edge:
            edge = {after for host in edge for after in near[host]} - seen
            seen |= edge
            steps += 1
        return steps if edge else 0

    found: list[tuple[int, tuple[str, str]]] = []
    for one, other in combinations(topology.hosts, 2):
        others = [host for host in topology.hosts if host not in {one, other}]
        steps = distance(one, other)
        if steps > 1 and all(distance(one, other, without) for without in others):
            found.append((steps, (one, other)))
    return max(found, key=lambda pair: pair[0], default=(0, None))[1]


def measure(made: Bench, failure: str, stopped: bool, rate: float) -> dict[str, Any]:
    """One failure under a stream; everything is mended afterwards."""
    source, target = made.workloads["a"], made.workloads["b"]
    with Stream(source, target, rate=10, protocol="udp") as first:  # neighbours and flows
        until(first.await_flow, "an answer")
    with Stream(source, target, rate=rate, protocol="udp") as stream:
        until(stream.await_flow, "an answer")
        wire, bridge = _busiest(made, (source.host, target.host))
        before = stream.report()
        with made.stopped() if stopped else nullcontext(), _failed(made, failure, wire, bridge):
            time.sleep(AFTER)
            report = stream.stop()
    made.await_wires()
    lost = max(0, report.lost - before.lost)  # what was on its way then has arrived since
    return {
        "hit": bridge if failure == "bridge" else wire.name,
        "sent": report.sent - before.sent,
        "lost": lost,
        "lost_ms": round(lost / rate * 1000, 1),
        "longest_gap_ms": round(report.longest_gap * 1000, 1),
    }


def _busiest(made: Bench, ends: tuple[str, str]) -> tuple[Strand, str]:
    """The wire that carries most now, and a bridge on the way that is no end of the stream."""
    before = made.carried()
    time.sleep(SETTLE)
    after = made.carried()
    order = sorted(made.wires, key=lambda wire: before[wire.name] - after[wire.name])
    between = (host for wire in order for host in wire.ends if host not in ends)
    return order[0], next(between)


@contextmanager
def _failed(made: Bench, failure: str, wire: Strand, bridge: str) -> Iterator[None]:
    mend: Callable[[], None]
    if failure == "bridge":
        process = made.switch_pid(bridge)
        os.kill(process, signal.SIGSTOP)

        def mend() -> None:
            os.kill(process, signal.SIGCONT)

    else:
        set_state([wire], "down" if failure == "carrier" else "silent")

        def mend() -> None:
            set_state([wire], "up")

    try:
        yield
    finally:
        mend()


def _plot(rows: list[dict[str, Any]]) -> Any:
    states = list(dict.fromkeys(row["controller"] for row in rows))
    failures = list(dict.fromkeys(row["failure"] for row in rows))
    topologies = list(dict.fromkeys(row["topology"] for row in rows))
    figure, axes = canvas(len(states))
    for axis, state in zip(axes, states, strict=True):
        for number, failure in enumerate(failures):
            for place, topology in enumerate(topologies):
                seen = [
                    row["lost_ms"]
                    for row in rows
                    if (row["topology"], row["failure"], row["controller"])
                    == (topology, failure, state)
                ]
                at = place + (number - (len(failures) - 1) / 2) * 0.27
                label = failure if place == 0 else None
                axis.bar(at, max(seen, default=0), 0.25, color=COLOURS[number], label=label)
                axis.plot([at] * len(seen), seen, ".", color="black", markersize=4)
        axis.axhline(100, color="grey", linestyle="--", linewidth=1)
        axis.set_xticks(range(len(topologies)), topologies)
        axis.set_ylabel("lost, in ms of the stream (bar: worst)")
        axis.set_title(f"the controller {'is stopped' if state == 'stopped' else 'runs'}")
        axis.legend(frameon=False)
    return figure


if __name__ == "__main__":
    run(main)
