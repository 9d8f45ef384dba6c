# SPDX-License-Identifier: Apache-2.0
"""Generated documentation: replaced between markers, and stale when it differs."""

from __future__ import annotations

import pytest

from vneter_sdn.cli import generating, reference
from vneter_sdn.cli.generating import Part, generate

_PART = Part("page.md", "codes", "vneter_sdn.cli.reference:metrics")
_PAGE = "before\n<!-- generated: codes -->\nold\n<!-- end: codes -->\nafter\n"


def test_stale_is_found_then_mended(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(_PAGE, encoding="utf-8")
    assert generate(tmp_path, check=True, parts=(_PART,)) == 1
    assert page.read_text("utf-8") == _PAGE
    assert "-old" in capsys.readouterr().err
    assert generate(tmp_path, check=False, parts=(_PART,)) == 0
    assert generate(tmp_path, check=True, parts=(_PART,)) == 0
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "vneter_api_requests_total" in text


def test_a_file_that_does_not_exist_is_passed_over(tmp_path):
    assert generate(tmp_path, check=True, parts=(_PART,)) == 0


def test_missing_markers_are_a_mistake():
    with pytest.raises(ValueError, match="markers of 'codes'"):
        generating.replaced("nothing", _PART)


@pytest.mark.parametrize(
    ("render", "word"),
    [
        (reference.kinds, "`spec.prefixes`"),
        (reference.rest, "`/v1/tenants/{tenant}/networks/{name}`"),
        (reference.cli, "`vneterctl apply`"),
        (reference.settings, "`openflow_listen`"),
        (reference.metrics, "`vneter_store_revision`"),
    ],
)
def test_every_part_renders(render, word):
    assert word in render()
