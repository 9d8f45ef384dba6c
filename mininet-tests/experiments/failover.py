#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a failure costs a steady stream: packets lost, and the longest gap.

A stream of UDP packets, each answered, crosses a topology of real Open vSwitch bridges between two
of them that lie far apart. Then the busiest link on its way that has another way around it loses
its carrier, or swallows frames silently, or the bridge at its end hangs (SIGSTOP) - while the
controller is stopped, so that the bridges repair alone, or while it runs. Then the controller goes
on (``again_lost``: what the stream loses while it finds other paths and brings repairs up to date;
``again_flaps``: BFD sessions lost meanwhile, which nothing but a busy machine accounts for),
and then the failure is mended (``mended_lost``: until all is as it was). Needs root.

Where the switches of a topology have no two ways among them, its hosts have the bridges, joined by
tunnels over NICs, switches and wires as the file says; where these have none either, what is lost
is the way between two hosts whose segments a router joins (``path``), so that a third relays.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import Bench, bench, bridges_of, offer, until
from results import COLOURS, canvas, number_above, parser, run, tell, write

from vneter_sdn.fleet.strands import Strand, set_state
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.fleet.topology import Topology, read_topology, whole

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"
MEASURED = ("ring", "leaf-spine", "dual-homed", "fat-tree", "abilene", "geant",
            "two-planes", "one-spine", "three-sites")  # fmt: skip
"""Those of `TOPOLOGIES` where something may fail."""
FAILURES = ("carrier", "silent", "bridge")
SETTLE, AFTER, AGAIN = 1.0, 2.0, 10.0
"""Seconds of stream before the failure, after it, and then with a controller that goes on."""
Ends = tuple[str, str]


class Case(NamedTuple):
    """What is brought up for a topology, and what can fail in it with another way left."""

    topology: Topology
    ends: Ends
    failures: tuple[str, ...]

    @property
    def wired(self) -> bool:
        """Whether wires alone join the bridges, as in Mininet."""
        return not self.topology.switches


def main(words: list[str]) -> None:
    """Run it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--topology",
        nargs="+",
        default=[*MEASURED],
        help="names below topologies/, or files",
    )
    arguments.add_argument(
        "--failure", nargs="+", choices=FAILURES, help="all; in Mininet there is carrier alone"
    )
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
    offer(arguments)
    asked = arguments.parse_args(words)
    possible = FAILURES if asked.on == "fleet" else ("carrier",)
    failures = asked.failure or possible
    if not set(possible).issuperset(failures):
        raise SystemExit("Mininet's bridges have no BFD and cannot hang alone: --failure carrier")
    rows: list[dict[str, Any]] = []
    for name in asked.topology:
        known = TOPOLOGIES / f"{name}.yaml"
        case = case_of(known if known.exists() else Path(name))
        if case is None or (asked.on == "mininet" and not case.wired):
            tell(f"{name}: left out, no link of it has another way around it")
            continue
        with bench(asked.on, case.topology, "--bfd-interval-ms", str(asked.bfd)) as made:
            made.attach({"a": case.ends[0], "b": case.ends[1]})
            for failure in (one for one in case.failures if one in (*failures, "path")):
                for state in asked.controller:
                    for _ in range(asked.repeat):
                        row = {"topology": Path(name).stem, "failure": failure, "controller": state}
                        time.sleep(asked.rest)
                        rows.append(row | measure(made, failure, state == "stopped", asked.rate))
                        tell(" ".join(f"{key} {value}" for key, value in rows[-1].items()))
    if not rows:
        raise SystemExit("nothing was measured")
    write(asked.output, "failover", rows, _plot(rows))


def case_of(path: Path) -> Case | None:
    """How a topology is measured, see the module; None where nothing has another way around it."""
    topology, wired = read_topology(path), bridges_of(path)
    if ends := far_apart(wired):
        return Case(wired, ends, FAILURES)
    for laid in (wired, topology):
        if ends := around(laid):
            return Case(laid, ends, ("carrier", "silent"))
    pairs = [whole(link).ends for link in topology.links]
    for ends in combinations(topology.hosts, 2):
        if len(topology.hosts) > 2 and not steps(pairs, ends):
            return Case(topology, ends, ("path",))
    return None


def around(topology: Topology) -> Ends | None:
    """The first of those two hosts furthest apart that may lose any one link of theirs."""
    pairs = [whole(link).ends for link in topology.links]
    found: list[tuple[int, Ends]] = []
    for ends in combinations(topology.hosts, 2):
        way = steps(pairs, ends)
        own = [n for n, pair in enumerate(pairs) if set(pair) & set(ends)]
        if way and all(_spare(pairs, n, ends) for n in own):
            found.append((way, ends))
    return max(found, key=lambda pair: pair[0], default=(0, None))[1]


def _spare(pairs: Sequence[Ends], number: int, ends: Ends) -> bool:
    """Whether two nodes stay joined without one of the links."""
    return bool(steps([*pairs[:number], *pairs[number + 1 :]], ends))


def steps(pairs: Sequence[Ends], ends: Ends) -> int:
    """Links between two nodes; 0 where nothing joins them."""
    seen, edge, count = {ends[0]}, {ends[0]}, 0
    while edge and ends[1] not in edge:
        near = {pair[n] for pair in pairs for n in (0, 1) if pair[1 - n] in edge}
        edge = near - seen
        seen |= edge
        count += 1
    return count if edge else 0


def far_apart(topology: Topology) -> Ends | None:
    """The first of those two bridges furthest from one another that any one other may be lost."""
    pairs = [whole(link).ends for link in topology.links]

    def without(host: str) -> list[Ends]:
        return [pair for pair in pairs if host not in pair]

    found: list[tuple[int, Ends]] = []
    for ends in combinations(topology.hosts, 2):
        others = [host for host in topology.hosts if host not in ends]
        way = steps(pairs, ends)
        if way > 1 and all(steps(without(host), ends) for host in others):
            found.append((way, ends))
    return max(found, key=lambda pair: pair[0], default=(0, None))[1]


def measure(made: Bench, failure: str, stopped: bool, rate: float) -> dict[str, Any]:
    """One failure under a stream; everything is mended afterwards."""
    source, target = made.workloads["a"], made.workloads["b"]
    with Stream(source, target, rate=10, protocol="udp") as first:  # neighbours and flows
        until(first.await_flow, "an answer")
    with Stream(source, target, rate=rate, protocol="udp") as stream, ExitStack() as undo:
        until(stream.await_flow, "an answer")
        link, bridge = _busiest(made, (source.host, target.host))
        marks = [stream.report().sent]
        with made.stopped() if stopped else nullcontext():
            undo.enter_context(_failed(made, failure, link, bridge))
            time.sleep(AFTER)
            gap = stream.report().longest_gap
            marks.append(stream.report().sent)
        flapped = made.flaps()
        time.sleep(AGAIN)
        marks.append(stream.report().sent)
        flapped = made.flaps() - flapped
        time.sleep(0.2)  # a bridge that hangs hands on what it holds once it is mended
        lost, again = (stream.lost(*part) for part in pairwise(marks))
        undo.close()
        made.await_wires()
        time.sleep(SETTLE)
        mended = stream.lost(marks[-1], stream.stop().sent)
    return {
        "hit": {"bridge": bridge, "path": f"{source.host}-{target.host}"}.get(failure, link.name),
        "sent": marks[1] - marks[0],
        "lost": lost,
        "lost_ms": round(lost / rate * 1000, 1),
        "longest_gap_ms": round(gap * 1000, 1),
        "again_lost": again,
        "again_flaps": flapped,
        "mended_lost": mended,
    }


def _busiest(made: Bench, ends: Ends) -> tuple[Strand, str]:
    """The link that carries most now and may be lost, and a bridge that is on the way."""
    before = made.carried()
    time.sleep(SETTLE)
    after = made.carried()
    links = [link for link in made.links if link.kind != "cable"]  # those take many tunnels along
    order = sorted(links, key=lambda link: before[link.name] - after[link.name])
    pairs = [link.ends for link in order]
    pairs += [link.ends for link in made.links if link.kind == "cable"]
    spare = (link for n, link in enumerate(order) if _spare(pairs, n, ends))
    between = (node for link in order for node in link.ends if node not in ends)
    return next(spare, order[0]), next(between, "")


@contextmanager
def _failed(made: Bench, failure: str, link: Strand, bridge: str) -> Iterator[None]:
    mend: Callable[[], None]
    if failure == "bridge":
        process = made.switch_pid(bridge)
        os.kill(process, signal.SIGSTOP)

        def mend() -> None:
            os.kill(process, signal.SIGCONT)

    elif failure == "path":
        mend = made.part(*(one.host for one in made.workloads.values()))

    else:
        set_state([link], "down" if failure == "carrier" else "silent")

        def mend() -> None:
            set_state([link], "up")

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
