# SPDX-License-Identifier: Apache-2.0
"""Link layer discovery frames that say where they left, and prove that we made them.

::

    Ethernet  01:80:c2:00:00:0e, type 0x88cc                       IEEE 802.1AB §8
    TLV 1     chassis id, locally assigned: ``dpid:`` and 16 hexadecimal digits
    TLV 2     port id, port component: the OpenFlow port, 4 octets
    TLV 3     time to live, seconds
    TLV 127   organisation 00:23:20, subtype 0x76:
              octet  0         8            16           24            40
                    +---------+------------+------------+-------------+
                    |  epoch  |  sequence  |  sent, ns  |   digest    |
                    +---------+------------+------------+-------------+
    TLV 0     end

The digest is HMAC-SHA256 (RFC 2104), its first 16 octets, over every octet from TLV 1 up to it, so
over the datapath id and the port too. The epoch names the key, which lives as long as a controller.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from vneter_sdn.southbound.openflow.wire import U16, U32, need

ETH_LLDP = 0x88CC
EPOCH_OCTETS, DIGEST_OCTETS = 8, 16
MAX_TLVS = 32
"""More than any sender writes; a frame with more is malformed."""
TTL = 120
_DESTINATION = bytes.fromhex("0180c200000e")
_CHASSIS, _PORT, _TTL, _ORGANISATION, _END = 1, 2, 3, 127, 0
_LOCAL, _COMPONENT = b"\x07", b"\x02"
_OURS = bytes.fromhex("00232076")
_BODY = Struct(f"!{EPOCH_OCTETS}sQQ")


class Probe(NamedTuple):
    """What one frame says."""

    dpid: int
    """Datapath id of the bridge it left."""
    port: int
    """OpenFlow port it left by."""
    epoch: bytes
    """Names the key; `EPOCH_OCTETS` octets."""
    sequence: int
    """Never used twice with one key."""
    sent: int
    """Nanoseconds on the sender's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A frame in our form, not believed yet."""

    probe: Probe
    covered: bytes
    digest: bytes

    def genuine(self, key: bytes) -> bool:
        """Whether it was made with a key; takes as long for a near miss as for any other."""
        return hmac.compare_digest(self.digest, _digest(self.covered, key))


def encode(probe: Probe, key: bytes, mac: int = 0x0200_0000_0076) -> bytes:
    """The frame of a probe, 94 octets; ``mac`` is its Ethernet source."""
    covered = b"".join(
        (
            _tlv(_CHASSIS, _LOCAL + b"dpid:%016x" % probe.dpid),
            _tlv(_PORT, _COMPONENT + U32.pack(probe.port)),
            _tlv(_TTL, U16.pack(TTL)),
            U16.pack(_ORGANISATION << 9 | len(_OURS) + _BODY.size + DIGEST_OCTETS),
            _OURS,
            _BODY.pack(probe.epoch, probe.sequence, probe.sent),
        )
    )
    head = _DESTINATION + mac.to_bytes(6, "big") + U16.pack(ETH_LLDP)
    return head + covered + _digest(covered, key) + _tlv(_END)


def decode(frame: bytes) -> Signed | None:
    """A frame in our form; None for the discovery frame of somebody else.

    Raises:
        DecodeError: not a discovery frame, a length that lies, or ours with anything amiss.
    """
    need(len(frame) >= 14 and U16.unpack_from(frame, 12)[0] == ETH_LLDP, "no LLDP frame", 12)
    found: list[tuple[int, bytes]] = []
    ours = 0
    for kind, start, end in _tlvs(frame):
        found.append((kind, frame[start:end]))
        if kind == _ORGANISATION and frame[start : start + len(_OURS)] == _OURS:
            ours = end
    if not ours:
        return None
    kinds = [kind for kind, _ in found]
    need(kinds == [_CHASSIS, _PORT, _TTL, _ORGANISATION, _END], "TLVs of a probe", 14)
    chassis, port, _, body, _ = (value for _, value in found)
    need(len(body) == len(_OURS) + _BODY.size + DIGEST_OCTETS, "probe length", ours)
    need(port[:1] == _COMPONENT and len(port) == 5, "port id", 14)
    epoch, sequence, sent = _BODY.unpack_from(body, len(_OURS))
    probe = Probe(_dpid(chassis), U32.unpack_from(port, 1)[0], epoch, sequence, sent)
    signed_to = ours - DIGEST_OCTETS
    return Signed(probe, frame[14:signed_to], frame[signed_to:ours])


def _dpid(chassis: bytes) -> int:
    """The number in ``dpid:…``, in the one way `encode` writes it."""
    digits = chassis[6:]
    need(chassis[:6] == _LOCAL + b"dpid:" and len(digits) == 16, "chassis id", 14)
    need(all(octet in b"0123456789abcdef" for octet in digits), "chassis id", 14)
    return int(digits, 16)


def _tlv(kind: int, value: bytes = b"") -> bytes:
    return U16.pack(kind << 9 | len(value)) + value


def _tlvs(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start, end of value) up to the end TLV, which has to be there (802.1AB §8.5)."""
    cursor = 14
    for _ in range(MAX_TLVS):
        need(len(frame) - cursor >= 2, "truncated TLV", cursor)
        head = U16.unpack_from(frame, cursor)[0]
        start, end = cursor + 2, cursor + 2 + (head & 0x1FF)
        need(end <= len(frame), "TLV beyond its frame", cursor)
        yield head >> 9, start, end
        if head >> 9 == _END:
            need(head == 0, "end TLV with a value", cursor)
            return
        cursor = end
    need(False, "too many TLVs", cursor)


def _digest(covered: bytes, key: bytes) -> bytes:
    return hmac.digest(key, covered, "sha256")[:DIGEST_OCTETS]
