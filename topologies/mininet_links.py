# SPDX-License-Identifier: Apache-2.0
"""Mininet links with delay, jitter and loss for kernels without netem.

A `RelayLink` is two veth pairs with a userspace relay (`vneter_sdn/fleet/relay.py`) between them:

    s1-eth1 == rl0a  relay process  rl0b == s2-eth1

Bandwidth stays with HTB on the outer interfaces, as in any `TCLink`. The process starts with the
link and ends with it, or with Mininet, whichever is first.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mininet.link import TCLink
from mininet.log import error
from mininet.util import quietRun

RELAY = Path(__file__).resolve().parents[1] / "vneter_sdn" / "fleet" / "relay.py"
_numbers = itertools.count()


class RelayLink(TCLink):
    """A link with a relay in the middle.

    Args:
        relay: arguments of the relay beside the two interfaces: ``["--delay", "10"]`` (ms), with
            ``--reverse-…`` for the way from the second node to the first.
        And all those of `TCLink`, save ``delay``, ``jitter`` and ``loss``, which netem would do.
    """

    def __init__(self, *nodes: Any, relay: Sequence[str] = (), **params: Any) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._words = [str(word) for word in relay]
        super().__init__(*nodes, **params)

    def makeIntfPair(  # noqa: N802, PLR0913, PLR0917 -- Mininet's name and arguments
        self,
        intfname1: str,
        intfname2: str,
        addr1: str | None = None,
        addr2: str | None = None,
        node1: Any = None,
        node2: Any = None,
        deleteIntfs: bool = True,  # noqa: N803
    ) -> None:
        """Make both pairs, and start the relay between their inner ends."""
        number = next(_numbers)
        inner = (f"rl{number}a", f"rl{number}b")
        outer = ((intfname1, addr1, node1), (intfname2, addr2, node2))
        for (name, address, node), end in zip(outer, inner, strict=True):
            said = f" address {address}" if address else ""
            there = f" netns {node.pid}" if node else ""
            told = quietRun(f"ip link add name {name}{there}{said} type veth peer name {end}")
            if told:
                raise RuntimeError(f"cannot make the interfaces {name} and {end}: {told}")
            quietRun(f"sysctl -qw net.ipv6.conf.{end}.disable_ipv6=1")
            quietRun(f"ip link set {end} up")
        command = [sys.executable, str(RELAY), *inner, "--follow-parent", *self._words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def delete(self) -> None:
        """End the relay and remove the interfaces."""
        if self.process is not None:
            if self.process.poll() is not None:
                error(f"the relay of {self} ended by itself with {self.process.returncode}\n")
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None
        super().delete()
