# SPDX-License-Identifier: Apache-2.0
"""Flows, groups and meters to draw from, sample messages, and a private switch."""

from __future__ import annotations

import shutil
from struct import pack

import pytest
from hypothesis import strategies as st

from vneter_sdn.model import flow as model
from vneter_sdn.model.fields import FIELDS, TRACKED
from vneter_sdn.southbound.openflow import encode
from vneter_sdn.southbound.openflow.sandbox import Sandbox
from vneter_sdn.southbound.openflow.wire import V14, V15, Type, message

BASES = (
    {},
    {"eth_type": 0x0800},
    {"eth_type": 0x86DD},
    {"eth_type": 0x0806},
    {"eth_type": 0x0800, "ip_proto": 6},
    {"eth_type": 0x86DD, "ip_proto": 17},
    {"eth_type": 0x0800, "ip_proto": 1},
    {"eth_type": 0x0800, "ip_proto": 132},
    {"eth_type": 0x86DD, "ip_proto": 58},
    {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0},
    {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 136, "icmpv6_code": 0},
)
"""Prerequisites; what else a match may hold follows from them."""
IP_ONLY = ("ip_dscp", "ip_ttl", "ip_proto")
PORT_FIELDS = {6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}
REGISTERS = tuple(f"reg{n}" for n in range(16))
ANYWHERE = ("metadata", "eth_dst", "eth_src", "tun_id", *REGISTERS)
TRACKING = ("ct_state", "ct_zone", "ct_mark", "ct_label", "conj_id")
CONNECTION = ("ct_mark", "ct_label")


def usable(base: dict[str, int]) -> list[str]:
    """Fields that this base allows."""
    names = ["in_port", "vlan_vid", *ANYWHERE, *TRACKING]
    kind, protocol = base.get("eth_type"), base.get("ip_proto")
    if kind in (0x0800, 0x86DD):
        names += ["ip_dscp", "ip_ttl", *PORT_FIELDS.get(protocol, ())]
    given = set(base.items())
    names += [n for n, f in FIELDS.items() if f.needs and set(f.needs) <= given]
    if kind not in (0x0800, 0x86DD):
        names = [n for n in names if n not in IP_ONLY]
    if protocol != 6:
        names = [n for n in names if not n.startswith("tcp_")]
    if protocol != 17:
        names = [n for n in names if not n.startswith("udp_")]
    return [n for n in dict.fromkeys(names) if n not in base]


def value_of(name: str) -> st.SearchStrategy[int | tuple[int, int]]:
    field = FIELDS[name]
    if name == "in_port":
        return st.integers(1, 0xFEFF) | st.just(model.LOCAL)
    if name == "arp_op":
        return st.integers(0, 255)
    if name == "vlan_vid":
        return st.just(0) | st.integers(0x1000, 0x1FFF) | st.just((0x1000, 0x1000))
    numbers = st.integers(0, field.full)
    if not field.maskable:
        return numbers
    if name == "ct_state":
        numbers = st.integers(0, 0xFF).map(lambda v: v & ~TRACKED["inv"])  # never committed
        return st.builds(lambda v, m: (v & m, m), numbers, st.integers(1, 0xFF))
    masks = st.integers(1, field.full)
    return numbers | st.builds(lambda v, m: (v & m, m), numbers, masks)


@st.composite
def matches(draw):
    base = dict(draw(st.sampled_from(BASES)))
    for name in draw(st.lists(st.sampled_from(usable(base)), max_size=5, unique=True)):
        if (name, "icmpv6_type") in (("icmpv6_code", "icmpv6_type"),):
            continue
        base[name] = draw(value_of(name))
    if base.get("icmpv6_type") in (135, 136) and "icmpv6_code" not in base:
        base["icmpv6_type"] = 1
    return model.match(**base)


def set_fields(names: tuple[str, ...] = ANYWHERE) -> st.SearchStrategy[model.SetField]:
    def build(name: str) -> st.SearchStrategy[model.SetField]:
        full = FIELDS[name].full
        masks = st.just(full) | st.integers(1, full)
        return st.builds(lambda v, m: model.SetField(name, v & m, m), st.integers(0, full), masks)

    return st.sampled_from(names).flatmap(build)


COPIED = ("reg0", "reg7", "reg15", "eth_src", "eth_dst", "tun_id", "metadata", "ct_mark", "in_port")
COPIED_TO = tuple(name for name in COPIED if name != "ct_mark")


@st.composite
def copies(draw, targets=COPIED_TO):
    source, target = draw(st.sampled_from(COPIED)), draw(st.sampled_from(targets))
    most = min(FIELDS[source].bits, FIELDS[target].bits)
    bits = draw(st.integers(1, most))
    first = draw(st.integers(0, FIELDS[source].bits - bits))
    second = draw(st.integers(0, FIELDS[target].bits - bits))
    return model.Copy(source, target, bits, first, second)


@st.composite
def conntracks(draw):
    commit = draw(st.booleans())
    writes = set_fields(CONNECTION) | copies(CONNECTION)
    field = draw(st.sampled_from(("", "reg2", "ct_zone", "metadata")))
    most = FIELDS[field].bits - 16 if field else 0
    return model.Conntrack(
        commit,
        draw(st.integers(0, 0xFFFF)) if not field else 0,
        field,
        draw(st.integers(0, most)),
        draw(st.none() | st.integers(0, 253)),
        tuple(draw(st.lists(writes, max_size=3))) if commit else (),
    )


def in_ports() -> st.SearchStrategy[model.SetField]:
    full = FIELDS["in_port"].full
    return st.integers(0, 0xFEFF).map(lambda port: model.SetField("in_port", port, full))


def plain_actions() -> st.SearchStrategy[model.Action]:
    ports = st.integers(1, 0xFEFF) | st.sampled_from((model.IN_PORT, model.LOCAL))
    return st.one_of(
        st.builds(model.Output, ports | st.just(model.CONTROLLER)),
        st.builds(model.OutputField, st.sampled_from(REGISTERS), st.integers(0, 16)),
        st.builds(model.GroupAction, st.integers(1, 3)),
        set_fields(),
        in_ports(),
        copies(),
        st.builds(model.Resubmit, st.integers(0, 253)),
        st.builds(
            model.CheckLength,
            st.integers(0, 0xFFFF),
            st.sampled_from(REGISTERS),
            st.integers(0, 31),
        ),
        st.builds(
            model.Punt,
            st.binary(max_size=40),
            st.integers(0, 2),
            st.integers(0, 0xFFFF),
        ),
    )


@st.composite
def flows(draw):
    matched = draw(matches())
    does = draw(st.lists(plain_actions(), max_size=4))
    if {term.value for term in matched if term.field == "eth_type"} & {0x0800, 0x86DD}:
        does += draw(st.lists(st.just(model.DecTtl()), max_size=1))
        does += draw(st.lists(conntracks(), max_size=2))
    if draw(st.booleans()):
        does.insert(0, model.MeterAction(draw(st.integers(1, 2))))
    table = draw(st.integers(0, 100))
    goto = draw(st.none() | st.integers(table + 1, 253))
    cookie = draw(st.integers(0, (1 << 64) - 2))
    return model.Flow(table, draw(st.integers(0, 0xFFFF)), matched, tuple(does), goto, cookie)


@st.composite
def clauses(draw):
    """A flow of clauses of conjunctions, which does nothing else and knows no conj_id."""
    flow, of = draw(flows()), draw(st.integers(2, 64))
    met = st.builds(model.Conjunction, st.integers(0, 0xFFFFFFFF), st.integers(1, of), st.just(of))
    matched = tuple(term for term in flow.match if term.field != "conj_id")
    does = tuple(draw(st.lists(met, min_size=1, max_size=3, unique_by=lambda one: one.id)))
    return model.Flow(flow.table, flow.priority, matched, does, None, flow.cookie)


@st.composite
def groups(draw):
    kind = draw(st.sampled_from(("all", "select", "indirect", "ff")))
    buckets = []
    for _ in range(1 if kind == "indirect" else draw(st.integers(0, 4))):
        does = tuple(draw(st.lists(set_fields() | copies() | in_ports(), max_size=2)))
        out = draw(st.integers(1, 4).map(model.Output) | conntracks())
        weight = draw(st.integers(0, 0xFFFF)) if kind == "select" else 0
        watch = draw(st.integers(1, 4)) if kind == "ff" else model.ANY
        buckets.append(model.Bucket((*does, out), weight, watch))
    method = draw(st.sampled_from(("", "dp_hash", "hash"))) if kind == "select" else ""
    parameter = draw(st.integers(0, (1 << 33) - 1)) if method == "dp_hash" else 0
    number = draw(st.integers(10, 0xFFFF))
    return model.Group(number, kind, tuple(buckets), method, parameter)


def meters() -> st.SearchStrategy[model.Meter]:
    return st.builds(
        model.Meter,
        st.integers(10, 1000),
        st.integers(1, 1 << 20),
        st.integers(0, 1 << 20),
        st.sampled_from(("pktps", "kbps")),
    )


@pytest.fixture(scope="session")
def drawn():
    """Strategies by name: matches, flows, groups, meters."""
    return {
        "matches": matches(),
        "flows": flows() | clauses(),
        "groups": groups(),
        "meters": meters(),
    }


def reply(kind: int, version: int, body: bytes) -> bytes:
    return message(Type.MULTIPART_REPLY, version, 7, pack("!HH4x", kind, 0) + body)


FLOW = model.Flow(
    3,
    9,
    model.match(eth_type=0x0800, ip_dst=(0x0A000000, 0xFF000000), reg3=5),
    (
        model.SetField("eth_dst", 5, FIELDS["eth_dst"].full),
        model.Punt(b"why!!"),
        model.Conntrack(True, 0, "reg2", 0, 5, (model.Copy("eth_dst", "ct_mark", 6, 42),)),
        model.Output(2),
    ),
    7,
    0x76 << 56,
)
GROUP = model.Group(5, "select", (model.Bucket((model.Output(1),), 3, 1),) * 2, "dp_hash", 1)
PORT = pack("!IH2x6s2x16sII", 3, 40, b"\2\0\0\0\0\1", b"p3", 0, 1)
STATS = bytes.fromhex("0000001080020008") + bytes(8)


def samples() -> list[tuple[int, bytes]]:
    """(version, message) of most kinds a switch sends, well formed."""
    found: list[tuple[int, bytes]] = []
    for version in (V14, V15):
        tail = encode.flow_mod(FLOW, encode.ADD, version, 1)[48:]
        split = (int.from_bytes(tail[2:4], "big") + 7) & ~7
        matched, does = tail[:split], tail[split:]
        if version == V14:
            head = pack("!HBxIIHHHHH2xQQQ", 48 + len(tail), 3, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0)
            flow, removed = head + tail, pack("!QHBBIIHHQQ", 1, 9, 0, 3, 0, 0, 0, 0, 0, 0) + matched
            body = encode.group_mod(GROUP, 0, version, 1)[16:]
            group = pack("!HBxI", 8 + len(body), 1, 5) + body
        else:
            size = 24 + len(matched) + 16 + len(does)
            head = pack("!H2xBxHHHHHQ", size, 3, 9, 0, 0, 0, 0, 1)
            flow = head + matched + STATS + does
            removed = pack("!BBHHHQ", 3, 0, 9, 0, 0, 1) + matched + STATS
            body = encode.group_mod(GROUP, 0, version, 1)[24:]
            group = pack("!HBxIH6x", 16 + len(body), 1, 5, len(body) - 40) + body
        meter = encode.meter_mod(model.Meter(5, 10, 3), 0, version, 1)[16:]
        packet_in = pack("!IHBBQ", 0xFFFFFFFF, 60, 1, 3, 1) + matched + bytes(2) + b"x" * 60
        packet_in_2 = pack("!II", 0x2320, 30) + pack("!HH60s", 0, 64, b"x" * 60)
        packet_in_2 += pack("!HHB3x", 3, 5, 9) + pack("!HHQ4x", 7, 12, 5)
        bodies = {
            Type.ERROR: pack("!HH", 1, 2) + b"refused!",
            Type.ECHO_REQUEST: b"hi",
            Type.ECHO_REPLY: b"",
            Type.EXPERIMENTER: packet_in_2,
            Type.FEATURES_REPLY: pack("!QIBB2xII", 5, 0, 254, 0, 0, 0),
            Type.GET_CONFIG_REPLY: pack("!HH", 0, 128),
            Type.PACKET_IN: packet_in,
            Type.FLOW_REMOVED: removed,
            Type.PORT_STATUS: bytes(8) + PORT,
            Type.BARRIER_REPLY: b"",
            Type.ROLE_REPLY: pack("!I4xQ", 2, 5),
            Type.GET_ASYNC_REPLY: encode.set_async(version, 1)[8:],
            Type.ROLE_STATUS: pack("!IB3xQ", 3, 0, 5),
            Type.TABLE_STATUS: pack("!B7xHBxI", 3, 8, 1, 0),
            Type.REQUESTFORWARD: encode.group_mod(GROUP, 0, version, 1),
            Type.BUNDLE_CONTROL: pack("!IHH", 1, 5, 3),
        }
        found += [(version, message(kind, version, 7, body)) for kind, body in bodies.items()]
        parts = {1: flow * 2, 7: group * 2, 13: PORT * 2}
        parts[10] = pack("!HHI", 8 + len(meter), 6, 5) + meter
        parts[6] = pack("!H2xII4xQQII", 56, 5, 0, 0, 0, 0, 0) + bytes(16)
        parts[9] = pack("!IH6xIQQII", 5, 56, 0, 0, 0, 0, 0) + bytes(16)
        found += [(version, reply(kind, version, body)) for kind, body in parts.items()]
        found.append((version, encode.hello(1)))
    return found


@pytest.fixture(scope="session")
def sample_messages() -> list[tuple[int, bytes]]:
    """Well-formed messages, as (version, bytes)."""
    return samples()


@pytest.fixture(scope="session")
def switch():
    """A private Open vSwitch with a dummy bridge."""
    if shutil.which("ovs-vswitchd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip("Open vSwitch is not installed")
    with Sandbox() as sandbox:
        yield sandbox
