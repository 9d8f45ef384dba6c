# SPDX-License-Identifier: Apache-2.0
"""Bad input through the CLI: the exact places and reasons, exit code 1, and nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

_TABLE = yaml.safe_load(
    (Path(__file__).parents[1] / "northbound" / "bad_input.yaml").read_text(encoding="utf-8")
)


def _whole(manifest):
    return {"apiVersion": "vneter.io/v1", **manifest} if isinstance(manifest, dict) else manifest


@pytest.fixture
def given(server, vneterctl, store, tmp_path):
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump_all(map(_whole, _TABLE["given"])), encoding="utf-8")
    assert vneterctl("apply", "-f", path).code == 0
    return store.snapshot()


@pytest.mark.parametrize("case", _TABLE["cases"], ids=lambda case: case["name"])
def test_a_bad_manifest_is_refused_by_place(vneterctl, store, given, tmp_path, case):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(_whole(case["manifest"])), encoding="utf-8")
    ended = vneterctl("apply", "-f", path)

    assert (ended.code, ended.out) == (1, "")
    *errors, hint = ended.err.splitlines()
    assert hint.startswith("hint: nothing was changed")
    assert len(errors) == len(case["problems"])
    for line, (subject, field, reason) in zip(errors, case["problems"], strict=True):
        name = "document 1" if subject == "objects[0]" else subject
        middle = f": {name}: {field}: " if field else f": {name}: "
        assert line.startswith(f"error: {path}:")
        assert middle in line
        assert line.endswith(f"({reason})")
    assert store.snapshot() == given


def test_the_line_is_that_of_the_field(vneterctl, given, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "# a comment\n---\napiVersion: vneter.io/v1\nkind: Network\n"
        "metadata: {tenant: red, name: x}\nspec:\n  prefixes:\n  - 10.5.0.0/24\n"
        "  - fd00:1::/64\n  mtu: huge\n",
        encoding="utf-8",
    )
    ended = vneterctl("apply", "-f", path)
    assert f"error: {path}:10: Network red/x: spec.mtu: " in ended.err
    path.write_text(path.read_text(encoding="utf-8").replace("huge", "1300"), encoding="utf-8")
    ended = vneterctl("apply", "-f", path)
    assert f"error: {path}:9: Network red/x: spec.prefixes[1]: " in ended.err


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        (b"a: [1", "MalformedYaml", "document 1, line 2 column 1"),
        (b"kind: Tenant\nkind: Host\n", "DuplicateKey", "document 1, line 2"),
        (b"a: b\nc: \xff\n", "InvalidEncoding", "line 2"),
        (b"- " * 50, "TooDeep", "nested deeper than 32"),
        (b"#" * 10_000_000, "TooLarge", "larger than 8388608 bytes"),
        (b"", "Empty", "holds no manifest"),
        (b"--- !!python/object:a.b {}\n", "UnknownTag", "document 1, line 1"),
    ],
)
def test_bytes_that_are_no_manifest(vneterctl, store, tmp_path, data, reason, told):
    path = tmp_path / "bad.yaml"
    path.write_bytes(data)
    for ended in (
        vneterctl("apply", "-f", path),
        vneterctl("apply", "-f", "-", stdin=data),
        vneterctl("delete", "-f", path),
    ):
        assert ended.code == 1
        assert told in ended.err
        assert f"({reason})" in ended.err
    assert store.snapshot().revision == 0


def test_malformed_json(vneterctl, server, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('{"kind": }', encoding="utf-8")
    ended = vneterctl("apply", "-f", path)
    assert ended.code == 1
    assert "not JSON at line 1 column 10" in ended.err


def test_ten_megabytes_of_manifests(vneterctl, server, store, tmp_path):
    for name in ("a.yaml", "b.yaml"):
        text = f"apiVersion: vneter.io/v1\nkind: Tenant\nspec: {{}}\nmetadata:\n  name: {name[0]}\n"
        text += f"  annotations:\n    x: {'y' * 5_000_000}\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    ended = vneterctl("apply", "-f", tmp_path)
    assert ended.code == 1
    assert "2 objects in one transaction are 10000" in ended.err
    assert "8388608" in ended.err
    assert "at most about 1 such objects at a time" in ended.err
    assert store.snapshot().revision == 0


@pytest.mark.parametrize("number", [".nan", ".inf", "-.Inf", "NaN"])
def test_numbers_that_are_none_are_refused(server, store, vneterctl, number):
    text = "{apiVersion: vneter.io/v1, kind: Link, metadata: {name: x}, "
    text += f"spec: {{source: a, target: b, latencyMs: {number}}}}}"
    done = vneterctl("apply", "-f", "-", stdin=text.encode())
    assert done.code == 1
    assert "spec.latencyMs" in done.err
    assert not store.snapshot().objects


def test_what_shells_and_people_expand_is_told_how_to_give(vneterctl, server, red):
    code, _, told = vneterctl("apply", "-f", red, red)
    assert code == 2
    assert "one -f for each file, or -f DIRECTORY" in told
    assert "one -f" not in vneterctl("get", "hosts", "h1", "h2").err
    code, _, told = vneterctl("apply", "-f", "https://example.com/x.yaml")
    assert code == 2
    assert "curl -fsSL https://example.com/x.yaml | vneterctl .. -f -" in told
