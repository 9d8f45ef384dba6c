# SPDX-License-Identifier: Apache-2.0
"""The template encoder and os-ken encode the same flow, group and meter to the same bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from os_ken.ofproto import nicira_ext

from vneter_sdn.model import flow as model
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.southbound.openflow import encode, oxm, rare
from vneter_sdn.southbound.openflow.wire import V14, V15

RENAMED = {
    "ip_src": "ipv4_src",
    "ip_dst": "ipv4_dst",
    "icmp_type": "icmpv4_type",
    "icmp_code": "icmpv4_code",
    "tun_id": "tunnel_id",
    "ip_ttl": "nw_ttl",
    "nd_target": "ipv6_nd_target",
    "nd_sll": "ipv6_nd_sll",
    "nd_tll": "ipv6_nd_tll",
}
UNKNOWN = {"nd_reserved", "nd_options_type", "tcp_flags"}
"""Fields os-ken has no word for."""


def name_of(field: str) -> str:
    return RENAMED.get(field, field)


def user(field: str, value: int):
    """A number as os-ken's users write it."""
    bits = FIELDS[field].bits
    if bits == 48:
        return mac_text(value)
    if bits == 128 and field != "ct_label":
        return str(IPv6Address(value))
    if field in ("ip_src", "ip_dst", "arp_spa", "arp_tpa"):
        return str(IPv4Address(value))
    return value


def osken_match(parser, match):
    rank = sorted(match, key=lambda term: oxm._EXACT[term.field][3])
    fields = [
        (
            name_of(t.field),
            user(t.field, t.value)
            if t.mask == FIELDS[t.field].full
            else (user(t.field, t.value), user(t.field, t.mask)),
        )
        for t in rank
    ]
    return parser.OFPMatch(type_=1, length=4, _ordered_fields=fields)


def conntrack(parser, action, version):
    """os-ken writes table and zone, but of nested actions knows its own classes only."""
    kept, nested = osken_actions(parser, action.actions, version)
    if kept != action.actions:
        return None
    zone = nicira_ext.ofs_nbits(action.zone_offset, action.zone_offset + 15)
    return parser.NXActionCT(
        flags=int(action.commit),
        zone_src=action.zone_field,
        zone_ofs_nbits=zone if action.zone_field else action.zone,
        recirc_table=255 if action.table is None else action.table,
        alg=0,
        actions=nested,
    )


def set_field(parser, action, version):
    if action.field == "in_port":
        return None
    value = user(action.field, action.value)
    if action.mask == FIELDS[action.field].full:
        return parser.OFPActionSetField(**{name_of(action.field): value})
    if version == V15:
        masked = (value, user(action.field, action.mask))
        return parser.OFPActionSetField(**{name_of(action.field): masked})
    return None


def copy(parser, action, version):
    numbers = {"src_ofs": action.source_offset, "dst_ofs": action.target_offset}
    if version == V14:
        names = {"eth_src": "eth_src_nxm", "eth_dst": "eth_dst_nxm", "tun_id": "tunnel_id_nxm"}
        source, target = (names.get(n, n) for n in (action.source, action.target))
        return parser.NXActionRegMove(source, target, action.bits, **numbers)
    ids = [parser.OFPOxmId(name_of(name)) for name in (action.source, action.target)]
    offsets = (action.source_offset, action.target_offset)
    return parser.OFPActionCopyField(action.bits, *offsets, ids)


def punt(parser, action, _version):
    if action.meter or not action.userdata:
        return None
    limit = {} if action.max_len == 0xFFFF else {"max_len": action.max_len}
    return parser.NXActionController2(userdata=list(action.userdata), **limit)


MAKERS = {
    model.Output: lambda p, a, v: p.OFPActionOutput(a.port, 0xFFFF),
    model.OutputField: lambda p, a, v: p.NXActionOutputReg(
        nicira_ext.ofs_nbits(a.offset, a.offset + a.bits - 1), a.field, 0xFFFF
    ),
    model.GroupAction: lambda p, a, v: p.OFPActionGroup(a.group),
    model.SetField: set_field,
    model.Copy: copy,
    model.DecTtl: lambda p, a, v: p.OFPActionDecNwTtl(),
    model.Resubmit: lambda p, a, v: p.NXActionResubmitTable(0xFFF8, a.table),
    model.MeterAction: lambda p, a, v: p.OFPActionMeter(a.meter) if v == V15 else None,
    model.Punt: punt,
    model.Conntrack: conntrack,
    model.CheckLength: lambda p, a, v: None,
    model.Conjunction: lambda p, a, v: p.NXActionConjunction(a.clause - 1, a.of, a.id),
}


def osken_actions(parser, actions, version):
    """The actions in os-ken's words; those it has no word for left out of both."""
    made = [(action, MAKERS[type(action)](parser, action, version)) for action in actions]
    kept = [(action, other) for action, other in made if other is not None]
    return tuple(action for action, _ in kept), [other for _, other in kept]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), version=st.sampled_from((V14, V15)))
def test_flow_mods(drawn, data, version):
    flow = data.draw(drawn["flows"])
    match = tuple(term for term in flow.match if term.field not in UNKNOWN)
    datapath = rare.datapath(version)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    kept, actions = osken_actions(parser, flow.actions, version)
    same = model.Flow(flow.table, flow.priority, match, kept, flow.goto, flow.cookie)
    does = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)] if actions else []
    if flow.goto is not None:
        does.append(parser.OFPInstructionGotoTable(flow.goto))
    theirs = parser.OFPFlowMod(
        datapath,
        cookie=flow.cookie,
        table_id=flow.table,
        priority=flow.priority,
        out_port=model.ANY,
        out_group=model.ANY,
        match=osken_match(parser, match),
        instructions=does,
    )
    assert encode.flow_mod(same, encode.ADD, version, 9) == rare.serialize(theirs, 9)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), version=st.sampled_from((V14, V15)))
def test_group_mods(drawn, data, version):
    group = data.draw(drawn["groups"])
    datapath = rare.datapath(version)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    kinds = {"all": 0, "select": 1, "indirect": 2, "ff": 3}
    ours, theirs = [], []
    for number, bucket in enumerate(group.buckets):
        kept, actions = osken_actions(parser, bucket.actions, version)
        ours.append(model.Bucket(kept, bucket.weight, bucket.watch_port, bucket.watch_group))
        if version == V14:
            watch = (bucket.weight, bucket.watch_port, bucket.watch_group)
            theirs.append(parser.OFPBucket(*watch, actions=actions))
            continue
        properties = []
        if group.kind == "select" or bucket.weight:
            properties.append(parser.OFPGroupBucketPropWeight(weight=bucket.weight, type_=0))
        if bucket.watch_port != model.ANY:
            properties.append(parser.OFPGroupBucketPropWatch(watch=bucket.watch_port, type_=1))
        theirs.append(parser.OFPBucket(number, actions, properties))
    extra = {} if version == V14 else {"command_bucket_id": 0xFFFFFFFF}
    message = parser.OFPGroupMod(
        datapath, ofproto.OFPGC_ADD, kinds[group.kind], group.group, buckets=theirs, **extra
    )
    same = model.Group(group.group, group.kind, tuple(ours))  # os-ken has no selection method
    assert encode.group_mod(same, encode.ADD, version, 9) == rare.serialize(message, 9)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), version=st.sampled_from((V14, V15)))
def test_meter_mods(drawn, data, version):
    meter = data.draw(drawn["meters"])
    datapath = rare.datapath(version)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    unit = ofproto.OFPMF_PKTPS if meter.unit == "pktps" else ofproto.OFPMF_KBPS
    flags = unit | (ofproto.OFPMF_BURST if meter.burst else 0)
    bands = [parser.OFPMeterBandDrop(meter.rate, meter.burst)]
    message = parser.OFPMeterMod(datapath, ofproto.OFPMC_ADD, flags, meter.meter, bands)
    assert encode.meter_mod(meter, encode.ADD, version, 9) == rare.serialize(message, 9)


@given(data=st.data(), version=st.sampled_from((V14, V15)))
def test_the_bundled_form_is_the_wrapped_form(drawn, data, version):
    flow = data.draw(drawn["flows"])
    (fast,) = encode.bundled_flow_mods([(encode.ADD, flow)], version, 4, 9)
    assert fast == encode.bundle_add(4, 3, encode.flow_mod(flow, encode.ADD, version, 9))


@pytest.mark.parametrize("version", [V14, V15])
def test_bundle_control_and_requests(version):
    datapath = rare.datapath(version)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    control = parser.OFPBundleCtrlMsg(datapath, 4, ofproto.OFPBCT_OPEN_REQUEST, 3, [])
    assert encode.bundle_open(4, version, 9) == rare.serialize(control, 9)
    flows = parser.OFPFlowStatsRequest if version == V14 else parser.OFPFlowDescStatsRequest
    request = flows(
        datapath, 0, 0xFF, model.ANY, model.ANY, 5, 7, parser.OFPMatch(type_=1, length=4)
    )
    assert encode.flows_request(version, 9, 5, 7) == rare.serialize(request, 9)
    barrier = parser.OFPBarrierRequest(datapath)
    assert encode.barrier_request(version, 9) == rare.serialize(barrier, 9)
