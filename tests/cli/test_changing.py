# SPDX-License-Identifier: Apache-2.0
"""diff, edit, label and annotate."""

from __future__ import annotations

import os
import stat

import pytest
import yaml

from vneter_sdn.cli import editing
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.port import Edit

WEB = Key("Network", "red", "web")


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Makes the editor a program that runs lines of shell on the file, one a time it is opened."""
    places = []

    def make(*scripts):
        program = tmp_path / "an editor"
        counter = tmp_path / "opened"
        counter.write_text("0")
        cases = "\n".join(f"  {n}) {script} ;;" for n, script in enumerate(scripts))
        program.write_text(
            f'#!/bin/sh\nn=$(cat "{counter}")\necho $((n + 1)) >"{counter}"\n'
            f'cp "$1" "{tmp_path}/seen.$n"\ncase $n in\n{cases}\n  *) exit 9 ;;\nesac\n'
        )
        program.chmod(0o700)
        monkeypatch.setenv("VISUAL", f"'{program}'")
        places.append(counter)

    make.opened = lambda: int(places[-1].read_text())
    make.seen = lambda number: (tmp_path / f"seen.{number}").read_text(errors="replace")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    make.left = lambda: sorted(tmp_path.glob("vneterctl-*"))
    return make


def test_diff_of_nothing_and_of_something(vneterctl, applied, store):
    same = vneterctl("diff", "-f", applied)
    assert (same.code, same.out, same.err) == (0, "", "")
    applied.write_text(applied.read_text().replace("10.0.0.0/24", "10.0.0.0/24\n  mtu: 1300"))
    before = store.snapshot()
    ended = vneterctl("diff", "-f", applied)
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[:2] == ["--- network/red/web (stored)", "+++ network/red/web (given)"]
    assert [line for line in lines if line[:1] in "+-" and line[:3] not in ("---", "+++")] == [
        "-  mtu: 1400",
        "+  mtu: 1300",
    ]
    assert store.snapshot() == before
    told = vneterctl("diff", "-f", applied, "-o", "jsonpath={.items[*].after.spec.mtu}")
    assert (told.code, told.out) == (1, "1300\n")


def test_diff_of_what_is_new_and_of_what_is_refused(vneterctl, applied, tmp_path):
    new = tmp_path / "new.yaml"
    new.write_text("{apiVersion: vneter.io/v1, kind: Tenant, metadata: {name: blue}}")
    ended = vneterctl("diff", "-f", new)
    assert ended.code == 1
    assert ended.out.splitlines()[:2] == ["--- /dev/null", "+++ tenant/blue (given)"]
    new.write_text("{apiVersion: vneter.io/v1, kind: Network, metadata: {name: n, tenant: no}}")
    ended = vneterctl("diff", "-f", new)
    assert (ended.code, ended.out) == (1, "")
    assert f"error: {new}:1: Network no/n" in ended.err


def test_diff_takes_kubernetes(vneterctl, applied):
    text = b"{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}"
    ended = vneterctl("diff", "-f", "-", stdin=text)
    assert ended.code == 1
    assert "+kind: Namespace" in ended.out
    assert vneterctl("apply", "-f", "-", stdin=text).code == 0
    assert vneterctl("diff", "-f", "-", stdin=text).code == 0


def test_labels_are_set_replaced_and_removed(vneterctl, applied, store):
    ended = vneterctl("label", "ep", "red/a", "app=web", "x=")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "endpoint/red/a updated"), ended.err
    key = Key("Endpoint", "red", "a")
    assert store.snapshot().objects[key].labels == {"app": "web", "x": ""}
    held = vneterctl("label", "ep", "red/a", "app=db", "y=1")
    assert (held.code, "app=web already" in held.err) == (1, True)
    assert vneterctl("label", "ep", "red/a", "app=db", "x-", "--overwrite").code == 0
    assert store.snapshot().objects[key].labels == {"app": "db"}
    assert vneterctl("label", "ep", "red/a", "never-").out.startswith("endpoint/red/a unchanged")
    dry = vneterctl("label", "ep", "red/a", "z=1", "--dry-run=server")
    assert "endpoint/red/a updated (dry run)" in dry.out
    assert store.snapshot().objects[key].labels == {"app": "db"}
    assert vneterctl("annotate", "ep", "a", "-t", "red", "note=a b = c").code == 0
    assert store.snapshot().objects[key].annotations == {"note": "a b = c"}


def test_labels_of_many_in_one_transaction(vneterctl, applied, store):
    before = store.snapshot().revision
    assert vneterctl("label", "tenant", "-l", "tier=gold", "seen=yes").code == 0
    assert vneterctl("label", "net", "--all", "seen=yes").code == 0
    assert store.snapshot().revision == before + 2
    assert vneterctl("label", "tenant", "-l", "tier=none", "a=b").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["red/a"], 2),
        (["red/a", "=x"], 2),
        (["red/a", "a=1", "a=2"], 2),
        (["red/a", "a=1", "a-"], 2),
        (["red/a", "a=1", "-l", "x"], 2),
        (["a=1"], 2),
        (["a", "a=1"], 2),
        (["red/none", "a=1"], 3),
        (["red/a", "not a key=1"], 1),
        (["red/a", "a=not a value"], 1),
    ],
)
def test_labels_that_make_no_sense(vneterctl, applied, store, words, code):
    before = store.snapshot()
    ended = vneterctl("label", "ep", *words)
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert store.snapshot() == before


def test_edit_applies_what_was_saved(vneterctl, applied, store, editor):
    editor('sed -i "s/10.0.0.0/10.9.0.0/" "$1"')
    vneterctl("delete", "ep", "red/a")
    ended = vneterctl("edit", "network", "red/web", "-m", "another one")
    assert (ended.code, "network/red/web updated" in ended.out) == (0, True), ended.err
    assert store.snapshot().objects[WEB].spec.prefixes == ("10.9.0.0/24",)
    assert store.revisions(1)[0].message == "another one"
    assert editor.left() == []
    seen = editor.seen(0)
    assert seen.startswith("#! Network red/web.")
    assert yaml.safe_load(seen)["spec"]["prefixes"] == ["10.0.0.0/24"]
    assert "status" not in yaml.safe_load(seen)


@pytest.mark.parametrize("script", ["true", ': >"$1"', "echo >>$1"])
def test_edit_of_nothing_changes_nothing(vneterctl, applied, store, editor, script):
    editor(script)
    before = store.snapshot()
    ended = vneterctl("edit", "network", "red/web")
    assert (ended.code, "unchanged" in ended.out) == (0, True)
    assert store.snapshot() == before
    assert editor.left() == []


def test_what_is_refused_is_opened_again_with_the_reason(vneterctl, applied, store, editor):
    editor('sed -i "s/mtu: .*/mtu: huge/" "$1"',
           'grep -q "#! This is refused" "$1" && sed -i "s/mtu: huge/mtu: 1300/" "$1"')  # fmt: skip
    ended = vneterctl("edit", "network", "red/web")
    assert ended.code == 0, (ended.err, editor.seen(1))
    assert store.snapshot().objects[WEB].spec.mtu == 1300
    again = editor.seen(1)
    assert "#! Network red/web: spec.mtu: " in again
    assert "mtu: huge" in again


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('echo "{ not yaml" >>"$1"', "MalformedYaml"),
        ('sed -i "s/name: web/name: other/" "$1"', "cannot be changed"),
        ('printf -- "---\\nkind: X\\n" >>"$1"', "one object"),
        ("printf 'a: \\377' >\"$1\"", "UTF-8"),
    ],
)
def test_what_is_refused_and_left_so_is_kept(vneterctl, applied, store, editor, script, words):
    editor(script, "true")
    before = store.snapshot()
    ended = vneterctl("edit", "network", "red/web")
    assert ended.code == 1
    assert words in editor.seen(1)
    assert words in ended.err  # the editor's screen is gone
    (kept,) = editor.left()
    assert str(kept) in ended.err
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert store.snapshot() == before


def test_an_editor_that_fails_loses_nothing(vneterctl, applied, editor, monkeypatch):
    editor('echo "# precious" >>"$1"; exit 3')
    ended = vneterctl("edit", "network", "red/web")
    assert (ended.code, "exit code 3" in ended.err) == (1, True)
    (kept,) = editor.left()
    assert "# precious" in kept.read_text()
    kept.unlink()
    editor("exit 3")
    ended = vneterctl("edit", "network", "red/web")
    assert (ended.code, "what you wrote" in ended.err) == (1, False)
    monkeypatch.setenv("VISUAL", "no-such-editor-anywhere")
    ended = vneterctl("edit", "network", "red/web")
    assert (ended.code, "what you wrote" in ended.err) == (2, False)
    assert editor.left() == []  # of what nobody typed anything into
    assert vneterctl("edit", "network", "red/none").code == 3


def test_what_somebody_else_changed_meanwhile_is_shown(vneterctl, applied, store, editor):
    theirs = {"apiVersion": "vneter.io/v1", "kind": "Network",
              "metadata": {"name": "web", "tenant": "red"},
              "spec": {"prefixes": ["10.0.0.0/24"], "learning": True}}  # fmt: skip
    editor('sed -i "s/mtu: 1400/mtu: 1300/" "$1"', "true")

    def sneak():
        store.apply([Edit("apply", WEB, theirs)], author="somebody")

    opened, real = [], editing.in_editor

    def in_editor(path):
        real(path)
        if not opened:
            sneak()
        opened.append(path)

    editing.in_editor = in_editor
    try:
        ended = vneterctl("edit", "network", "red/web")
    finally:
        editing.in_editor = real
    assert ended.code == 0, ended.err
    again = editor.seen(1)
    assert "#! Somebody else changed it meanwhile." in again
    assert "#!   +  learning: true" in again
    spec = store.snapshot().objects[WEB].spec
    assert (spec.mtu, spec.learning) == (1300, False)


def test_an_edit_can_be_tried(vneterctl, applied, store, editor):
    editor('sed -i "s/mtu: .*/mtu: 1300/" "$1"')
    before = store.snapshot()
    ended = vneterctl("edit", "network", "red/web", "--dry-run=server")
    assert (ended.code, "network/red/web updated (dry run)" in ended.out) == (0, True)
    (kept,) = editor.left()
    assert str(kept) in ended.err
    assert store.snapshot() == before
