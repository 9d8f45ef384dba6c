# SPDX-License-Identifier: Apache-2.0
"""Directories drawn by lot: compiled flows say what a second reading of the manifests says."""

from ipaddress import ip_address

import pytest
from by_the_book import Cluster
from drawn import CONNECTIONS, OUTSIDE, directory

from vneter_sdn.cli import selecting
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.daemon.picture import Picture
from vneter_sdn.daemon.reachability import matrix


def by_flows(seed: int) -> dict[tuple[str, str, str], bool]:
    result = compile_manifests(directory(seed))
    picture = Picture(result.snapshot, result.compiler)
    ends = selecting.selected(picture, ["*", *OUTSIDE])
    rows = matrix(picture, ends, ends, selecting.ports(",".join(CONNECTIONS)))
    return {(row.source, row.target, row.port): row.allowed for row in rows}


def by_the_book(seed: int) -> dict[tuple[str, str, str], bool]:
    cluster = Cluster(directory(seed))
    ends = {pod.name: pod for pod in cluster.pods} | {one: ip_address(one) for one in OUTSIDE}
    found = {}
    for source, near in ends.items():
        for target, far in ends.items():
            for connection in () if {source, target} <= {*OUTSIDE} else CONNECTIONS:
                protocol, _, port = connection.upper().partition("/")
                found[source, target, connection] = cluster.allows(near, far, protocol, int(port))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_they_agree(seed: int) -> None:
    wanted, got = by_the_book(seed), by_flows(seed)
    assert got.keys() == wanted.keys()
    wrong = [(*cell, wanted[cell]) for cell in wanted if wanted[cell] != got[cell]]
    assert not wrong, wrong[:10]
