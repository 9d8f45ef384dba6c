# SPDX-License-Identifier: Apache-2.0
"""A controller and a Mininet network, in namespaces of their own (``lab.py``).

The controller is ``vneterctl up --lab``: it adopts Mininet's bridges, finds their wires, and
learns who is behind their ports. All bridges share one Open vSwitch, whose database the
controller does not have: it cannot hang one of them, nor have BFD.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from benches import Bench, until
from results import tell

from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.strands import Strand
from vneter_sdn.fleet.topology import Link, Topology

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import Lab, lab
from network import Controller, Network, network

TENANT, NETWORK = "default", "lan"
"""What a lab has when it begins."""
_FILE = "run/topology.json"


@dataclass(slots=True, kw_only=True)
class LabBench(Bench):
    """A bench of Mininet's bridges and hosts."""

    lab: Lab
    controller: Controller
    net: Network

    def attach(self, places: Mapping[str, str]) -> None:
        """Take the Mininet host at each bridge, and wait until it was learned."""
        at = {
            self.net.originals[ends[1][0]]: ends
            for ends in self.net.links
            if ends[0][0] in self.net.hosts
        }
        for name, bridge in places.items():
            (host, _), (switch, port) = at[bridge]
            about = self.net.hosts[host]
            self.workloads[name] = WorkloadRecord(
                tenant=TENANT,
                name=name,
                network=NETWORK,
                host=bridge,
                netns=self._namespace(about["pid"]),
                port=port,
                interface_id=f"{switch}/{port}",
                mac=about["mac"],
                addresses=(f"{about['ip']}/8",),
            )
            tell(f"{name} is {host} at {bridge}")
        hosts = [at[bridge][0][0] for bridge in places.values()]
        for one, other in zip(hosts, hosts[1:] + hosts[:1], strict=True):
            until(lambda a=one, b=other: self.net.ping(a, b), f"that {one} reaches {other}")

    def original(self, host: str) -> str:
        """What the topology calls a host of the controller's, which has its bridge's name."""
        return self.net.originals.get(host, host)

    def _namespace(self, process: str) -> str:
        """The network namespace of a process that the lab knows by a number, as a path."""
        return f"/proc/{self.lab.pid}/root/proc/{process}/ns/net"

    def stopped(self) -> AbstractContextManager[None]:
        """With every process of the controller stopped (SIGSTOP)."""
        return self.controller.stopped()

    def groups(self, host: str) -> str:
        """A bridge's groups, as ``ovs-ofctl`` shows them."""
        name = next(name for name, original in self.net.originals.items() if original == host)
        return self.lab.run(["ovs-ofctl", "-O", "OpenFlow15", "dump-groups", name]).stdout

    def switch_pid(self, host: str) -> int:
        """None has an ovs-vswitchd of its own."""
        raise SystemExit(f"{host} shares its Open vSwitch with all bridges of the lab")


@contextmanager
def mininet(topology: Topology, *options: str) -> Iterator[LabBench]:
    """A Mininet network that its controller knows, a host on each bridge; see `benches.bench`."""
    if os.geteuid():
        raise SystemExit("Mininet needs root")
    if not shutil.which("mn", path="/usr/bin:/usr/local/bin"):
        raise SystemExit("Mininet is not installed; run scripts/setup")
    with lab() as made:
        tell(f"Mininet: {len(topology.hosts)} bridges, {len(topology.links)} wires")
        controller = Controller(made)
        try:
            controller.start(*options)
            Path(f"/proc/{made.pid}/root/{_FILE}").write_bytes(_file_of(topology))
            with network(made, f"/{_FILE}", bw="off") as net:
                wires = tuple(_strands(net, f"/proc/{made.pid}/ns/net"))
                found = LabBench(
                    controller.client, wires, TENANT, lab=made, controller=controller, net=net
                )
                until(lambda: controller.edges() == net.edges, "that the graph is as it is")
                found.await_wires()
                yield found
        except BaseException:
            tell(f"the controller said at last:\n{controller.log()[-3000:]}")
            raise


def _file_of(topology: Topology) -> bytes:
    """A topology file; every bridge gets a host, since it has none."""
    links = []
    for link in topology.links:
        told = msgspec.to_builtins(link) if isinstance(link, Link) else {"ends": link}
        links.append({name: told[name] for name in told if name not in {"medium", "ports"}})
    return msgspec.json.encode({"switches": topology.hosts, "links": links})


def _strands(net: Network, netns: str) -> Iterator[Strand]:
    counts: Counter[str] = Counter()
    for one, other in net.wires:
        ends = net.originals[one[0]], net.originals[other[0]]
        name = "-".join(ends)
        counts[name] += 1
        name += f".{counts[name]}" if counts[name] > 1 else ""
        yield Strand(name, "wire", ends, ((netns, one[1]), (netns, other[1])))
