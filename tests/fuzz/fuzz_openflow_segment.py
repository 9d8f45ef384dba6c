# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to TCP as gateways speak it: a segment or DecodeError, and never a crash.

Run as ``python tests/fuzz/fuzz_openflow_segment.py -runs=100000``.
"""

import contextlib
import sys
from ipaddress import ip_address

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.edge.streams import Ends, Streams
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.model.snapshot import Key
    from vneter_sdn.southbound.openflow import segment

OWN, GATEWAY = ip_address("10.0.0.9"), ip_address("10.0.0.1")
HEAD = segment.written(segment.Segment(9, 1, OWN, GATEWAY, 4711, 53, 1, 1, 0, 0))[:46]
ENDS = Ends(Key("Endpoint", "red", "a"), OWN, 4711, GATEWAY)
STEP = 12
"""Octets that a segment of a conversation is made of: place, acknowledgement, flags and window."""


def target(data: bytes) -> None:
    """One input, as a frame, as the end of one, and as a conversation."""
    for frame in (data, HEAD + data):
        with contextlib.suppress(DecodeError):
            segment.is_segment(frame)
            said = segment.read(frame)
            assert segment.read(segment.written(said)) == said
    server = Streams(lambda: 0)
    for now in range(0, len(data) - STEP, STEP):
        at, answered, flags, size = (data[now + n] for n in range(4))
        rest = (at, answered, flags & 0x3F, data[now + 4] << 8)
        payload = data[now + 5 : now + 5 + size % 40]
        said = segment.Segment(9, 1, OWN, GATEWAY, 4711, 53, *rest, payload)
        for question in server.heard(ENDS, said, now / 8).questions:
            server.said(ENDS, question * 9, now / 8)
        list(server.due(now / 8))
    assert len(server) <= 1


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
