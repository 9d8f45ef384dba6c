# SPDX-License-Identifier: Apache-2.0
"""Cut a byte stream into OpenFlow messages (OpenFlow 1.5.1 §7.1.1)."""

from __future__ import annotations

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow.wire import U16, Type


class Framer:
    """Bytes in, complete messages out; holds less than one message (64 KiB) between calls.

    ``version`` is the negotiated one, None before that. HELLO and ERROR may carry any version
    (§6.3.1), other messages none but the negotiated.
    """

    def __init__(self, version: int | None = None) -> None:
        self.version = version
        self._rest = b""
        self._broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was received, give the messages it completes.

        Raises:
            DecodeError: a length below eight or a wrong version; the stream is then lost, and
                every later call raises too.
        """
        if self._broken:
            raise DecodeError("stream already broken")
        buffer = self._rest + data if self._rest else data
        messages, cursor, size = [], 0, len(buffer)
        while size - cursor >= 8:
            length = U16.unpack_from(buffer, cursor + 2)[0]
            self._check(buffer, cursor, length)
            if size - cursor < length:
                break
            messages.append(bytes(buffer[cursor : cursor + length]))
            cursor += length
        self._rest = bytes(buffer[cursor:])
        return messages

    def _check(self, buffer: bytes, cursor: int, length: int) -> None:
        version, kind = buffer[cursor], buffer[cursor + 1]
        if length < 8:
            self._broken = True
            raise DecodeError(f"message of {length} bytes", cursor)
        if self.version is None and kind not in (Type.HELLO, Type.ERROR):
            self._broken = True
            raise DecodeError(f"message type {kind} before a version is agreed", cursor)
        if self.version not in (None, version) and kind not in (Type.HELLO, Type.ERROR):
            self._broken = True
            raise DecodeError(f"version {version:#x}, agreed was {self.version:#x}", cursor)

    @property
    def pending(self) -> int:
        """Bytes of an incomplete message held back."""
        return len(self._rest)
