# SPDX-License-Identifier: Apache-2.0
"""What an experiment runs on: a controller, bridges joined by wires, and workloads.

The same on a fleet (`fleets.py`) and in Mininet (`labs.py`); `bench` makes either.
"""

from __future__ import annotations

import argparse
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vneter_sdn.client import Client
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.strands import Strand
from vneter_sdn.fleet.system import inside
from vneter_sdn.fleet.topology import Link, Topology, as_wires, read_topology

PATIENCE = 180.0
GROUNDS = ("fleet", "mininet")
_COLOUR = re.compile(r"set_field:([0-9a-f:]+)/[0-9a-f:]+->eth_dst")


@dataclass(slots=True)
class Bench(ABC):
    """A controller that is ready, and bridges whose wires it has found."""

    client: Client
    wires: tuple[Strand, ...]
    tenant: str
    """Whose the workloads are."""
    workloads: dict[str, WorkloadRecord] = field(default_factory=dict)

    @abstractmethod
    def attach(self, places: Mapping[str, str]) -> None:
        """Have workloads of one tenant and network, by name, each on its bridge."""

    @abstractmethod
    def stopped(self) -> AbstractContextManager[None]:
        """With every process of the controller stopped (SIGSTOP)."""

    @abstractmethod
    def switch_pid(self, host: str) -> int:
        """The process of a bridge's ovs-vswitchd.

        Raises:
            SystemExit: it has none of its own.
        """

    def flaps(self) -> int:
        """How often BFD sessions were lost, of all there are."""
        return 0

    def part(self, one: str, other: str) -> Callable[[], None]:
        """Lose all that is routed between two hosts in the underlay; call the answer to mend it.

        Raises:
            SystemExit: there is no underlay.
        """
        raise SystemExit(f"nothing is routed between {one} and {other}")

    @abstractmethod
    def groups(self, host: str) -> str:
        """A bridge's groups, as ``ovs-ofctl`` shows them."""

    def original(self, host: str) -> str:
        """What the topology calls a host of the controller's."""
        return host

    def await_wires(self) -> None:
        """Wait until every wire was found and is up."""

        def all_up() -> bool:
            states = [one["status"].get("state") for one in self.client.list("Link")]
            return states.count("up") >= len(self.wires)

        until(all_up, f"that all {len(self.wires)} wires are up")

    @property
    def links(self) -> tuple[Strand, ...]:
        """What may fail: wires, and what tunnels go over."""
        return self.wires

    def carried(self) -> dict[str, int]:
        """Frames that each link has carried so far, both ways."""
        found = {}
        for link in self.links:
            netns, interface = link.places[0]
            found[link.name] = inside(netns, lambda name=interface: _frames(name))
        return found

    def ways_out(self, host: str) -> int:
        """Most colours that any select group of a bridge writes: paths of connections."""
        groups = [line for line in self.groups(host).splitlines() if "type=select" in line]
        return max((len(set(_COLOUR.findall(line))) for line in groups), default=0)


def _frames(interface: str) -> int:
    # A socket's own namespace decides what /proc/thread-self shows of the network.
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            words = numbers.split()
            return int(words[1]) + int(words[9])
    return 0


def offer(arguments: argparse.ArgumentParser) -> None:
    """Give a parser the option that says what to run on."""
    arguments.add_argument(
        "--on", choices=GROUNDS, default=GROUNDS[0], help="where; both need root"
    )


@contextmanager
def bench(on: str, topology: Topology, *options: str) -> Iterator[Bench]:
    """A controller and the bridges of a topology; all of it is gone when the context ends.

    Args:
        on: one of `GROUNDS`.
        topology: hosts have bridges, switches are the underlay's (of a fleet alone).
        options: of ``vneterctl up``.
    """
    if on == "fleet":
        from fleets import fleet as made
    else:
        from labs import mininet as made
    with made(topology, *options) as found:
        yield found


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for a condition; its value.

    Raises:
        SystemExit: it did not come true; says which.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)
    return value


def bridges_of(path: Path) -> Topology:
    """A topology's switches as hosts with wires between them; its hosts are left out."""
    read = read_topology(path)
    switches = read.switches or read.hosts
    between = [
        link
        for link in read.links
        if set(switches).issuperset(link.ends if isinstance(link, Link) else link)
    ]
    return as_wires(Topology(hosts=tuple(switches), links=tuple(between)))


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    """An object to apply."""
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
