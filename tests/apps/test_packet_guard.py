# SPDX-License-Identifier: Apache-2.0
"""os-ken's packet library, guarded, ends on frames that lie; in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.southbound.openflow.packet_guard import lawful_chunks, lawful_option

_SCRIPT = """
import logging, os, random, signal, struct, sys, warnings
warnings.simplefilter("ignore")
os.environ["OSKEN_HUB_TYPE"] = "eventlet"
logging.disable(logging.CRITICAL)
from vneter_sdn.southbound.openflow import packet_guard
if sys.argv[1] == "guarded":
    packet_guard.install()
from os_ken.lib.packet import packet

def late(*_):
    print("HANGS", frame.hex(), flush=True)
    os._exit(1)

signal.signal(signal.SIGALRM, late)
ETHERNET = bytes.fromhex("020000000001 020000000002 0800")

def ip(protocol, body):
    size, ends = 20 + len(body), (b"1234", b"5678")
    return ETHERNET + struct.pack("!BBHHHBBH4s4s", 69, 0, size, 1, 0, 64, protocol, 0, *ends) + body

def tcp(source, target, options=b"", body=b""):
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIBBHHH", source, target, 0, 0, words << 4, 2, 9, 0, 0)
    return ip(6, head + options + body)

def chunk(kind, body=b"", length=None):
    return struct.pack("!BBH", kind, 0, 4 + len(body) if length is None else length) + body

def sctp(*chunks):
    return ip(132, struct.pack("!HHII", 1, 2, 3, 0) + b"".join(chunks))

SACK = struct.pack("!IIHH", 1, 2, 1, 1) + bytes(8)
ERROR = struct.pack("!HH4x", 1, 8)
frames = [tcp(1, 2, bytes([kind, 0, 0, 0])) for kind in range(256)]
frames += [tcp(1, 2, bytes([5, 10, *range(8), 1, 1])), tcp(1, 2, bytes([2, 4, 5, 180]))]
hello = bytes.fromhex("0400001000000013 0001000000000010")
frames += [tcp(port, 9, body=body) for port in (179, 2600, 6653, 6633) for body in
           (hello, bytes(40), b"\\xff" * 16 + bytes(24), bytes.fromhex("04000000") + bytes(12))]
frames += [sctp(chunk(kind, body, length)) for kind in range(16)
           for body in (b"", SACK, ERROR, bytes(40)) for length in (None, 0, 1, 4, 8, 200)]
draw = random.Random(1)
for _ in range(int(sys.argv[2])):
    made = bytearray(draw.choice(frames))
    for _ in range(draw.randrange(1, 4)):
        made[draw.randrange(34, len(made))] = draw.choice((0, 1, 4, 8, 255, draw.randrange(256)))
    frames.append(bytes(made))
for frame in frames:
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        found = packet.Packet(frame)
    except Exception:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
option = packet.Packet(tcp(1, 2, bytes([2, 4, 5, 180]))).protocols[-1].option
print("ENDS", len(frames), option[0].max_seg_size)
"""


def run(mode: str, count: int) -> str:
    argv = [sys.executable, "-c", _SCRIPT, mode, str(count)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_every_frame_is_decoded_to_its_end():
    assert run("guarded", 5000).endswith("1460\n")


def test_it_would_not_without_the_guard():
    assert "HANGS" in run("bare", 0)


@given(st.binary(min_size=1, max_size=40))
def test_options_are_decided_about(data):
    assert lawful_option(data) == (data[0] < 2 or (len(data) > 1 and 2 <= data[1] <= len(data)))


@given(st.binary(max_size=80))
def test_chunks_are_decided_about(data):
    assert lawful_chunks(data) in (True, False)


@pytest.mark.parametrize(
    ("chunks", "lawful"),
    [
        ("", True),
        ("0e000004", True),
        ("0e000000", False),
        ("0e000008", False),
        ("0900000c 0001000800000000", True),
        ("0900000c 0001000000000000", False),
        ("0900000c 0001002000000000", False),
        ("0e0000", False),
    ],
)
def test_chunks_and_what_is_in_them(chunks, lawful):
    assert lawful_chunks(bytes(12) + bytes.fromhex(chunks)) is lawful
