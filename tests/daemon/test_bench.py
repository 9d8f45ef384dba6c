# SPDX-License-Identifier: Apache-2.0
"""Benches print what they promise; how fast is for the bench itself to say."""

import json
import os

import pytest

from vneter_sdn.daemon import bench

KEYS = {"measure", "unit", "ours", "peer", "ratio", "target", "met"}


def rows_of(capsys, *words):
    assert bench.main([*words]) in (0, 1)
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == KEYS for row in rows)
    assert all(row["ours"] >= 0 for row in rows)
    return [row["measure"] for row in rows]


def test_compile_as_json(capsys):
    assert rows_of(capsys, "compile", "--json", "--endpoints", "40", "--hosts", "3") == [
        "compile/40/3/full",
        "compile/40/3/one-added",
        "compile/40/3/one-moved",
        "compile/40/3/others-wait-p99",
        "compile/40/3/peak-memory",
    ]


def test_compile_for_people(capsys):
    assert bench.main(["compile", "--endpoints", "40", "--hosts", "3"]) in (0, 1)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["measure", "unit", "ours", "peer", "ratio", "target", "met"]
    assert [len(line.split()) for line in lines] == [7] * 5


def test_graph_as_json(capsys):
    assert rows_of(capsys, "graph", "--json", "--nodes", "45") == [
        f"graph/{shape}/45/{what}"
        for shape in ("wan", "fat-tree")
        for what in (
            "one-link",
            "one-link-worst",
            "one-link-networkx-sampled",
            "one-link-anew",
            "anew-networkx-sampled",
        )
    ] + [f"graph/wan/45/one-link-flows{what}" for what in ("", "-worst", "-repairs-step")]


def test_edge_as_json(capsys):
    assert rows_of(capsys, "edge", "--json", "--endpoints", "40", "--hosts", "3") == [
        f"edge/40/3/{what}"
        for what in (
            *("flows-of-endpoint", "meters-of-endpoint", "flows-per-bridge", "full", "one-added"),
            *("peak-memory", "answers-dhcp", "answers-names", "answers-router", "answers-error"),
        )
    ]


def test_policy_as_json(capsys):
    sizes = ("--endpoints", "60", "--hosts", "3", "--policies", "60", "--namespaces", "4")
    changes = (
        *("policy", "rules-of-operator", "rule-in-between"),
        *("pod-label", "pod-new-label", "namespace-label"),
    )
    assert rows_of(capsys, "policy", "--json", *sizes) == [
        "policy/60/60/3/full",
        "policy/60/60/3/peak-memory",
        "policy/60/60/3/flows-per-bridge",
        "policy/60/60/3/of-rules-per-bridge",
        *(f"policy/60/60/3/{what}{more}" for what in changes for more in ("", "-worst", "-flows")),
        "policy/60/60/3/ready-to-prove",
        *(
            f"policy/60/60/3/proof-of-{what}{more}"
            for what in ("policy", "pod-label")
            for more in ("", "-worst", "-first", "-pairs")
        ),
    ]


@pytest.mark.fleet
def test_system_as_json(capsys):
    if os.geteuid():
        pytest.skip("a fleet needs root; scripts/test runs as root")
    assert rows_of(capsys, "system", "--json", "--hosts", "2", "--endpoints", "4") == [
        "system/4/2/batch-ready",
        "system/4/2/one-ready",
        "system/4/2/restart-in-sync",
    ]


def test_an_unknown_bench_is_named(capsys):
    assert bench.main(["speed"]) == 2
    assert "no bench speed" in capsys.readouterr().err
