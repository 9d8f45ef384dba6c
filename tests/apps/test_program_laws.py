# SPDX-License-Identifier: Apache-2.0
"""What hosted programs' os-ken parsers may see: whatever the validator accepts, they end."""

from __future__ import annotations

import random
import signal
import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow.program_laws import V10, V13, VERSIONS, check
from vneter_sdn.southbound.openflow.program_wire import messages

from os_ken.ofproto import ofproto_parser, ofproto_protocol  # isort: skip

pytestmark = pytest.mark.filterwarnings("ignore")
MATCH = bytes.fromhex("0001000c 80000004 00000003 00000000")
OUTPUT = bytes.fromhex("00000010 00000001 ffff 000000000000")
APPLY = bytes.fromhex("00040018 00000000") + OUTPUT
GOTO = bytes.fromhex("00010008 01000000")
PORT13 = struct.pack("!I4x6s2x16s8I", 1, b"\2" * 6, b"eth1", *[0] * 8)
PORT10 = struct.pack("!H6s16s6I", 1, b"\2" * 6, b"eth1", *[0] * 6)


def message(version: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), 7) + body


def counted(head: bytes, size_at: int = 0) -> bytes:
    return head[:size_at] + struct.pack("!H", len(head)) + head[size_at + 2 :]


def multipart(kind: int, body: bytes) -> bytes:
    return message(V13, 19, struct.pack("!HH4x", kind, 0) + body)


def statistics(kind: int, body: bytes) -> bytes:
    return message(V10, 17, struct.pack("!HH", kind, 0) + body)


FLOW13 = counted(bytes(48) + MATCH + APPLY + GOTO)
BUCKET = counted(bytes(16) + OUTPUT)
GROUP = counted(struct.pack("!HBxI", 0, 1, 5) + BUCKET + BUCKET)
BAND = struct.pack("!HHII4x", 1, 16, 1000, 0)
METER = counted(struct.pack("!HHI", 0, 1, 1) + BAND)
TABLE = counted(
    bytes(64)
    + bytes.fromhex("0000000c 00010004 00040004 00000000")
    + bytes.fromhex("00020006 0102 0000")
    + bytes.fromhex("00040008 00000004")
    + bytes.fromhex("00080008 80000004")
)
QUEUE13 = counted(struct.pack("!IIH6x", 1, 1, 0) + struct.pack("!HH4xH6x", 1, 16, 5), 8)
QUEUE10 = counted(struct.pack("!IH2x", 1, 0) + struct.pack("!HH4xH6x", 1, 16, 5), 4)
FLOW10 = counted(
    bytes(88)
    + bytes.fromhex("0000000800010000")
    + bytes.fromhex("0004001002000000000100000000 0000")
)
LAWFUL = {
    "hello": message(V13, 0, bytes.fromhex("0001000800000012")),
    "error": message(V13, 1, bytes.fromhex("00010001") + bytes(64)),
    "echo": message(V13, 2, b"x"),
    "features": message(V13, 6, struct.pack("!QIBB2xII", 1, 0, 254, 0, 0, 0)),
    "config": message(V13, 8, bytes(4)),
    "packet-in": message(
        V13, 10, struct.pack("!IHBBQ", 0, 4, 0, 0, 0) + MATCH + bytes(2) + b"data"
    ),
    "flow-removed": message(V13, 11, bytes(40) + MATCH),
    "port-status": message(V13, 12, bytes(8) + PORT13),
    "description": multipart(0, bytes(1056)),
    "flows": multipart(1, FLOW13 + FLOW13),
    "aggregate": multipart(2, bytes(24)),
    "tables": multipart(3, bytes(48)),
    "ports": multipart(4, bytes(224)),
    "queues": multipart(5, bytes(40)),
    "groups": multipart(6, counted(bytes(40 + 32))),
    "group descriptions": multipart(7, GROUP + GROUP),
    "group features": multipart(8, bytes(40)),
    "meters": multipart(9, counted(bytes(40 + 16), 4)),
    "meter configurations": multipart(10, METER),
    "meter features": multipart(11, bytes(16)),
    "table features": multipart(12, TABLE + TABLE),
    "port descriptions": multipart(13, PORT13 + PORT13),
    "barrier": message(V13, 21, b""),
    "queue configuration": message(V13, 23, bytes(8) + QUEUE13),
    "role": message(V13, 25, bytes(16)),
    "asynchronous": message(V13, 27, bytes(24)),
    "features 1.0": message(V10, 6, struct.pack("!QIB3xII", 1, 0, 254, 0, 0) + PORT10 + PORT10),
    "packet-in 1.0": message(V10, 10, struct.pack("!IHHBx", 0, 4, 1, 0) + b"data"),
    "flow-removed 1.0": message(V10, 11, bytes(80)),
    "port-status 1.0": message(V10, 12, bytes(8) + PORT10),
    "description 1.0": statistics(0, bytes(1056)),
    "flows 1.0": statistics(1, FLOW10),
    "aggregate 1.0": statistics(2, bytes(24)),
    "tables 1.0": statistics(3, bytes(64)),
    "ports 1.0": statistics(4, bytes(104)),
    "queues 1.0": statistics(5, bytes(64)),
    "queue configuration 1.0": message(V10, 21, bytes(8) + QUEUE10),
}


def parsed(data: bytes):
    """What os-ken makes of a message, in a second."""

    def late(*_):
        raise AssertionError(f"os-ken does not end: {data.hex()}")

    version, kind, length, xid = struct.unpack_from("!BBHI", data)
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        # Not a ProtocolDesc: which versions those have depends on apps that other tests made.
        constants, parser = ofproto_protocol._versions[version]
        datapath = SimpleNamespace(ofproto=constants, ofproto_parser=parser)
        return ofproto_parser.msg(datapath, version, kind, length, xid, data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", LAWFUL)
def test_what_is_lawful_is_accepted_and_parsed(name):
    data = LAWFUL[name]
    check(data, None if name == "hello" else data[0])
    assert parsed(data) is not None


@pytest.mark.parametrize("name", LAWFUL)
def test_whatever_is_accepted_os_ken_can_read_to_its_end(name, caplog):
    caplog.set_level("CRITICAL")
    data, draw = LAWFUL[name], random.Random(name)
    for at in range(4, min(len(data), 200)):
        for value in (0, 1, 4, 8, 16, 255, draw.randrange(256)):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                check(changed, None if name == "hello" else data[0])
            except DecodeError:
                continue
            parsed(changed)


@given(st.binary(max_size=300), st.sampled_from([None, *VERSIONS]))
def test_it_decides_about_all_bytes(data, version):
    try:
        check(data, version)
    except DecodeError:
        return
    assert len(data) >= 8


@given(st.sampled_from(sorted(LAWFUL)), st.binary(min_size=1, max_size=9))
def test_a_wrong_length_is_refused(name, more):
    data = LAWFUL[name]
    with pytest.raises(DecodeError):
        check(data + more, data[0])


def flow_with(instruction: bytes) -> bytes:
    return counted(bytes(48) + MATCH + instruction)


LIES = {
    "flow of length 0": multipart(1, bytes(56)),
    "instruction of length 0": multipart(1, flow_with(bytes.fromhex("0004000000000000"))),
    "unknown instruction": multipart(1, flow_with(bytes.fromhex("0009000800000000"))),
    "bucket of length 0": multipart(7, counted(bytes(8) + bytes(16))),
    "queue of length 0": message(V13, 23, bytes(8) + bytes(16)),
    "queue property of length 0": message(V13, 23, bytes(8) + counted(bytes(24), 8)),
    "table features of length 0": multipart(12, bytes(64)),
    "table property of length 0": multipart(12, counted(bytes(72))),
    "port of half a length": multipart(13, bytes(32)),
    "experimenter": message(V13, 4, bytes(8)),
    "flow mod from a switch": message(V13, 14, bytes(48)),
    "experimenter statistics": multipart(0xFFFF, bytes(8)),
    "action of length 0 in 1.0": statistics(1, counted(bytes(88) + bytes(8))),
    "unknown action in 1.0": statistics(1, counted(bytes(88) + bytes.fromhex("0050000800000000"))),
    "action too long in 1.0": statistics(1, counted(bytes(88) + b"\0\0\0\x10" + bytes(12))),
    "vendor of 1.0": message(V10, 4, bytes(8)),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_lies_are_refused(name):
    with pytest.raises(DecodeError):
        check(LIES[name], LIES[name][0])


def test_another_version_than_the_agreed_is_refused():
    with pytest.raises(DecodeError):
        check(LAWFUL["echo"], V10)


@given(st.lists(st.sampled_from(sorted(LAWFUL)), max_size=6), st.integers(1, 50))
def test_messages_are_cut_out_of_any_stream(names, step):
    stream = b"".join(LAWFUL[name] for name in names)
    chunks = (stream[at : at + step] for at in range(0, len(stream), step))
    assert list(messages(chunks)) == [LAWFUL[name] for name in names]


def test_a_stream_with_an_impossible_length_is_lost():
    with pytest.raises(DecodeError):
        list(messages(iter([LAWFUL["echo"] + bytes.fromhex("0402000400000000")])))
