# SPDX-License-Identifier: Apache-2.0
"""The bench prints what it promises; how fast is for the bench itself to say."""

from __future__ import annotations

import json
import shutil

import pytest

from vneter_sdn.southbound.openflow import bench


@pytest.mark.ovs
def test_codec_as_json(capsys):
    if shutil.which("ovs-vswitchd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip("Open vSwitch is not installed")
    assert bench.main(["codec", "--json", "--flows", "200", "--rounds", "1"]) in (0, 1)
    rows = json.loads(capsys.readouterr().out)
    keys = {"measure", "unit", "ours", "peer", "ratio", "target", "met"}
    assert all(set(row) == keys for row in rows)
    names = [row["measure"] for row in rows]
    assert names == ["codec/end-to-end", "codec/encode", "codec/read-back"]
    assert all(row["ours"] > 0 for row in rows)
