# SPDX-License-Identifier: Apache-2.0
"""What a lab's bridges punt to learn from, and that others' bridges know nothing of it."""

from __future__ import annotations

import msgspec
import pytest
from intent import Intent

from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.model.flow import Punt
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.punts import LEARN_METER, Discovery, Learning
from vneter_sdn.pipeline.tables import BY_ID


def intent(*, learning=True):
    made = Intent()
    made.host("s1", 1, ovsdb=None, tunnel_addresses=(), datapath_id="0000000000000001")
    made.host("h2", 2)
    made.tenant("default", 1)
    made.network("default", "lan", 5, "10.0.0.0/8")
    key = Key("Network", "default", "lan")
    stored = made.objects[key]
    spec = msgspec.structs.replace(stored.spec, learning=learning)
    made.objects[key] = msgspec.structs.replace(stored, spec=spec)
    made.endpoint("default", "a", "lan", "10.0.0.9", host="s1", port=3)
    return made


def punts(state, userdata):
    """(table, priority, match) of what is punted with some user data."""
    return {
        (BY_ID[flow.table].name, flow.priority, tuple((t.field, t.value) for t in flow.match))
        for flow in state.flows.values()
        for action in flow.actions
        if isinstance(action, Punt) and action.userdata == userdata
    }


def test_three_kinds_of_frames_are_punted():
    compiler = compile_snapshot(intent().snapshot())
    found = punts(compiler.bridge("s1"), Learning().encode())
    tables = sorted((table, priority) for table, priority, _ in found)
    assert tables == [("classify", 50)] * 2 + [("neighbour", 100)] + [("spoof_guard", 250)] * 2
    assert LEARN_METER in compiler.bridge("s1").meters
    lldp = punts(compiler.bridge("s1"), Discovery().encode())
    assert any(("in_port", 3) in match for _, _, match in lldp)


def test_a_host_with_a_database_is_not_learned_from():
    compiler = compile_snapshot(intent().snapshot())
    assert {table for table, *_ in punts(compiler.bridge("h2"), Learning().encode())} <= {
        "neighbour"
    }


@pytest.mark.parametrize("host", ["s1", "h2"])
def test_without_a_network_that_learns_nothing_is_punted_to_learn_from(host):
    compiler = compile_snapshot(intent(learning=False).snapshot())
    assert punts(compiler.bridge(host), Learning().encode()) == set()
    assert LEARN_METER not in compiler.bridge(host).meters
