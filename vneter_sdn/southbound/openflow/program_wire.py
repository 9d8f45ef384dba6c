# SPDX-License-Identifier: Apache-2.0
"""The connections of hosted programs: os-ken's datapath, fed with validated messages only.

os-ken's handshake, app model and encoder are used as they are. Its listener is not: ours listens
where it is told (loopback unless asked), outlives exhausted descriptors, and closes peers that fall
silent. What the validator refuses is told and left out.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import eventlet
from os_ken.controller import controller as stock
from os_ken.controller import ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, HANDSHAKE_DISPATCHER
from os_ken.ofproto import ofproto_parser

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import program_laws
from vneter_sdn.southbound.openflow.tally import Complaints
from vneter_sdn.southbound.openflow.wire import HEADER

_LOG = logging.getLogger(__name__)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_CHUNK = 1 << 16
_BREATH = 256
"""Messages of one switch after which others get a turn."""
_complaints = Complaints(_LOG)


class GuardedDatapath(stock.Datapath):
    """os-ken's datapath, whose parsers see only what is lawful."""

    def _recv_loop(self) -> None:
        count = 0
        try:
            for message in messages(self._chunks()):
                self._receive(message)
                count += 1
                if count % _BREATH == 0:
                    eventlet.sleep(0)
        except DecodeError as lie:
            self._complain(f"closed: {lie}")
        finally:
            self.socket.close()

    def _chunks(self) -> Iterator[bytes]:
        while self.state != DEAD_DISPATCHER:
            try:
                data = self.socket.recv(_CHUNK)
            except TimeoutError:
                continue
            except (EOFError, OSError):
                return
            if not data:
                return
            yield data

    def _receive(self, message: bytes) -> None:
        greeting = self.state == HANDSHAKE_DISPATCHER
        try:
            program_laws.check(message, None if greeting else self.ofproto.OFP_VERSION)
        except DecodeError as lie:
            if greeting:
                raise
            self._complain(f"left out: {lie}")
            return
        version, kind, length, xid = HEADER.unpack_from(message)
        parsed = ofproto_parser.msg(self, version, kind, length, xid, message)
        if parsed is None or self.ofp_brick is None:
            return
        event = ofp_event.ofp_msg_to_ev(parsed)
        self.ofp_brick.send_event_to_observers(event, self.state)
        for handler in self.ofp_brick.get_handlers(event):
            if self.state in handler.callers[event.__class__].dispatchers:
                handler(event)

    def _complain(self, text: str) -> None:
        _complaints.say(f"switch at {self.address}", text, text, logging.WARNING)


def messages(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """OpenFlow messages out of a byte stream.

    Raises:
        DecodeError: a length below eight; the stream is then lost.
    """
    rest = b""
    for chunk in chunks:
        rest += chunk
        cursor = 0
        while len(rest) - cursor >= 8:
            length = HEADER.unpack_from(rest, cursor)[2]
            if length < 8:
                raise DecodeError(f"message of {length} bytes", cursor)
            if len(rest) - cursor < length:
                break
            yield rest[cursor : cursor + length]
            cursor += length
        rest = rest[cursor:]


class Doors:
    """In place of os-ken's ``OpenFlowController``: accepts switches on sockets that listen."""

    def __init__(self, sockets: Sequence[Any]) -> None:
        self._sockets = sockets

    def __call__(self) -> None:
        """Accept until killed."""
        threads = [eventlet.spawn(self._accept, one) for one in self._sockets]
        for thread in threads:
            thread.wait()

    def _accept(self, listening: Any) -> None:
        while True:
            try:
                sock, address = listening.accept()
            except OSError as failed:
                if failed.errno == errno.EBADF:
                    return
                _complaints.say("listener", str(failed.errno), str(failed), logging.WARNING)
                eventlet.sleep(0.1 if failed.errno in _EXHAUSTED else 0.01)
                continue
            eventlet.spawn(_serve, sock, address)


def _serve(sock: Any, address: Any) -> None:
    with closing(GuardedDatapath(sock, address)) as datapath:
        try:
            datapath.serve()
        except Exception:  # noqa: BLE001 - a program is anybody's code
            _LOG.exception("the connection of the switch at %s failed", address)
