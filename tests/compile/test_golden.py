# SPDX-License-Identifier: Apache-2.0
"""The published scenarios are what the code compiles, and Open vSwitch takes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from vneter_sdn.daemon.golden import golden
from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.errors import IntentError
from vneter_sdn.pipeline.text import parse_flow

FLOWS = Path(__file__).parents[2] / "flows"
SCENARIOS = sorted(path for path in (FLOWS / "scenarios").iterdir() if path.is_dir())


def manifests(scenario):
    texts = [(scenario / name).read_text() for name in ("topology.yaml", "intent.yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def test_everything_published_is_current():
    assert golden(FLOWS, check=True) == 0


def test_a_change_is_found_and_repaired(tmp_path, capsys):
    shutil.copytree(FLOWS, tmp_path / "flows")
    changed = tmp_path / "flows" / "scenarios" / "single-host" / "h1.flows"
    changed.write_text(changed.read_text().replace("priority=200", "priority=201", 1))
    (changed.parent / "h9.flows").write_text("left over")
    assert golden(tmp_path / "flows", check=True) == 1
    assert "priority=201" in capsys.readouterr().err
    assert golden(tmp_path / "flows", check=False) == 0
    assert golden(tmp_path / "flows", check=True) == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_the_named_text_is_the_state(scenario):
    result = compile_manifests(manifests(scenario))
    for host, files in result.bridges.items():
        held = result.compiler.bridge(host).flows
        for text in (files.named, files.numeric):
            lines = [line for line in text.splitlines() if line and not line.startswith("#")]
            assert {flow.key: flow for flow in map(parse_flow, lines)} == held


@pytest.mark.ovs
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_ovs_ofctl_takes_every_flow(scenario, tmp_path, ofctl):
    for host, files in compile_manifests(manifests(scenario)).bridges.items():
        path = tmp_path / host
        path.write_text(files.numeric)
        assert ofctl("parse-flows", str(path)).count("OFPT_FLOW_MOD") == files.numeric.count("\n")


def test_order_of_manifests_does_not_matter_for_what_is_refused():
    with pytest.raises(IntentError):
        compile_manifests([{"kind": "Endpoint"}])
    with pytest.raises(IntentError):
        compile_manifests(manifests(SCENARIOS[0])[2:])


def test_scenarios_explain_themselves():
    for scenario in SCENARIOS:
        assert (scenario / "README.md").exists()
