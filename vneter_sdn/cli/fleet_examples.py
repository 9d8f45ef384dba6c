# SPDX-License-Identifier: Apache-2.0
"""What ``--help`` of each ``vneterctl fleet`` command ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[tuple[str, str]]] = {
    "up": (
        ("vneterctl fleet up --hosts 3", "h1, h2 and h3 on one switch"),
        ("vneterctl fleet up --topology topologies/two-planes.yaml", ""),
        ("vneterctl fleet up --hosts 2 --no-register", "tells no controller"),
    ),
    "down": (
        ("vneterctl fleet down", "hosts, workloads, and their objects"),
        ("vneterctl fleet down --no-register", "leaves the objects"),
    ),
    "status": (
        ("vneterctl fleet status", ""),
        ("vneterctl fleet status -o jsonpath='{[*].vswitchd_pid}'", "json, yaml, name"),
    ),
    "link": (
        ("vneterctl fleet link", "lists them"),
        ("vneterctl fleet link h1-u0 --down", "cuts it, by what the list calls it"),
        ("vneterctl fleet link h1 u0 --up", "mends it, by its ends"),
        ("vneterctl fleet link h1-u0 --silent", "loses all, and nobody is told"),
    ),
    "manifests": (("vneterctl fleet manifests | vneterctl apply -f -", "registers the hosts"),),
    "attach": (
        ("vneterctl fleet attach h1 a -t red --network web", ""),
        ("vneterctl fleet attach h3 c -t red --network db --address 10.0.2.10", ""),
    ),
    "detach": (("vneterctl fleet detach red/a", ""),),
    "move": (("vneterctl fleet move red/c h2", "its addresses go with it"),),
    "exec": (
        ("vneterctl fleet exec red/a -- ping -c1 10.0.2.10", "in a workload"),
        ("vneterctl fleet exec h1 -- ovs-vsctl show", "on a host"),
    ),
    "probe": (
        ("vneterctl fleet probe", "pings, every pair"),
        ("vneterctl fleet probe --tcp 80 --udp 53 -o json", ""),
    ),
    "stream": (
        ("vneterctl fleet stream red/a red/b --rate 1000", "a lost one is exit code 1"),
        ("vneterctl fleet stream red/a red/b --seconds 0", "until Ctrl-C"),
    ),
    "demo": (("vneterctl fleet demo --hosts 2 --keep", "leaves it running"),),
}
"""By command."""
