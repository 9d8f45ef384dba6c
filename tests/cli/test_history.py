# SPDX-License-Identifier: Apache-2.0
"""``vneterctl history`` and ``vneterctl rollback``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from vneter_sdn.store.memory import MemoryStore

WIDER = """\
apiVersion: vneter.io/v1
kind: Network
metadata: {name: web, tenant: red}
spec: {prefixes: [10.0.0.0/24], mtu: 1300}
"""


@pytest.fixture
def lived(applied: Any, vneterctl: Any, tmp_path: Any) -> None:
    """Revision 2 changed a network, 3 deleted an endpoint."""
    file = tmp_path / "wider.yaml"
    file.write_text(WIDER)
    assert vneterctl("apply", "-f", file, "-m", "wider\x1b[31m").code == 0
    assert vneterctl("delete", "endpoint", "red/a").code == 0


def test_revisions_as_a_table(lived: None, vneterctl: Any) -> None:
    done = vneterctl("history")
    heading, third, second, first = done.out.splitlines()
    assert heading.split() == ["REVISION", "AGE", "AUTHOR", "CHANGES", "MESSAGE"]
    assert third.startswith("3 ")
    assert "deleted Endpoint red/a" in third
    assert "updated Network red/web" in second
    assert "\x1b" not in second
    assert "3 created" in first
    assert vneterctl("history", "--no-headers", "--limit", "1").out.startswith("3 ")


def test_revisions_of_one_object_or_author(lived: None, vneterctl: Any) -> None:
    def numbers(*arguments: str) -> list[int]:
        told = json.loads(vneterctl("history", *arguments, "-o", "json").out)
        return [one["number"] for one in told["items"]]

    assert numbers() == [3, 2, 1]
    assert numbers("net", "red/web") == [2, 1]
    assert numbers("endpoint", "a", "-t", "red") == [3, 1]
    author = json.loads(vneterctl("history", "-o", "json").out)["items"][0]["author"]
    assert numbers("--author", author, "--limit", "2") == [3, 2]
    assert numbers("--author", "nobody") == []
    assert vneterctl("history", "tenant", "blue").out == "there are no such revisions\n"


def test_one_revision_as_a_diff(lived: None, vneterctl: Any) -> None:
    done = vneterctl("history", "2")
    assert done.code == 0
    assert vneterctl("history", "--revision", "2").out == done.out
    lines = done.out.splitlines()
    assert lines[0] == "revision 2"
    assert "--- network/red/web (before)" in lines
    assert "+++ network/red/web (revision 2)" in lines
    assert "+  mtu: 1300" in lines
    assert "\x1b" not in done.out


def test_a_diff_is_coloured_on_a_terminal_only(
    lived: None, vneterctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vneter_sdn.cli.history.paint", lambda text, colour: f"<{colour}>{text}")
    out = vneterctl("history", "3").out
    assert "<red>-kind: Endpoint" in out
    assert "<green>+++ /dev/null" in out


def test_one_revision_for_programs(lived: None, vneterctl: Any) -> None:
    told = yaml.safe_load(vneterctl("history", "3", "-o", "yaml").out)
    assert (told["number"], told["diff"][0]["verb"]) == (3, "deleted")
    found = vneterctl("history", "3", "-o", "jsonpath={.diff[*].object.name}")
    assert found.out.strip() == "a"


BAD_QUESTIONS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("99",), 3),
    (("0",), 3),
    (("1" * 30,), 2),
    (("cloud", "x"), 2),
    (("network",), 2),
    (("network", "web"), 2),
    (("network", "red/"), 2),
    (("2", "--verify"), 2),
    (("network", "red/web", "--verify"), 2),
    (("2", "--revision", "3"), 2),
    (("--revision", "-1"), 2),
    (("--limit", "0"), 2),
    (("-o", "wide"), 2),
)


def test_bad_questions(lived: None, vneterctl: Any) -> None:
    for arguments, code in BAD_QUESTIONS:
        done = vneterctl("history", *arguments)
        assert (arguments, done.code, done.out) == (arguments, code, "")
        assert "Traceback" not in done.err


def test_rollback(lived: None, vneterctl: Any) -> None:
    would = vneterctl("rollback", 1, "--dry-run")
    assert would.code == 0
    assert "+++ endpoint/red/a (revision 1)" in would.out
    assert "-  mtu: 1300" in would.out
    assert "revision 3, nothing was written" in would.out
    done = vneterctl("rollback", "1", "-m", "night")
    assert done.out.splitlines() == [
        "endpoint/red/a created",
        "network/red/web updated",
        "revision 4",
    ]
    assert "rollback to 1: night" in vneterctl("history", "--limit", "1").out
    assert vneterctl("get", "endpoint", "red/a").code == 0
    assert vneterctl("rollback", "3").code == 0
    assert vneterctl("get", "endpoint", "red/a").code == 3


def test_bad_rollbacks(lived: None, vneterctl: Any) -> None:
    for number, code in (("9", 3), ("-1", 2), ("x", 2), ("1.5", 2), ("1" * 30, 2)):
        done = vneterctl("rollback", number)
        assert (number, done.code, done.out) == (number, code, "")
        assert "Traceback" not in done.err
    assert len(vneterctl("history", "--no-headers").out.splitlines()) == 3
    for command in ("history", "rollback"):
        assert "`vneterctl history` lists" in vneterctl(command, "9").err


def test_digests_are_verified(lived: None, vneterctl: Any, store: MemoryStore) -> None:
    done = vneterctl("history", "--verify")
    assert (done.code, done.out.split()[0]) == (0, "3")
    entries = store._journal._entries
    entries[1] = replace(entries[1], revision=replace(entries[1].revision, author="eve"))
    done = vneterctl("history", "--verify")
    assert done.code == 1
    assert "revision 2 is the first that is not as it was" in done.err
    told = vneterctl("history", "--verify", "-o", "json")
    assert (told.code, json.loads(told.out)["broken"]) == (1, 2)
