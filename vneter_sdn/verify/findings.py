# SPDX-License-Identifier: Apache-2.0
"""What a check found: a fault, a packet that shows it, and the way of that packet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import Flow
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.pipeline.text import flow_text
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import packet_text
from vneter_sdn.verify.packets import Cube, example
from vneter_sdn.verify.state import Choice, Dropped, Punted, Step

_BESIDE = ("in_port", "tun_id")


@dataclass(frozen=True, slots=True)
class Example:
    """One packet that comes in to a bridge, and what it takes for granted."""

    host: str
    packet: Packet
    """With ``in_port``."""
    tracked: tuple[tuple[str, int], ...] = ()
    """What the connection tracker says, each time it is asked: ``ct_state@1`` and so on."""
    choices: tuple[Choice, ...] = ()
    """Buckets of select and fast-failover groups."""
    up: tuple[tuple[tuple[str, int], bool], ...] = ()
    """Ports that have to be up, or down."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault."""

    kind: str
    """``leak``, ``loop``, ``black_hole``, ``misdelivery``, ``untold``, ``shadowed`` or
    ``conflict``, among others."""
    about: str
    """What is wrong, in one line."""
    example: Example | None = None
    hops: tuple[str, ...] = ()
    trail: tuple[Step, ...] = ()
    """Flows that the packet meets, over all bridges."""
    flows: tuple[Flow, ...] = ()
    """Flows that the fault is about, when it is about flows."""

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """For people: what is wrong, with which packet, over which bridges, tables and flows."""
        yield f"{self.kind}: {self.about}"
        if self.example is not None:
            yield f"  packet at {self.example.host}: {packet_text(self.example.packet)}"
            yield from (f"    with {said}" for said in granted(self.example))
        if self.hops:
            yield f"  by {' > '.join(self.hops)}"
        for step in self.trail:
            yield f"  {step.host} {flow_words(step.flow)}"
        for flow in self.flows:
            yield f"  flow {flow_words(flow)}"


def granted(example: Example) -> Iterator[str]:
    """What an example takes for granted besides the packet."""
    for name, value in example.tracked:
        yield f"{name} = {value:#x}"
    for choice in example.choices:
        yield f"bucket {choice.bucket} of group {choice.group} on {choice.host}"
    for (host, port), up in example.up:
        yield f"port {port} of {host} {'up' if up else 'down'}"


def flow_words(flow: Flow) -> str:
    """A flow as ovs-ofctl has it, its table by name where it has one."""
    try:
        return flow_text(flow, named=flow.table in BY_ID)
    except (KeyError, PipelineError):  # a table of another generation
        return repr(flow)


def example_of(
    host: str,
    cubes: Iterable[Cube],
    choices: tuple[Choice, ...] = (),
    up: tuple[tuple[tuple[str, int], bool], ...] = (),
) -> Example | None:
    """A packet of some, preferably one that starts a connection; None when there are none."""
    for cube in cubes:
        chosen = example(cube)
        if chosen is not None:
            packet = {name: value for name, value in chosen.items() if "@" not in name}
            said = tuple(sorted((n, v) for n, v in chosen.items() if "@" in n))
            return Example(host, Packet(**packet), said, choices, up)
    return None


def dropped_words(end: Dropped | Punted) -> str:
    """Who drops a packet, and why."""
    if isinstance(end, Punted):
        return f"goes to the controller from {end.host}"
    table = BY_ID[end.table].name if end.table in BY_ID else str(end.table)
    reasons = {
        "miss": f"no flow of table {table}",
        "no_action": f"a flow of table {table} that drops",
        "ttl": f"its TTL, in table {table}",
        "in_port": f"table {table} sends it where it came from",
        "no_port": f"table {table} sends it to no port",
        "group": f"table {table} has a group without a live bucket, or no such group",
        "limit": f"table {table} is met too often",
        "nothing": f"table {table} sends it nowhere",
    }
    return f"is dropped on {end.host}: {reasons.get(end.reason, end.reason)}"
