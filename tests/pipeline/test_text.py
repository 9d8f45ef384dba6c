# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    ANY,
    IN_PORT,
    Bucket,
    Conjunction,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    Meter,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.pipeline.tables import TABLES, table
from vneter_sdn.pipeline.text import flow_text, group_text, meter_text, parse_flow

SETTABLE = ("eth_src", "eth_dst", "tun_id", "metadata", *(f"reg{n}" for n in range(8)))


PLAIN = {"eth_type", "ip_proto", "nd_reserved", "nd_options_type", "ip_dscp", "ip_ttl", "arp_op"}


@st.composite
def terms(draw, name):
    field = FIELDS[name]
    value = draw(st.integers(0, field.full))
    if name == "in_port":
        return value % 0xFF00 or 1
    if name == "vlan_vid":
        return value | 0x1000
    if name == "ct_state":
        value &= 0xFF
    if not field.maskable:
        return value
    mask = draw(st.integers(1, 0xFF if name == "ct_state" else field.full))
    if field.bits == 128:  # ovs-ofctl reads few other masks this wide
        mask = field.full ^ field.full >> draw(st.integers(1, 128))
    return value & mask, mask


@st.composite
def matches(draw):
    names = st.sampled_from(sorted(FIELDS.keys() - PLAIN))
    built = {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        needs = dict(FIELDS[name].needs)
        if name.startswith(("tcp", "udp", "sctp")):
            needs["eth_type"] = built.get("eth_type", 0x800)
        if name not in built and all(built.get(n, v) == v for n, v in needs.items()):
            built |= needs
            built[name] = draw(terms(name))
    return match(**built)


@st.composite
def pieces(draw, names):
    field = FIELDS[draw(st.sampled_from(names))]
    offset = draw(st.integers(0, field.bits - 1))
    return field, offset, draw(st.integers(1, field.bits - offset))


@st.composite
def copies(draw, targets=SETTABLE):
    (one, at, bits), (other, to, more) = draw(pieces(SETTABLE)), draw(pieces(targets))
    return Copy(one.name, other.name, min(bits, more), at, to)


@st.composite
def sets(draw, names=SETTABLE):
    field = FIELDS[draw(st.sampled_from(names))]
    mask = draw(st.one_of(st.just(field.full), st.integers(1, field.full)))
    return SetField(field.name, draw(st.integers(0, field.full)) & mask, mask)


@st.composite
def conntracks(draw):
    commit = draw(st.booleans())
    writes = sets(("ct_mark", "ct_label")), copies(("ct_mark", "ct_label"))
    zone = draw(st.sampled_from([{}, {"zone": 9}, {"zone_field": "reg2", "zone_offset": 4}]))
    table = draw(st.sampled_from([None, *(t.id for t in TABLES)]))
    return Conntrack(
        commit=commit,
        table=table,
        actions=tuple(draw(st.lists(st.one_of(*writes), max_size=2))) if commit else (),
        **zone,
    )


actions = st.one_of(
    st.builds(Output, st.one_of(st.just(IN_PORT), st.integers(1, 0xFEFF))),
    st.builds(OutputField, st.just("reg3"), st.integers(0, 16), st.integers(1, 16)),
    sets(),
    copies(),
    st.builds(Resubmit, st.sampled_from([t.id for t in TABLES])),
    st.builds(Punt, st.binary(min_size=1, max_size=20), st.integers(0, 9), st.integers(1, 500)),
    st.builds(GroupAction, st.integers(1, 100)),
    st.just(SetField("in_port", 0, FIELDS["in_port"].full)),
)
flows = st.builds(
    Flow,
    st.sampled_from([t.id for t in TABLES[:3]]),
    st.integers(0, 65535),
    matches(),
    st.lists(actions, max_size=4).map(tuple),
    st.one_of(st.none(), st.sampled_from([t.id for t in TABLES[3:]])),
    st.integers(0, (1 << 64) - 2),
)


@st.composite
def tracking(draw):
    """A flow that matches IP, as Open vSwitch wants of one that tracks."""
    flow = draw(flows)
    family = draw(st.sampled_from([0x800, 0x86DD]))
    return replace(
        flow, match=match(eth_type=family, ct_state=(0x20, 0x28)), actions=(draw(conntracks()),)
    )


@st.composite
def conjoining(draw):
    """A flow of clauses, which Open vSwitch wants alone."""
    flow = draw(flows)
    met = st.builds(Conjunction, st.integers(0, 0xFFFFFFFF), st.integers(1, 3), st.integers(3, 64))
    matched = tuple(term for term in flow.match if term.field != "conj_id")
    return replace(
        flow, match=matched, actions=tuple(draw(st.lists(met, min_size=1, max_size=3))), goto=None
    )


flows = flows | tracking() | conjoining()


@given(flows, st.booleans())
def test_reading_gives_back_what_was_written(flow, named):
    assert parse_flow(flow_text(flow, named=named)) == flow


@pytest.mark.ovs
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(flows, min_size=1, max_size=20))
def test_ovs_ofctl_takes_it(tmp_path, given_flows):
    file = tmp_path / "flows"
    file.write_text("".join(flow_text(flow) + "\n" for flow in given_flows))
    done = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow15", "parse-flows", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OFPT_FLOW_MOD") == len(given_flows)


def test_it_reads_like_dump_flows():
    flow = Flow(
        table("switch").id,
        200,
        match(reg1=(5000, 0xFFFFFF), eth_type=0x800, ip_dst=(0x0A000000, 0xFF000000), ip_ttl=3),
        (DecTtl(), MeterAction(3), Output(IN_PORT)),
        table("deliver").id,
        0x76,
    )
    assert flow_text(flow, named=True) == (
        "cookie=0x76,table=switch,priority=200,ip,reg1=0x1388/0xffffff,nw_dst=10.0.0.0/8,nw_ttl=3"
        " actions=dec_ttl,meter:3,IN_PORT,goto_table:deliver"
    )


@pytest.mark.parametrize("text", ["", "table=0", "table=0,x=1 actions=drop", "table=0 actions=fly"])
def test_other_text_is_refused(text):
    with pytest.raises(PipelineError):
        parse_flow(text)


def test_groups_and_meters():
    buckets = (Bucket((Output(1),), 5, watch_port=1), Bucket((Output(2),), 3))
    assert group_text(Group(7, "select", buckets)) == (
        "group_id=7,type=select,bucket=bucket_id:0,weight:5,watch_port:1,actions=output:1,"
        "bucket=bucket_id:1,weight:3,actions=output:2"
    )
    assert ANY not in (1, 2)
    assert (
        meter_text(Meter(9, 100, 50)) == "meter=9,pktps,burst,band=type=drop,rate=100,burst_size=50"
    )


def test_tracking_reads_like_dump_flows():
    colour = Copy("eth_dst", "ct_mark", 6, 42, 0)
    pin = Conntrack(commit=True, zone_field="reg2", table=table("transit").id, actions=(colour,))
    known = match(eth_type=0x800, ct_state=(0x20, 0x29), ct_mark=(3, 0x3F))
    flow = Flow(
        table("switch").id,
        9,
        known,
        (SetField("in_port", 0, 0xFFFFFFFF), pin, Conntrack()),
        None,
        1,
    )
    assert flow_text(flow, named=True) == (
        "cookie=0x1,table=switch,priority=9,ip,ct_mark=0x3/0x3f,ct_state=-new-rpl+trk"
        " actions=set_field:0->in_port,"
        "ct(commit,table=transit,zone=reg2[0..15],exec(move:eth_dst[42..47]->ct_mark[0..5])),ct"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": 0x10000},
        {"zone": -1},
        {"zone": 1, "zone_field": "reg2"},
        {"zone_field": "reg2", "zone_offset": 17},
        {"zone_field": "nothing"},
        {"table": 255},
        {"actions": (SetField("ct_mark", 1, 1),)},
        {"commit": True, "actions": (SetField("reg1", 1, 1),)},
    ],
)
def test_a_tracking_that_no_bridge_takes_is_no_value(wrong):
    with pytest.raises(PipelineError):
        Conntrack(**wrong)


def test_how_a_select_group_chooses():
    group = Group(7, "select", (Bucket((Output(1),), 1),), "dp_hash", 1 << 32)
    assert group_text(group).startswith(
        "group_id=7,type=select,selection_method=dp_hash,selection_method_param=4294967296,bucket="
    )
