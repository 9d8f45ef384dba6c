# SPDX-License-Identifier: Apache-2.0
"""Sockets of the core's OVSDB sessions."""

import eventlet
from eventlet.green import socket

from vneter_sdn.daemon.sessions import GREEN


def test_a_number_that_somebody_still_waits_on_can_be_used_again():
    forgotten, other = socket.socketpair()
    number = forgotten.fileno()

    def wait():
        try:
            return forgotten.recv(1)
        except EOFError:
            return "woken"

    waiter = eventlet.spawn(wait)
    eventlet.sleep(0)
    forgotten.close()
    pair = GREEN.sockets.socketpair()
    assert number in [one.fileno() for one in pair]
    assert GREEN.select(pair, [], [], 0.01) == ([], [], [])
    assert waiter.wait() == "woken"
    for one in (*pair, other):
        one.close()
