# SPDX-License-Identifier: Apache-2.0
"""Every experiment runs, at its smallest, and leaves a CSV and a plot."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "experiments"
SCRIPTS = ("engineering", "engineering_live", "failover", "path_spread", "utilisation")
SQUARE = "switches: [s1, s2, s3, s4]\nlinks: [[s1, s2], [s2, s4], [s1, s3], [s3, s4]]\n"

pytestmark = [pytest.mark.experiment, pytest.mark.timeout(600)]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a fleet needs root")
needs_mininet = pytest.mark.skipif(
    not shutil.which("mn", path="/usr/bin:/usr/local/bin"), reason="mininet is not installed"
)
GROUNDS = ["fleet", pytest.param("mininet", marks=needs_mininet)]


def run(name, *words, output=None):
    """Run a script; the rows that it measured."""
    where = ["-o", str(output)] if output else []
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / f"{name}.py"), *words, *where],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    if output is None:
        return ended.stdout
    assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (output / f"{name}.svg").read_text()
    with (output / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_says_what_it_does_without_doing_it(name):
    assert "--output" in run(name, "--help")


def test_engineering(tmp_path):
    rows = run("engineering", "--topology", "ring", "--growth", "1", "2", output=tmp_path)
    assert [(row["topology"], float(row["growth"])) for row in rows] == [("ring", 1), ("ring", 2)]
    for row in rows:
        bound, ours, shortest = (float(row[k]) for k in ("lp_bound", "ours", "shortest_path"))
        assert bound <= ours * (1 + 1e-9) <= shortest * (1 + 1e-6)


@needs_root
@pytest.mark.fleet
@pytest.mark.parametrize("ground", GROUNDS)
def test_failover(tmp_path, ground):
    file = tmp_path / "square.yaml"
    file.write_text(SQUARE)
    words = ["--topology", str(file), "--failure", "carrier", "--controller", "stopped"]
    words += ["--repeat", "1", "--rest", "0", "--rate", "500", "--on", ground]
    (row,) = run("failover", *words, output=tmp_path)
    assert (row["topology"], row["failure"], row["controller"]) == ("square", "carrier", "stopped")
    assert int(row["lost"]) < int(row["sent"]), "it was repaired"


@needs_root
@pytest.mark.fleet
@pytest.mark.parametrize("ground", GROUNDS)
def test_path_spread(tmp_path, ground):
    words = ["--cost", "2", "4", "--connections", "150", "--on", ground]
    rows = run("path_spread", *words, output=tmp_path)
    assert [row["asked_percent"] for row in rows] == ["66.667", "33.333"]
    assert sum(int(row["seen"]) for row in rows) == 150
    assert all(int(row["seen"]) for row in rows)


@needs_root
@pytest.mark.fleet
@pytest.mark.parametrize("ground", GROUNDS)
def test_utilisation(tmp_path, ground):
    file = tmp_path / "square.yaml"
    file.write_text(SQUARE + "demands: [[s1, s4, 1000]]\n")
    words = ["--topology", str(file), "--packets", "2000", "--on", ground]
    default, ours = run("utilisation", *words, output=tmp_path)
    assert [row["lp_bound"] for row in (default, ours)] == ["0.5", "0.5"]
    assert [row["computed"] for row in (default, ours)] == ["1.0", "0.5"]
    assert float(ours["measured"]) < 0.75 < float(default["measured"]), "half goes either way"


@needs_root
@pytest.mark.fleet
def test_engineering_live(tmp_path):
    file = tmp_path / "square.yaml"
    file.write_text(SQUARE + "demands: [[s1, s4, 1000]]\n")
    words = ["--topology", str(file), "--seconds", "7", "--shift", "1"]
    words += ["--every", "1.5", "--interval", "5"]
    rows = run("engineering_live", *words, output=tmp_path)
    over = {}
    for row in rows:
        over.setdefault(row["phase"], []).append(float(row["over_bound"]))
    assert min(over["shortest path"]) > 1.7, "all of it goes one way"
    assert min(over["engineered"]) < 1.4, "half goes either way"
    assert {row["phase"] for row in rows} == {"shortest path", "engineered", "another matrix"}


def test_failures_that_mininet_cannot_have_are_refused_in_words():
    words = ["--on", "mininet", "--failure", "silent"]
    ended = subprocess.run(
        [sys.executable, str(HERE / "failover.py"), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "--failure carrier" in ended.stderr
