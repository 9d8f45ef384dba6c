# SPDX-License-Identifier: Apache-2.0
"""Every case of ``cases/``: manifests through the door, to rules, to the plain evaluator."""

import pytest
from case_files import Case, connection, load
from worlds import translated

from vneter_sdn.model.snapshot import Key
from vneter_sdn.policy.evaluate import evaluate

CASES = load()


def end(name: str, tenants: dict[str, str]) -> Key | str:
    if "/" not in name:
        return name
    return Key("Endpoint", tenants.get(name, "cluster"), name.replace("/", ".", 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_matrix_is_as_expected(case: Case) -> None:
    world = translated(case.manifests, case.domains)
    tenants = {party.key.name.replace(".", "/", 1): party.key.tenant for party in world.parties}
    wrong = []
    for row in case.rows():
        source, target = end(row.source, tenants), end(row.target, tenants)
        answer = evaluate(world, source, target, connection(row.port))
        verdict = answer.deciding.verdict
        found = "allow" if answer.allowed else "reject" if verdict == "reject" else "deny"
        if found != row.verdict:
            wrong.append(f"{row} but {found}: {answer.deciding.title} {answer.deciding.path}")
    assert not wrong, "\n".join(wrong[:10])


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80
