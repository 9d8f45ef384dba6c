# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' policies on a fleet: one matrix by the model, by traces of bridges, by packets.

The cases are those of ``tests/policy/cases``; one fleet is changed from each to the next.
"""

import json
import sys
from pathlib import Path
from random import Random

import pytest

from vneter_sdn.cli.main import run
from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.kubernetes.door import native

sys.path.insert(0, str(Path(__file__).parents[1] / "policy"))

from case_files import load, world

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
HOSTS = {"node1": "h1", "node2": "h2", "node3": "h3"}
CASES = (
    "two-policies-add-up",
    "both-ends-must-allow",
    "types-default-to-both-with-egress-rules",
    "named-port",
    "namespaces-and-pods-by-expressions",
    "anp-deny-over-network-policy",
    "same-names-in-all-apis",
)
METHOD = Method(icmp=False, tcp=(80, 81), udp=(53,), families=(4,))
TRACES = 12
"""Cells of each matrix that are traced; each is a command."""


def placed(manifest):
    """A pod where the fleet has a host for its node, with an address that is chosen here."""
    if manifest["kind"] != "Pod":
        return manifest
    spec = manifest["spec"] | {"nodeName": HOSTS[manifest["spec"]["nodeName"]]}
    return {key: value for key, value in manifest.items() if key != "status"} | {"spec": spec}


@pytest.fixture(scope="module", autouse=True)
def cluster(fleet):
    fleet.up(3)
    objects = [placed(one) for one in world() if one["kind"] != "Node"]
    fleet.controller.client.apply(objects)
    pods = [one for one in objects if one["kind"] == "Pod"]
    fleet.attach(
        *(
            ("cluster", f"{m['namespace']}.{m['name']}", "pods", one["spec"]["nodeName"])
            for one in pods
            for m in [one["metadata"]]
        )
    )
    for host in HOSTS.values():
        fleet.controller.await_synced([host])


@pytest.fixture(params=CASES)
def case(request, fleet):
    """A case whose policies are applied, and taken away afterwards."""
    (found,) = [case for case in load() if case.name == request.param]
    base = world()
    given = [one for one in found.manifests if one not in base]
    fleet.controller.client.apply(given)
    made = [
        (one["kind"], one["metadata"].get("tenant", ""), one["metadata"]["name"])
        for one in native(list(found.manifests)).manifests
        if one["kind"] in ("Policy", "ClusterPolicy")
    ]
    for key in made:
        fleet.until(lambda key=key: realised(fleet, key), what=f"{key} on every bridge")
    yield found
    for key in made:
        fleet.controller.client.delete(*key)


def realised(fleet, key):
    status = fleet.controller.client.get(key[0], key[1], key[2])["status"]
    return any(c["type"] == "Realised" and c["status"] == "True" for c in status["conditions"])


def by_model(vneterctl):
    out = vneterctl("reachability", "--ports", "tcp/80,tcp/81,udp/53", "-o", "json")
    return {(r["from"], r["to"], r["port"]): r["allowed"] for r in json.loads(out)}


def by_packets(fleet):
    """Whoever is asked answers by its own name, or nobody does."""
    report = probe(list(fleet.records.values()), METHOD)
    owners = {
        address.partition("/")[0]: record.name
        for record in fleet.records.values()
        for address in record.addresses
    }
    found = {}
    for question, seen in report.seen.items():
        if question.address not in owners:
            continue
        source = question.source.partition("/")[2].replace(".", "/", 1)
        target = owners[question.address].replace(".", "/", 1)
        found[source, target, f"{question.protocol}/{question.port}"] = (
            seen.answered == f"cluster/{owners[question.address]}"
        )
    return found


def differing(seen, wanted):
    assert len(seen) == 9 * 8 * 3
    return {cell: got for cell, got in seen.items() if got != wanted[cell]}


@pytest.fixture
def vneterctl(fleet, capsys):
    def call(*words):
        capsys.readouterr()
        code = run([*words, "--server", fleet.controller.server])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


def test_one_matrix_three_ways(case, fleet, vneterctl):
    wanted = {(r.source, r.target, r.port): r.verdict == "allow" for r in case.rows()}
    assert len(set(wanted.values())) == 2
    fleet.until(lambda: by_model(vneterctl) == wanted, what="the model to say as expected")
    differences = differing(by_packets(fleet), wanted)
    for _ in range(3):
        if differences:  # what was there before goes a moment after what is new comes
            differences = differing(by_packets(fleet), wanted)
    assert differences == {}
    cells = sorted(cell for cell in wanted if cell[0] != cell[1])
    for source, target, port in Random(case.name).sample(cells, TRACES):
        protocol, _, number = port.partition("/")
        words = ("--from", source, "--to", target, f"--{protocol}", number, "--live")
        found = json.loads(vneterctl("trace", *words, "-o", "json"))
        assert found["live"]["agrees"], (source, target, port)
        assert found["live"]["allowed"] == wanted[source, target, port]


def test_everything_passes_once_they_are_gone(fleet):
    fleet.until(lambda: all(by_packets(fleet).values()), what="an open network")
