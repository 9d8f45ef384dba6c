# SPDX-License-Identifier: Apache-2.0
"""Messages that hang os-ken 4.2.2, and frames that hang its packet library: refused, or read."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest

import vneter_sdn.southbound.openflow
from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import decode, punt, validate
from vneter_sdn.southbound.openflow.validate import State
from vneter_sdn.southbound.openflow.wire import V14, V15, Type, message

VERSIONS = (V14, V15)
MATCH = pack("!HH4x", 1, 4)
STATS = pack("!HH4x", 0, 4)


def reply(kind: int, version: int, body: bytes) -> bytes:
    return message(Type.MULTIPART_REPLY, version, 7, pack("!HH4x", kind, 0) + body)


def flow(version: int, does: bytes) -> bytes:
    if version == V14:
        size = 48 + 8 + len(does)
        return pack("!HBxIIHHHHH2xQQQ", size, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0) + MATCH + does
    size = 24 + 16 + len(does)
    return pack("!H2xBxHHHHHQ", size, 1, 9, 0, 0, 0, 0, 0) + MATCH + STATS + does


def group(version: int, buckets: bytes) -> bytes:
    if version == V14:
        return pack("!HBxI", 8 + len(buckets), 1, 1) + buckets
    return pack("!HBxIH6x", 16 + len(buckets), 1, 1, len(buckets)) + buckets


def bucket(version: int, does: bytes) -> bytes:
    if version == V14:
        return pack("!HHII4x", 16 + len(does), 0, 1, 1) + does
    return pack("!HHI", 8 + len(does), len(does), 0) + does


def expect_refusal(data: bytes, version: int, state: State = State.OPEN) -> None:
    with pytest.raises(DecodeError):
        validate.check(data, state, version)
    with suppress(DecodeError):
        decode.message(data)  # never reached in a session, and must end all the same


@pytest.mark.parametrize("version", [3, V14, V15])
@pytest.mark.parametrize("kind", [1, 0, 99])
def test_cve_2024_34489_hello_element_of_no_length(version, kind):
    expect_refusal(message(Type.HELLO, version, 1, pack("!HH4x", kind, 0)), version, State.HELLO)


def test_cve_2024_34489_published_bytes():
    expect_refusal(bytes.fromhex("04000010000000130001000000000010"), 0, State.HELLO)


@pytest.mark.parametrize("length", [5, 6, 7, 12])
def test_hello_elements_that_os_ken_steps_over_wrongly(length):
    body = pack("!HH", 1, length).ljust(length + 7 & ~7, b"\0")
    expect_refusal(message(Type.HELLO, V15, 1, body), V15, State.HELLO)


@pytest.mark.parametrize("version", VERSIONS)
def test_cve_2024_34483_bucket_of_no_length(version):
    empty = bytes(2) + bucket(version, b"")[2:]
    expect_refusal(reply(7, version, group(version, empty)), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [0, 22, 25, 0xFFFF])
def test_cve_2024_34484_action_of_no_length_in_a_bucket(version, kind):
    action = pack("!HH", kind, 0) + bytes.fromhex("80000606aabbccddeeff0000")
    expect_refusal(reply(7, version, group(version, bucket(version, action))), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_cve_2024_34486_and_2020_35141_queue_config_is_not_a_message_here(version):
    expect_refusal(message(23, version, 1, pack("!I4xIHHII", 1, 1, 0, 0, 0, 0)), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 0xFFFF])
def test_cve_2024_34487_instruction_of_no_length(version, kind):
    expect_refusal(reply(1, version, flow(version, pack("!HH4x", kind, 0))), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [1, 4, 5, 6, 7, 9, 10, 12, 13, 17])
def test_cve_2024_34488_body_of_no_length(version, kind):
    expect_refusal(reply(kind, version, bytes(64)), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_cve_2020_35139_bundle_property_of_no_length(version):
    expect_refusal(
        message(Type.BUNDLE_CONTROL, version, 1, pack("!IHHHH4x", 1, 1, 0, 0, 0)), version
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_ryu_196_table_features_are_never_asked_for(version):
    expect_refusal(reply(12, version, pack("!H", 72) + bytes(62) + pack("!HH4x", 0, 0)), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", sorted(set(range(256)) - validate.ALLOWED[State.OPEN]))
def test_ryu_188_types_a_switch_may_not_send(version, kind):
    expect_refusal(message(kind, version, 1, bytes(64)), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [8, 9, 0x100, 0xFFFE])
def test_instructions_nobody_knows(version, kind):
    expect_refusal(reply(1, version, flow(version, pack("!HH4x", kind, 8))), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_ryu_189_action_of_no_length_in_an_instruction(version):
    does = pack("!HH4x", 4, 24) + pack("!HHI8x", 0xFFFF, 0, 0x2320)
    expect_refusal(reply(1, version, flow(version, does)), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_cve_2024_28732_match_of_a_lying_length(version):
    for length in (0, 3, 5, 60, 0xFFFF):
        body = bytearray(flow(version, b""))
        at = 48 if version == V14 else 24
        body[at + 2 : at + 4] = pack("!H", length)
        expect_refusal(reply(1, version, bytes(body)), version)


@pytest.mark.parametrize(("kind", "length"), [(3, 0), (3, 4), (0, 7), (99, 5)])
def test_controller_action_whose_property_lies(kind, length):
    userdata = pack("!HH4x", kind, length)
    action = pack("!HHIH6x", 0xFFFF, 24, 0x2320, 37) + userdata
    expect_refusal(reply(1, V15, flow(V15, pack("!HH4x", 4, 32) + action)), V15)


def test_nested_actions_are_bounded():
    action = b""
    for _ in range(50):
        action = pack("!HHIH14x", 0xFFFF, 24 + len(action), 0x2320, 35) + action
    does = pack("!HH4x", 4, 8 + len(action)) + action
    expect_refusal(reply(1, V15, flow(V15, does)), V15)


@pytest.mark.parametrize("state", [State.FEATURES, State.OPEN])
def test_hello_comes_first_and_once(state):
    expect_refusal(message(Type.HELLO, V15, 1, b""), V15, state)


def test_nothing_comes_before_hello():
    for kind in set(range(256)) - {Type.HELLO, Type.ERROR}:
        expect_refusal(message(kind, V15, 1, bytes(64)), V15, State.HELLO)


def test_another_version_is_refused_once_agreed():
    expect_refusal(message(Type.BARRIER_REPLY, V14, 1), V15)


def tcp(option: bytes, port: int = 80, payload: bytes = b"") -> bytes:
    segment = pack("!HHIIBBHHH", 1000, port, 0, 0, 6 << 4, 2, 0, 0, 0) + option + payload
    head = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, b"\1" * 4, b"\2" * 4)
    return bytes.fromhex("0200000000020200000000010800") + head + segment


FRAMES = {
    **{f"tcp option {kind} of no length": tcp(bytes((kind, 0, 0, 0))) for kind in (5, 14, 29, 254)},
    "openflow hello in tcp": tcp(bytes(4), 6653, bytes.fromhex("06000010000000010001000000000000")),
    "openflow header of no length": tcp(bytes(4), 6633, bytes(8)),
    "bgp of no length": tcp(bytes(4), 179, b"\xff" * 16 + bytes(3)),
    "zebra of no length": tcp(bytes(4), 2600, bytes(6)),
    "sctp sack of no length": bytes.fromhex("02000000000202000000000186dd")
    + pack("!IHBB16s16s", 6 << 28, 36, 132, 64, b"\1" * 16, b"\2" * 16)
    + bytes(12)
    + bytes.fromhex("03000000")
    + bytes(20),
    "routing, fragment and authentication headers": bytes.fromhex("02000000000202000000000186dd")
    + pack("!IHBB16s16s", 6 << 28, 32, 43, 64, b"\1" * 16, b"\2" * 16)
    + bytes((44, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0))
    + bytes(16),
}


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_hostile_frames_are_read_without_their_options(name):
    seen = punt.decode(FRAMES[name])
    assert isinstance(seen.network, punt.Ip)


def test_os_ken_parses_nothing_in_this_package():
    """No module calls os-ken's packet library, or a parser of it, on a switch's bytes."""
    folder = Path(vneter_sdn.southbound.openflow.__file__).parent
    # Users' programs may call that library: `packet_guard` bounds it for them, and parses nothing.
    for file in set(folder.glob("*.py")) - {folder / "packet_guard.py"}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("os_ken.lib.packet"), file
            if isinstance(node, ast.Import):
                assert not any(n.name.startswith("os_ken.lib.packet") for n in node.names), file
