# SPDX-License-Identifier: Apache-2.0
"""Has os-ken's packet library end on every frame that hosted programs hand it.

Programs decode what tenants send by ``packet.Packet(msg.data)``. Some of that library's loops never
end on lengths that are zero: options of TCP, chunks of SCTP, and messages of BGP, Zebra and
OpenFlow, for which it takes any TCP segment of their ports. The first two are checked before it
walks them; what is unlawful stays bytes, as it does for a header that is cut short. Segments are
never taken for messages: they seldom are whole ones.
"""

from __future__ import annotations

import struct
from typing import Any

_END, _NOTHING = 0, 1
_SCTP_HEAD, _CHUNK_HEAD = 12, 4
_PARAMETERS = {1: 20, 2: 20, 4: 4, 5: 4, 6: 4, 9: 4}
"""Where parameters or causes begin in a chunk, by its type (RFC 9260 §3.3)."""


def lawful_option(data: bytes) -> bool:
    """Whether the first option of some bytes can be walked over (RFC 9293 §3.1)."""
    if data[0] in (_END, _NOTHING):
        return True
    return len(data) >= 2 and 2 <= data[1] <= len(data)


def lawful_chunks(data: bytes) -> bool:
    """Whether an SCTP packet's chunks, and what is in them, can be walked over (RFC 9260 §3.2)."""
    cursor = _SCTP_HEAD
    while cursor < len(data):
        end = _element_end(data, cursor, len(data))
        begin = cursor + _PARAMETERS.get(data[cursor], end)
        while end and begin < end:
            begin = _padded(_element_end(data, begin, end), begin)
            if not begin:
                return False
        if not end:
            return False
        cursor = _padded(end, cursor)
    return True


def _element_end(data: bytes, at: int, limit: int) -> int:
    """Where a chunk or parameter ends, 0 when it lies: its length is in its second half."""
    if limit - at < _CHUNK_HEAD:
        return 0
    length = struct.unpack_from("!H", data, at + 2)[0]
    return at + length if length >= _CHUNK_HEAD and at + length <= limit else 0


def _padded(end: int, start: int) -> int:
    return end and start + (end - start + 3 & ~3)


def install() -> None:
    """Guard the library of this process, for as long as it lives."""
    from os_ken.lib.packet import sctp, tcp

    option, chunks = tcp.TCPOption.parser, sctp.sctp.parser.__func__

    def guarded_option(_cls: Any, data: bytes) -> Any:
        if not lawful_option(bytes(data)):
            raise struct.error("an option whose length lies")
        parsed, rest = option(data)
        if len(rest) >= len(data):
            raise struct.error("an option without end")
        return parsed, rest

    def guarded_chunks(cls: Any, data: bytes) -> Any:
        if not lawful_chunks(bytes(data)):
            raise struct.error("a chunk whose length lies")
        return chunks(cls, data)

    tcp.TCPOption.parser = classmethod(guarded_option)
    tcp.tcp.get_payload_type = staticmethod(lambda _source, _target: None)
    sctp.sctp.parser = classmethod(guarded_chunks)
