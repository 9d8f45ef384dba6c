# SPDX-License-Identifier: Apache-2.0
"""vneterctl compile: files out, without a server."""

from __future__ import annotations

HOSTS = """\
---
apiVersion: vneter.io/v1
kind: Host
metadata: {name: h1}
spec: {ovsdb: "unix:/run/h1.sock", tunnelAddresses: [192.0.2.1]}
"""


def test_manifests_become_files(vneterctl, red, tmp_path):
    red.write_text(red.read_text("utf-8") + HOSTS, "utf-8")
    ended = vneterctl("compile", "-f", red, "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    written = ended.out.splitlines()
    assert written
    assert sorted(written) == sorted(
        str(path) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert all("h1" in name for name in written)
    again = vneterctl("compile", "-f", red, "-o", tmp_path / "again")
    assert [path.read_bytes() for path in sorted((tmp_path / "out").rglob("h1*"))] == [
        path.read_bytes() for path in sorted((tmp_path / "again").rglob("h1*"))
    ]
    assert again.code == 0


def test_bad_manifests_are_refused_by_place(vneterctl, red, tmp_path):
    red.write_text(red.read_text("utf-8").replace("10.0.0.0/24", "10.0.0/24"), "utf-8")
    ended = vneterctl("compile", "-f", red, "-o", tmp_path / "out")
    assert ended.code == 1
    assert f"error: {red}:11: Network red/web: spec.prefixes[0]: " in ended.err
    red.write_text("kind: Nothing\nmetadata: {name: x}\n", "utf-8")
    ended = vneterctl("compile", "-f", red, "-o", tmp_path / "out")
    assert f"error: {red}:1: document 1: kind: " in ended.err
    assert not (tmp_path / "out").exists()


def test_where_it_cannot_write_is_said(vneterctl, red, tmp_path):
    red.write_text(red.read_text("utf-8") + HOSTS, "utf-8")
    for place in (red, red / "below"):
        ended = vneterctl("compile", "-f", red, "-o", place)
        assert ended.code == 1
        assert f"error: cannot write {place}" in ended.err


def test_what_an_earlier_run_left_is_named(vneterctl, red, tmp_path):
    assert "no Host" in vneterctl("compile", "-f", red, "-o", tmp_path / "none").err
    red.write_text(red.read_text("utf-8") + HOSTS, "utf-8")
    out = tmp_path / "out"
    assert vneterctl("compile", "-f", red, "-o", out).err == ""
    (out / "h9.flows").touch()
    assert vneterctl("compile", "-f", red, "-o", out).err.endswith("did not write: h9.flows\n")
