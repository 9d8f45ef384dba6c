# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the door of the REST server: a request, or a refusal; never trust.

Run as ``python tests/fuzz/fuzz_northbound_wire.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["h11", "vneter_sdn.northbound"]):
    import h11

    from vneter_sdn.errors import Throttled, Unauthenticated
    from vneter_sdn.northbound.access.doorkeeper import Doorkeeper
    from vneter_sdn.northbound.access.gate import foreign_name, welcome
    from vneter_sdn.northbound.access.identity import NOBODY, grants_from
    from vneter_sdn.northbound.wire.gateway import Head, Peer, environ_of
    from vneter_sdn.northbound.wire.heads import MAX_HEADER, Refusal, head_of
    from vneter_sdn.store.memory import MemoryStore

PEER = Peer("192.0.2.1", trusted=False, secured=True)
DOORKEEPER = Doorkeeper(MemoryStore())


def target(data: bytes) -> None:
    """One input: the octets of a connection, and then parts of a head, each on its line."""
    text = data.decode("latin-1")
    grants_from(text)
    words = [*text.split("\n"), "/", ""]
    names = ("host", "origin", "authorization", "x-vneter-identity", *words[1::2])
    judged(Head("GET", words[0], "1.1", tuple(zip(names, words[1:], strict=False))))
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER)
    http.receive_data(data)
    with contextlib.suppress(h11.RemoteProtocolError, Refusal):
        event = http.next_event()
        if isinstance(event, h11.Request):
            judged(head_of(event))


def judged(head: Head) -> None:
    """Nobody becomes anybody."""
    with contextlib.suppress(Unauthenticated, Throttled, ValueError):
        environ = environ_of(head, PEER)
        foreign_name(environ)
        assert welcome(DOORKEEPER, environ) is NOBODY


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
