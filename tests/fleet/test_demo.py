# SPDX-License-Identifier: Apache-2.0
"""What the demonstration applies and concludes; scripts/demo runs it for real."""

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from vneter_sdn.errors import IntentError
from vneter_sdn.fleet.demo import proofs, read_manifests, wish_of
from vneter_sdn.fleet.expectation import Peer, Seen, expected, findings, questions
from vneter_sdn.fleet.probe import ProbeReport
from vneter_sdn.fleet.report import matrix, probe_document, verdict
from vneter_sdn.model.kinds import KINDS, Metadata

MANIFESTS = Path(__file__).parents[2] / "topologies" / "demo"


def test_its_manifests_are_two_tenants_with_the_same_addresses():
    objects = read_manifests(MANIFESTS)
    for one in objects:
        msgspec.convert(one["metadata"], Metadata)
        msgspec.convert(one["spec"], KINDS[one["kind"]].spec)
    count = [one["kind"] for one in objects].count
    assert (count("Tenant"), count("Network"), count("Endpoint")) == (2, 4, 8)
    prefixes = {one["metadata"]["tenant"]: [] for one in objects if one["kind"] == "Network"}
    for one in objects:
        if one["kind"] == "Network":
            prefixes[one["metadata"]["tenant"]] += one["spec"]["prefixes"]
    assert prefixes["red"] == prefixes["blue"]
    assert {wish_of(one).host for one in objects if one["kind"] == "Endpoint"} == {"h1", "h2", "h3"}


def test_a_directory_without_manifests_is_refused(tmp_path):
    with pytest.raises(IntentError, match="no manifest"):
        read_manifests(tmp_path)


def report_of(answer):
    peers = (
        Peer("red", "a", ("10.0.0.1",)),
        Peer("red", "b", ("10.0.0.2",)),
        Peer("blue", "a", ("10.0.0.1",)),
        Peer("blue", "c", ("10.0.0.3",)),
    )
    asked = questions(peers, [("icmp", 0), ("tcp", 80)])
    wanted = expected(peers, asked)
    seen = {one: answer(one, wanted[one]) for one in asked}
    return ProbeReport(peers, wanted, seen, findings(wanted, seen), 1.0)


def rendered(*renderables):
    console = Console(width=120, file=None, force_terminal=False)
    with console.capture() as capture:
        for one in renderables:
            console.print(one)
    return capture.get()


def test_it_concludes_that_all_agree():
    report = report_of(lambda one, wanted: Seen(wanted, frozenset({wanted} if wanted else ())))
    text = rendered(matrix(report), proofs(report), verdict(report))

    assert report.good
    assert "PASS: all 24 probes agree" in text
    assert "NO" not in text
    assert "(leaks: 0)" in text
    assert probe_document(report)["findings"] == {"reached": 16, "silent": 8}


def test_it_concludes_that_one_leaks():
    def answer(one, wanted):
        if (one.source, one.target, one.protocol) == ("red/a", "blue/c", "tcp"):
            return Seen("blue/c", frozenset({"blue/c"}))
        return Seen(wanted)

    report = report_of(answer)
    text = rendered(matrix(report), proofs(report), verdict(report))

    assert not report.good
    assert "FAIL: 1 of 24" in text
    assert "red/a -> blue/c 10.0.0.3 tcp/80: expected nobody, seen blue/c, heard by blue/c" in text
    assert "(leaks: 1)" in text


def test_a_large_matrix_shows_the_worst_of_each_pair():
    peers = tuple(Peer("red", f"w{n}", (f"10.0.0.{n}",)) for n in range(1, 13))
    asked = questions(peers, [("icmp", 0), ("tcp", 80)])
    wanted = expected(peers, asked)
    seen = {one: Seen(None if one.protocol == "tcp" else wanted[one]) for one in asked}
    text = rendered(matrix(ProbeReport(peers, wanted, seen, findings(wanted, seen), 1.0)))
    assert text.splitlines()[3].count("○") == 11
