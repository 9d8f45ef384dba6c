# SPDX-License-Identifier: Apache-2.0
"""Keeps a Mininet network up in a lab and does what `network.Network` asks, on Mininet's Python.

One JSON object per line on the standard streams: ``{"do": "run", "node": "h1", "words": "ip a"}``.
Answers begin with ``@``; what else is printed is Mininet's. It ends with its input.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mininet.net import Mininet
from mininet.node import OVSSwitch, RemoteController
from mininet_topos import build

PORT = 6653


def main(topology: str, options: str) -> None:
    """Serve a topology file until the input ends."""
    net = Mininet(
        topo=build(topology, **json.loads(options)),
        controller=lambda name: RemoteController(name, ip="127.0.0.1", port=PORT),
        switch=lambda *a, **k: OVSSwitch(
            *a, datapath="user", failMode="secure", protocols="OpenFlow15", **k
        ),
    )
    net.start()
    try:
        _answer({"network": _described(net)})
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                _answer({"done": _DOES[asked.pop("do")](net, **asked)})
            except Exception as failed:  # noqa: BLE001 - the test is told, and goes on
                _answer({"failed": f"{type(failed).__name__}: {failed}"})
    finally:
        net.stop()


def _answer(found: Any) -> None:
    print("@" + json.dumps(found), flush=True)


def _described(net: Any) -> dict[str, Any]:
    """Nodes by name, and links as pairs of interfaces."""
    switches = {switch.name for switch in net.switches}
    return {
        "switches": sorted(switches),
        "originals": {name: net.topo.nodeInfo(name)["original"] for name in sorted(switches)},
        "hosts": {host.name: _host(host) for host in net.hosts},
        "links": [
            [[end.node.name, end.name] for end in (link.intf1, link.intf2)] for link in net.links
        ],
    }


def _host(host: Any) -> dict[str, str]:
    return {"ip": host.IP(), "mac": host.MAC(), "pid": str(host.pid)}


def _run(net: Any, node: str, words: str) -> str:
    said: str = net[node].cmd(words)
    return said


def _set(net: Any, interfaces: list[list[str]], state: str) -> None:
    for node, interface in interfaces:
        net[node].cmd(f"ip link set dev {interface} {state}")


_DOES = {"run": _run, "set": _set}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
