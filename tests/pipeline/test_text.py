# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    ANY,
    IN_PORT,
    Bucket,
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
    if not field.maskable:
        return value
    mask = draw(st.integers(1, field.full))
    if field.bits == 128:  # ovs-ofctl reads few other masks this wide
        mask = field.full ^ field.full >> draw(st.integers(1, 128))
    return value & mask, mask


@st.composite
def matches(draw):
    names = st.sampled_from(sorted(FIELDS.keys() - PLAIN))
    built = {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        needs = dict(FIELDS[name].needs)
        if name.startswith(("tcp", "udp")):
            needs["eth_type"] = built.get("eth_type", 0x800)
        if name not in built and all(built.get(n, v) == v for n, v in needs.items()):
            built |= needs
            built[name] = draw(terms(name))
    return match(**built)


@st.composite
def pieces(draw):
    field = FIELDS[draw(st.sampled_from(SETTABLE))]
    offset = draw(st.integers(0, field.bits - 1))
    return field, offset, draw(st.integers(1, field.bits - offset))


@st.composite
def copies(draw):
    (one, at, bits), (other, to, more) = draw(pieces()), draw(pieces())
    return Copy(one.name, other.name, min(bits, more), at, to)


@st.composite
def sets(draw):
    field = FIELDS[draw(st.sampled_from(SETTABLE))]
    mask = draw(st.one_of(st.just(field.full), st.integers(1, field.full)))
    return SetField(field.name, draw(st.integers(0, field.full)) & mask, mask)


actions = st.one_of(
    st.builds(Output, st.one_of(st.just(IN_PORT), st.integers(1, 0xFEFF))),
    st.builds(OutputField, st.just("reg3"), st.integers(0, 16), st.integers(1, 16)),
    sets(),
    copies(),
    st.builds(Resubmit, st.sampled_from([t.id for t in TABLES])),
    st.builds(Punt, st.binary(min_size=1, max_size=20), st.integers(0, 9), st.integers(1, 500)),
    st.builds(GroupAction, st.integers(1, 100)),
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
        50,
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
