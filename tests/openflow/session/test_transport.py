# SPDX-License-Identifier: Apache-2.0
"""Closing a stream wakes whoever waits on it, so that nobody waits on a number used again."""

import eventlet
import pytest
from eventlet.green import socket
from eventlet.hubs import get_hub

from vneter_sdn.southbound.openflow.transport import PlainStream


def test_closing_wakes_whoever_receives():
    ours, theirs = socket.socketpair()
    stream = PlainStream(ours)
    number = ours.fileno()
    reader = eventlet.spawn(stream.receive)
    eventlet.sleep(0)
    stream.close()
    assert number not in get_hub().listeners["read"]
    with eventlet.Timeout(30):
        assert reader.wait() == b""
    stream.close()
    theirs.close()


def test_closing_wakes_whoever_sends():
    ours, theirs = socket.socketpair()
    stream = PlainStream(ours)

    def fill():
        while True:
            stream.send(bytes(1 << 16))

    writer = eventlet.spawn(fill)
    eventlet.sleep(0)
    stream.close()
    with eventlet.Timeout(30), pytest.raises(OSError, match="closed"):
        writer.wait()
    theirs.close()
