# SPDX-License-Identifier: Apache-2.0
"""README's section on policies: what can be asked of manifests, with no controller."""

import re
import shlex
from pathlib import Path

import pytest

from vneter_sdn.cli.main import run

ROOT = Path(__file__).parents[2]
_SECTION = (ROOT / "README.md").read_text("utf-8").partition("\n## Policies\n")[2]
_BLOCK = re.search(r"```sh\n(.*?)```", _SECTION, re.DOTALL)
LINES = _BLOCK.group(1).splitlines() if _BLOCK else []
TOLD = {
    "reachability": (0, "NetworkPolicy data/data ingress[0]"),
    "trace": (0, "not allowed (AdminNetworkPolicy research-stays-out ingress[0] not-research)"),
    "plan": (0, "+ lab/notebook > data/db: ip tcp/5432"),
    "verify": (1, "Assertion research-without-data: Endpoint cluster/lab.notebook can open"),
}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[1])
def test_as_written(line, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(line, comments=True)
    assert words[0] == "vneterctl"
    code, told = TOLD[words[1]]
    assert run(words[1:]) == code
    assert told in capsys.readouterr().out


def test_every_command_is_there():
    assert [line.split()[1] for line in LINES] == [
        "reachability",
        "trace",
        "plan",
        "verify",
    ]
