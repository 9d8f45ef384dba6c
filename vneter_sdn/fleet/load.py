# SPDX-License-Identifier: Apache-2.0
"""Traffic at a rate between two workloads, as many short connections: what paths are shared by.

A connection keeps the path it began on, so a load that is to follow new weights has to begin new
ones all the time: every few datagrams are sent from another port. Nobody answers, nobody slows down
when packets are lost; what arrives is for the counters of ports to say. ::

    with Load(source, target, mbps=3):
        ...
"""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address
from types import TracebackType

from vneter_sdn.errors import NotFound
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.sockets import open_udp
from vneter_sdn.fleet.system import netns_path

OCTETS = 1000
"""Of a datagram, without its headers."""
CONNECTION = 8
"""Datagrams of a connection."""
_SENDER = f"""
import select, socket, sys, time
address, port, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
data, due, sent, out = bytes({OCTETS}), time.monotonic(), 0, None
while True:
    left = due - time.monotonic()
    if select.select([0], [], [], max(0.0, left))[0]:
        break
    if sent % {CONNECTION} == 0:
        if out is not None:
            out.close()
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        out.sendto(data, (address, port))
    except OSError:
        pass
    sent += 1
    due = max(due + pause, time.monotonic() - 0.1)
"""
"""Ends with its standard input: when it is told to, or when we are no more."""


class Load:
    """Datagrams over IPv4 at a rate, from one workload to another."""

    def __init__(
        self, source: WorkloadRecord, target: WorkloadRecord, mbps: float, port: int = 5001
    ) -> None:
        """Prepare; entering it sends.

        Args:
            source: sends.
            target: takes them, and does not read them.
            mbps: Mbit/s of datagrams, headers apart.
            port: of the target, its own for each load.

        Raises:
            NotFound: the target has no IPv4 address.
        """
        plain = [address.partition("/")[0] for address in target.addresses]
        fitting = [address for address in plain if ip_address(address).version == 4]
        if not fitting:
            raise NotFound(f"workload {target.identity} has no IPv4 address")
        pause = OCTETS * 8e-6 / mbps
        self._words = [
            *("nsenter", f"--net={netns_path(source.netns)}", "--"),
            *(sys.executable, "-IS", "-c", _SENDER, fitting[0], str(port), f"{pause:.9f}"),
        ]
        self._target, self._port = target, port

    def __enter__(self) -> Load:
        """Begin to send.

        Raises:
            SouthboundError: a namespace is gone.
            OSError: the port is taken in the target.
        """
        self._sink = open_udp(self._target.netns, 4, self._port)
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send no more."""
        self._process.communicate()
        self._sink.close()
