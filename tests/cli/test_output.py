# SPDX-License-Identifier: Apache-2.0
"""How what is read is printed."""

from __future__ import annotations

import json
import sys

import pytest

from vneter_sdn.cli import terminal
from vneter_sdn.cli.terminal import columns, padded, plain
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Edit


@pytest.fixture
def narrow(monkeypatch):
    """Standard output is a terminal of so many columns."""

    def make(width):
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(width))

    return make


def test_jsonpath_of_lists_and_of_one(vneterctl, applied):
    told = vneterctl("get", "net", "-o", "jsonpath={.items[*].metadata.name}")
    assert told.out == "web\n"
    told = vneterctl("get", "net", "red/web", "-o", "jsonpath={.spec.prefixes[0]}")
    assert told.out == "10.0.0.0/24\n"
    told = vneterctl("get", "net", "-o", 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}')
    assert told.out == "web\n"
    told = vneterctl("status", "-o", "jsonpath={.revision}")
    assert told.out == "1\n"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("jsonpath", "no output format 'jsonpath'"),
        ("jsonpath={.a", "expected } at character 4"),
        ("yaml=x", "no output format"),
        ("csv", "table, wide, json, yaml, name, jsonpath=TEMPLATE"),
    ],
)
def test_formats_that_are_none(vneterctl, server, form, words):
    ended = vneterctl("get", "net", "-o", form)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


def test_tables_are_sorted_and_bare(vneterctl, applied):
    for number, name in enumerate(("c", "b", "d")):
        text = (
            f"{{apiVersion: vneter.io/v1, kind: Network, metadata: {{name: {name}, tenant: red}}, "
            f"spec: {{prefixes: [10.{number + 1}.0.0/24], mtu: {1300 + number}}}}}"
        )
        assert vneterctl("apply", "-f", "-", stdin=text.encode()).code == 0
    by_name = vneterctl("get", "net", "--no-headers").out.splitlines()
    assert [line.split()[1] for line in by_name] == ["b", "c", "d", "web"]
    by_mtu = vneterctl("get", "net", "--no-headers", "--sort-by", "spec.mtu").out.splitlines()
    assert [line.split()[1] for line in by_mtu] == ["c", "b", "d", "web"]
    by_mtu = vneterctl("get", "net", "-o", "json", "--sort-by=-spec.mtu").out
    names = [one["metadata"]["name"] for one in json.loads(by_mtu)["items"]]
    assert names[-1] == "c" or names[:3] == ["d", "b", "c"]
    assert vneterctl("get", "net", "--sort-by", "spec[").code == 2
    assert vneterctl("get", "links", "--no-headers").out == ""


def test_tables_fit_terminals_and_are_whole_elsewhere(vneterctl, applied, narrow):
    long = vneterctl("get", "ep", "-o", "wide").out
    assert "…" not in long
    narrow(40)
    short = vneterctl("get", "net").out
    assert max(map(len, short.splitlines())) <= 40


def test_the_widest_columns_give_way():
    rows = [["NAME", "MESSAGE", "AGE"], ["a", "x" * 100, "3m"], ["b", "short", "4m"]]
    lines = columns(rows, 40)
    assert [len(line) <= 40 for line in lines] == [True] * 3
    assert lines[1].endswith("3m")
    assert "…" in lines[1]
    assert columns(rows, 0)[1] == f"a      {'x' * 100}   3m"


def test_gaps_and_headings_give_way_last():
    rows = [["A-LONG-HEADING", "ANOTHER-LONG-ONE"], ["a", "網路網路網路網路"]]
    assert columns(rows, 33)[0] == "A-LONG-HEADING   ANOTHER-LONG-ONE"
    assert columns(rows, 32)[0] == "A-LONG-HEADING ANOTHER-LONG-ONE"
    for width in range(9, 32):
        lines = columns(rows, width)
        assert max(map(terminal._length, lines)) <= width
    assert lines[0].startswith("A-LONG")


@pytest.mark.parametrize("width", [8, 9, 10, 11])
def test_wide_letters_take_two_columns(width):
    text = "網路網路網路網路"
    assert terminal._length(padded(text, width)) == width


def test_nothing_from_elsewhere_commands_the_terminal():
    assert plain("a\x1b[2Jb\r\n") == "a\\x1b[2Jb\\r\\n"
    assert columns([["A"], ["\x1b[31m\u202e"]], 0) == ["A", "\\x1b[31m\\u202e"]


def test_annotations_are_shown_harmless(vneterctl, server, store):
    text = (
        '{apiVersion: vneter.io/v1, kind: Tenant, metadata: {name: t, annotations: {a: "\\e[2J"}}}'
    )
    assert vneterctl("apply", "-f", "-", stdin=text.encode()).code == 0
    assert "\x1b" not in vneterctl("describe", "tenant", "t").out


def test_fields_select(vneterctl, applied):
    words = ["get", "ep", "-o", "name", "--field-selector"]
    assert vneterctl(*words, "spec.network=web").out == "endpoint/red/a\n"
    assert vneterctl(*words, "spec.network!=web").out == ""
    bad = vneterctl(*words, "spec.no-such=web")
    assert (bad.code, bad.err.count("error:")) == (1, 1)
    assert vneterctl("get", "ep", "red/a", "--field-selector", "spec.network=web").code == 2


def test_kinds_for_programs(vneterctl):
    told = vneterctl("kinds", "-o", "jsonpath={.items[?(@.kind=='Network')].plural}")
    assert told.out == "networks\n"
    assert len(json.loads(vneterctl("kinds", "-o", "json").out)["items"]) > 5
    bare = vneterctl("kinds", "--no-headers").out.splitlines()
    assert bare == vneterctl("kinds").out.splitlines()[1:]


HOSTILE = "x\x1b]0;pwned\x07\x9b31m\u202e\ry\nz\t\U000e0001"


@pytest.mark.parametrize(
    "words",
    [
        ("get", "tn", "-o", "yaml"),
        ("get", "tn", "-o", "json"),
        ("get", "tn", "-o", "jsonpath={.items[*].metadata.annotations.note}"),
        ("get", "tn", "-o", "jsonpath={.items[*].metadata.annotations}"),
        ("history", "2", "-o", "json"),
        ("history", "2", "-o", "yaml"),
        ("events", "-o", "json"),
        ("events", "-o", "yaml"),
        ("events",),
    ],
    ids=" ".join,
)
def test_what_a_terminal_obeys_is_not_printed_on_one(vneterctl, applied, store, monkeypatch, words):
    """Whoever may write a note does not command the terminal of whoever reads it."""
    edit = {"apiVersion": "vneter.io/v1", "kind": "Tenant"}
    edit["metadata"] = {"name": "red", "annotations": {"note": HOSTILE}}
    store.apply([Edit("apply", Key("Tenant", "", "red"), edit)], author="x\x1b[2J", message=HOSTILE)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    shown = vneterctl(*words).out
    assert "pwned" in shown
    assert all(one.isprintable() or one in "\n\t" for one in shown), shown
    if words == ("get", "tn", "-o", "json"):
        assert json.loads(shown)["items"][0]["metadata"]["annotations"]["note"] == HOSTILE


def test_programs_get_every_character(vneterctl, applied, store):
    edit = {"apiVersion": "vneter.io/v1", "kind": "Tenant"}
    edit["metadata"] = {"name": "red", "annotations": {"note": HOSTILE}}
    store.apply([Edit("apply", Key("Tenant", "", "red"), edit)], author="x")
    told = vneterctl("get", "tn", "-o", "jsonpath={.items[*].metadata.annotations.note}")
    assert told.out == f"{HOSTILE}\n"
