# SPDX-License-Identifier: Apache-2.0
"""What our encoder writes to a real Open vSwitch, our decoder reads back equal."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    IN_PORT,
    Bucket,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    Punt,
    SetField,
    match,
)
from vneter_sdn.southbound.openflow import decode, encode
from vneter_sdn.southbound.openflow.multipart import ForeignFlow, ForeignGroup, ForeignMeter
from vneter_sdn.southbound.openflow.sandbox import Link
from vneter_sdn.southbound.openflow.wire import V14, V15

pytestmark = pytest.mark.ovs
REAL = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, *HealthCheck]
)


def clear(link: Link) -> None:
    """Remove everything, and add what drawn flows refer to."""
    version = link.version
    every = Group(0xFFFFFFFC, "all", ()), Meter(0xFFFFFFFF, 1, 0)
    link.send(encode.flow_delete_all(version, 1, 0, 0))
    link.send(encode.group_mod(every[0], encode.REMOVE, version, 1))
    link.send(encode.meter_mod(every[1], encode.REMOVE, version, 1))
    for number in (1, 2, 3):
        group = Group(number, "all", (Bucket((Output(1),)),))
        link.send(encode.group_mod(group, encode.ADD, version, 1))
        link.send(encode.meter_mod(Meter(number, 100, 0), encode.ADD, version, 1))
    assert link.barrier() == []


def commit(link: Link, messages: list[bytes]) -> list[decode.Message]:
    """One atomic bundle; what the switch objected to."""
    version = link.version
    link.send(encode.bundle_open(9, version, 5))
    link.send(b"".join(encode.bundle_add(9, 3, message) for message in messages))
    errors = [reply for reply in link.barrier() if not isinstance(reply, decode.BundleReply)]
    if errors:
        link.send(encode.bundle_discard(9, version, 6))
        return errors + [r for r in link.barrier() if not isinstance(r, decode.BundleReply)]
    link.send(encode.bundle_commit(9, version, 6))
    return [reply for reply in link.barrier() if not isinstance(reply, decode.BundleReply)]


def as_told(group: Group, version: int) -> Group:
    """How a version says it: 1.4 does not tell how a select group chooses."""
    if version == V14 and group.kind == "select":
        return dataclasses.replace(group, method=None, method_parameter=0)
    return group


@pytest.fixture(params=[V14, V15], ids=["1.4", "1.5"])
def link(request, switch):
    with Link(switch.management, request.param) as connected:
        yield connected


@REAL
@given(data=st.data())
def test_flows(link, drawn, data):
    clear(link)
    flows = data.draw(st.lists(drawn["flows"], max_size=20, unique_by=lambda flow: flow.key))
    changes = [(encode.ADD, flow) for flow in flows]
    link.send(encode.bundle_open(9, link.version, 5))
    link.send(b"".join(encode.bundled_flow_mods(changes, link.version, 9, 1000)))
    link.send(encode.bundle_commit(9, link.version, 6))
    for reply in link.barrier():
        assert isinstance(reply, decode.BundleReply), (reply, flows[reply.xid - 1000 :][:1])
    assert set(link.ask(encode.flows_request(link.version, 2))) == set(flows)


@REAL
@given(data=st.data())
def test_groups(link, drawn, data):
    clear(link)
    groups = data.draw(st.lists(drawn["groups"], max_size=8, unique_by=lambda group: group.group))
    sent = [encode.group_mod(group, encode.ADD, link.version, 7) for group in groups]
    assert commit(link, sent) == []
    back = [g for g in link.ask(encode.groups_request(link.version, 2)) if g.group > 3]
    assert sorted(back, key=lambda g: g.group) == sorted(
        (as_told(group, link.version) for group in groups), key=lambda g: g.group
    )


@REAL
@given(data=st.data())
def test_meters(link, drawn, data):
    clear(link)
    meters = data.draw(st.lists(drawn["meters"], max_size=8, unique_by=lambda meter: meter.meter))
    for meter in meters:
        link.send(encode.meter_mod(meter, encode.ADD, link.version, 7))
    assert link.barrier() == []
    back = {m for m in link.ask(encode.meters_request(link.version, 2)) if m.meter > 3}
    assert back == set(meters)


def test_modify_and_delete_obey_the_cookie(link):
    clear(link)
    ours = Flow(1, 5, match(reg1=1), (Output(1),), None, 0x76 << 56)
    theirs = dataclasses.replace(ours, priority=6, cookie=1)
    pretended = dataclasses.replace(theirs, cookie=2)
    changed = dataclasses.replace(ours, actions=(Output(2),))
    adds = [encode.flow_mod(flow, encode.ADD, link.version, 1) for flow in (ours, theirs)]
    mods = [encode.flow_mod(changed, encode.MODIFY_STRICT, link.version, 2)]
    mods += [encode.flow_mod(pretended, encode.DELETE_STRICT, link.version, 3)]
    assert commit(link, adds + mods) == []
    assert set(link.ask(encode.flows_request(link.version, 4))) == {changed, theirs}
    assert commit(link, [encode.flow_mod(theirs, encode.DELETE_STRICT, link.version, 5)]) == []
    assert list(link.ask(encode.flows_request(link.version, 6))) == [changed]
    masked = encode.flows_request(link.version, 7, 1, 1)
    assert list(link.ask(masked)) == []


def test_what_others_wrote_is_foreign(link, switch):
    clear(link)
    bridge = f"unix:{switch.management}"
    switch.ofctl("add-flow", bridge, "table=1,priority=1,cookie=5,ip,nw_ecn=1,actions=drop")
    switch.ofctl("add-flow", bridge, "table=1,priority=2,ip,actions=ct(commit,nat)")
    switch.ofctl("add-flow", bridge, "table=1,priority=3,idle_timeout=50,actions=output:1")
    learn = "learn(table=2,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"
    switch.ofctl("add-flow", bridge, f"table=1,priority=4,actions={learn}")
    switch.ofctl("add-flow", bridge, "table=1,priority=5,actions=write_actions(output:1)")
    switch.ofctl("add-group", bridge, "group_id=9,type=all,bucket=actions=push_vlan:0x8100")
    bands = "meter=9,pktps,bands=type=drop,rate=10,type=drop,rate=20"
    switch.ofctl("add-meter", bridge, bands)
    flows = list(link.ask(encode.flows_request(link.version, 2)))
    assert {flow.priority for flow in flows if isinstance(flow, ForeignFlow)} == {1, 2, 3, 4, 5}
    assert ForeignGroup(9) in list(link.ask(encode.groups_request(link.version, 3)))
    assert ForeignMeter(9) in list(link.ask(encode.meters_request(link.version, 4)))


FULL = FIELDS["in_port"].full
COLOUR = Copy("eth_dst", "ct_mark", 6, 42, 0)
TRACKS = (
    ("ct(commit,zone=NXM_NX_REG2[0..15],exec(move:NXM_OF_ETH_DST[42..47]->NXM_NX_CT_MARK[0..5]))",
     (Conntrack(commit=True, zone_field="reg2", actions=(COLOUR,)),)),
    ("ct(table=20,zone=NXM_NX_REG2[4..19])",
     (Conntrack(zone_field="reg2", zone_offset=4, table=20),)),
    ("ct(commit,table=9,zone=7,exec(set_field:0x3/0xf->ct_mark,set_field:1->ct_label))",
     (Conntrack(commit=True, zone=7, table=9, actions=(
         SetField("ct_mark", 3, 15), SetField("ct_label", 1, FIELDS["ct_label"].full))),)),
    ("ct", (Conntrack(),)),
    ("set_field:0->in_port,move:NXM_NX_CT_MARK[0..5]->NXM_OF_ETH_DST[42..47],IN_PORT",
     (SetField("in_port", 0, FULL), Copy("ct_mark", "eth_dst", 6, 0, 42), Output(IN_PORT))),
)  # fmt: skip


@pytest.mark.parametrize(("text", "actions"), TRACKS)
def test_what_ovs_ofctl_writes_is_read_and_written_the_same(switch, text, actions):
    with Link(switch.management, V15) as link:
        clear(link)
        bridge = f"unix:{switch.management}"
        switch.ofctl("add-flow", bridge, f"table=1,priority=1,ip,ct_mark=1/3,actions={text}")
        flow = Flow(1, 1, match(eth_type=0x800, ct_mark=(1, 3)), actions)
        assert list(link.ask(encode.flows_request(V15, 2))) == [flow]
        theirs = switch.ofctl("dump-flows", "--no-stats", bridge)
        clear(link)
        assert commit(link, [encode.flow_mod(flow, encode.ADD, V15, 7)]) == []
        assert switch.ofctl("dump-flows", "--no-stats", bridge) == theirs
        assert text.replace("set_field:1->", "set_field:0x1->") in theirs


def test_tracking_needs_a_match_on_ip(link):
    clear(link)
    flow = Flow(1, 1, match(ct_mark=1), (Conntrack(),))
    refused = commit(link, [encode.flow_mod(flow, encode.ADD, link.version, 7)])
    assert [type(reply) for reply in refused[:1]] == [decode.Error]


def test_in_port_is_set_to_sixteen_bits_only():
    for wrong in (SetField("in_port", 0x10000, FULL), SetField("in_port", 0, 1)):
        with pytest.raises(PipelineError):
            encode.flow_mod(Flow(1, 1, (), (wrong,)), encode.ADD, V15, 1)


def test_a_group_changes_its_kind_in_place(link):
    clear(link)
    version = link.version
    kinds = (
        Group(77, "select", (Bucket((Output(1),), 65535), Bucket((Output(2),), 0)), "dp_hash", 5),
        Group(77, "ff", (Bucket((Output(1),), 0, 1), Bucket((Output(2),), watch_group=3))),
        Group(77, "all", (Bucket((Output(1),)),)),
        Group(77, "select", tuple(Bucket((Output(n % 4 + 1),), n * 1000) for n in range(64))),
    )
    user = Flow(1, 1, (), (GroupAction(77),))
    assert commit(link, [encode.group_mod(kinds[0], encode.ADD, version, 7),
                         encode.flow_mod(user, encode.ADD, version, 8)]) == []  # fmt: skip
    for group in (*kinds[1:], kinds[0]):
        assert commit(link, [encode.group_mod(group, encode.MODIFY, version, 7)]) == []
        back = [g for g in link.ask(encode.groups_request(version, 2)) if g.group == 77]
        assert back == [as_told(group, version)]
    assert list(link.ask(encode.flows_request(version, 2))) == [user]


def test_two_thousand_groups_in_one_bundle(link):
    clear(link)
    version = link.version
    groups = [
        Group(0x76000000 + n, "ff", (Bucket((Output(1),), 0, 1), Bucket((Output(2),), 0, 2)))
        for n in range(2000)
    ]
    users = [Flow(1, n, match(reg1=n), (GroupAction(0x76000000 + n),)) for n in range(2000)]
    sent = [
        encode.group_mod(group, encode.ADD, version, 1000 + n) for n, group in enumerate(groups)
    ]
    sent += [encode.flow_mod(flow, encode.ADD, version, 9000) for flow in users]
    assert commit(link, sent) == []
    back = {g for g in link.ask(encode.groups_request(version, 2)) if g.group > 3}
    assert back == set(groups)
    gone = [encode.flow_mod(flow, encode.DELETE_STRICT, version, 9000) for flow in users]
    gone += [encode.group_mod(group, encode.REMOVE, version, 9001) for group in groups]
    assert commit(link, gone) == []
    assert {g.group for g in link.ask(encode.groups_request(version, 2))} == {1, 2, 3}


def test_ports(link):
    ports = {port.name: port for port in link.ask(encode.ports_request(link.version, 2))}
    assert set(ports) == {"br0", "p1", "p2", "p3", "p4"}
    assert ports["p3"].number == 3


def test_a_refused_bundle_leaves_nothing(link):
    clear(link)
    good = Flow(1, 5, match(reg1=1), (Output(1),))
    bad = Flow(1, 6, match(), (DecTtl(),), 0)
    sent = [encode.flow_mod(good, encode.ADD, link.version, 70)]
    sent += [encode.flow_mod(bad, encode.ADD, link.version, 71)]
    assert [reply.xid for reply in commit(link, sent) if isinstance(reply, decode.Error)] == [71]
    assert list(link.ask(encode.flows_request(link.version, 2))) == []


def test_a_punted_packet_says_why(link):
    version = link.version
    setup = (
        encode.role_request(2, 10, version, 1),
        encode.set_async(version, 2),
        encode.miss_send_len(version, 3),
        encode.packet_in_format(version, 4),
        encode.controller_id(version, 5, 0),
        encode.features_request(version, 6),
        encode.echo_request(version, 7, b"x"),
    )
    link.send(b"".join(setup))
    kinds = [type(reply).__name__ for reply in link.barrier()]
    assert kinds == ["RoleReply", "Features", "EchoReply"]
    frame = bytes.fromhex("ffffffffffff0200000000011234") + b"z" * 60
    does = (SetField("reg1", 5, 0xFFFFFFFF), Punt(b"why", 0, 40))
    link.send(encode.packet_out(frame, does, version, 8, in_port=2))
    got = link.receive()
    assert isinstance(got, decode.PacketIn)
    assert (got.in_port, got.userdata, got.total) == (2, b"why", len(frame))
    assert got.data.startswith(frame[:40])  # Open vSwitch has no buffers, and sends it whole


def test_a_stale_generation_is_refused(link):
    link.send(encode.role_request(2, 100, link.version, 1))
    link.send(encode.role_request(2, 99, link.version, 2))
    replies = link.barrier()
    assert isinstance(replies[0], decode.RoleReply)
    assert isinstance(replies[1], decode.Error)


def test_meter_in_the_middle_needs_1_5(link):
    flow = Flow(1, 1, match(), (Output(1), MeterAction(1)))
    if link.version == V14:
        with pytest.raises(PipelineError):
            encode.flow_mod(flow, encode.ADD, V14, 1)
    else:
        clear(link)
        assert commit(link, [encode.flow_mod(flow, encode.ADD, V15, 1)]) == []
        assert list(link.ask(encode.flows_request(V15, 2))) == [flow]
