# SPDX-License-Identifier: Apache-2.0
"""Manifest files: what is read, and the exact place of what is not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.northbound import manifests

_BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def _read(text: str | bytes):
    return manifests.read_bytes(text.encode() if isinstance(text, str) else text, "f.yaml")


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("a: [1", "MalformedYaml", "document 1, line 2 column 1"),
        ("a: 1\n---\nb: c: d", "MalformedYaml", "document 2, line 3 column 5"),
        ("a: 1\n\ta: b", "MalformedYaml", "line 2"),
        ("a:\n\tb: 1", "MalformedYaml", "line 2 column 1: a tab"),
        ("\x01", "MalformedYaml", "control characters"),
        ("a: 1\nb: 2\na: 3", "DuplicateKey", "document 1, line 3: the key 'a' is given twice"),
        ("x: {a: 1, a: 1}", "DuplicateKey", "line 1"),
        (b"a: b\nc: \xff", "InvalidEncoding", "line 2: not UTF-8 at byte 8"),
        ("- " * 40, "TooDeep", "nested deeper than 32"),
        ("[" * 5000, "TooDeep", "nested deeper than 32"),
        (_BOMB, "TooLarge", "aliases expanded"),
        ("a: &x [*x]", "InvalidAlias", "line 1"),
        ("a: *nobody", "InvalidAlias", "line 1"),
        ("a: !!python/object/apply:os.system [x]", "UnknownTag", "line 1"),
        ("a: !!binary aGk=", "UnknownTag", "line 1"),
        ("a: !mine b", "UnknownTag", "line 1"),
        ("1: a", "WrongType", "a key must be text, not 1"),
        ("? [a]\n: b", "WrongType", "a key must be text"),
        ("a: 1e400", "InvalidNumber", "line 1"),
        ("a: {{ .Values.a }}", "WrongType", "if this is a template, {{ .. }}, render it first"),
        (f"a: {'9' * 5000}", "InvalidNumber", f"the number {'9' * 40} is too large"),
    ],
)
def test_a_malformed_file_is_refused_by_place(text, reason, message):
    with pytest.raises(IntentError, match=r"^f\.yaml") as refused:
        _read(text)
    (problem,) = refused.value.problems
    assert problem.reason == reason
    assert message in problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:20:30:40:50:11", "10:20:30:40:50:11"),
        ("no", "no"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0x1f", 31),
        ("-5", -5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        (".inf", ".inf"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    (document,) = _read(f"a: {text}")
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)


def test_documents_know_their_places():
    first, second = _read(
        "kind: A\n---\n# nothing\n---\nkind: B\nspec:\n  list:\n  - x\n  - y: 1\n"
    )
    assert (first.origin, second.origin) == ("f.yaml document 1", "f.yaml document 3")
    assert second.place("spec.list[1].y") == "f.yaml:9"
    assert second.place("spec.list[1].missing") == "f.yaml:9"
    assert second.place("spec.absent") == "f.yaml:6"
    assert second.place("") == "f.yaml:5"


def test_small_aliases_are_expanded():
    (document,) = _read("a: &x {b: [1]}\nc: *x")
    assert document.value == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_list_is_its_items():
    documents = _read("kind: TenantList\nitems:\n- kind: Tenant\n  metadata: {}\n- kind: Host")
    found = manifests.expand(documents)
    assert [one.value["kind"] for one in found] == ["Tenant", "Host"]
    assert [one.place("kind") for one in found] == ["f.yaml:3", "f.yaml:5"]


def test_a_list_of_one_kind_says_for_its_items_what_they_are():
    raw = "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n- {kind: Pod, x: 1}\n"
    documents = _read(f"{raw}---\nkind: NodeList\napiVersion: v1\nitems: null")
    found = manifests.expand(documents)
    wanted = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert [one.value for one in found] == [wanted, {"kind": "Pod", "x": 1}]
    assert found[0].place("metadata.name") == "f.yaml:4"


def test_a_directory_is_read_in_order(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, text in (("b.yml", "b: 1"), ("a.yaml", "a: 1"), ("deep/c.json", '{"c": 1}')):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not ours", encoding="utf-8")
    assert [one.value for one in manifests.read_path(tmp_path)] == [{"a": 1}, {"b": 1}, {"c": 1}]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(IntentError, match="No such file"):
        manifests.read_path(tmp_path / "absent.yaml")
    with pytest.raises(IntentError, match="holds no file"):
        manifests.read_path(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 10_000_000)
    with pytest.raises(IntentError, match="larger than 8388608"):
        manifests.read_path(large)


def test_what_cannot_be_read_below_a_directory_is_not_missed(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / ".#a.yaml").symlink_to("somebody@here.123")  # an editor has it open
    assert len(manifests.read_path(tmp_path)) == 1
    for target in ("nothing", "b.yaml"):
        (tmp_path / "b.yaml").symlink_to(target)
        with pytest.raises(IntentError) as caught:
            manifests.read_path(tmp_path)
        assert [(one.object, one.reason) for one in caught.value.problems] == [
            (str(tmp_path / "b.yaml"), "Unreadable")
        ]
        (tmp_path / "b.yaml").unlink()
    closed, scandir = tmp_path / "closed", os.scandir
    closed.mkdir()

    def refusing(path):
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(IntentError, match="closed: cannot be read: Permission denied"):
        manifests.read_path(tmp_path)


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=120)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.just("") | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(items=st.lists(_VALUE, max_size=4), before=_VALUE, after=_VALUE)
def test_a_list_that_is_written_object_by_object_is_read_as_it_was(items, before, after):
    value = {"kind": "NetworkList", "x": before, "items": items, "metadata": after}
    (document,) = _read(manifests.write(value))
    assert document.value == value


def test_what_people_write_in_their_own_script_is_written_as_it_is():
    assert manifests.write({"note": "grün ☃ 😀"}) == "note: grün ☃ 😀\n"
