# SPDX-License-Identifier: Apache-2.0
"""What the user data of a punted packet says: all that its answer needs besides the packet.

::

    octet   0         1 .. 6         7 ..
          +--------+--------------+------------------+
          | reason | gateway MAC  | gateway address  |   4 octets (IPv4) or 16 (IPv6)
          +--------+--------------+------------------+

A discovery frame (LLDP), and one to learn endpoints from, says all there is in itself: its user
data is the reason alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.pipeline.reserved import METERS

PUNT_METER = METERS.start
"""Limits what a bridge may punt, discovery frames apart."""
PUNT_RATE, PUNT_BURST = 100, 100
"""Packets per second, and packets at once."""
LLDP_METER = METERS.start + 1
"""Limits the discovery frames a bridge may punt, so that a flood of them silences nothing else."""
LLDP_RATE, LLDP_BURST = 400, 400
"""Packets per second, and packets at once."""
LLDP_LENGTH = 512
"""Octets of a discovery frame that are punted; ours are shorter."""
LEARN_METER = METERS.start + 2
"""Limits the frames that endpoints are learned from."""
LEARN_RATE, LEARN_BURST = 200, 200
"""Packets per second, and packets at once."""
LEARN_LENGTH = 128
"""Octets of such a frame that are punted: all of ARP, and the headers of others."""
TTL_EXPIRED, LLDP, LEARN = 1, 2, 3
_LENGTHS = (1 + 6 + 4, 1 + 6 + 16)


@dataclass(frozen=True, slots=True)
class TtlExpired:
    """A packet to be routed had no hop left: send time exceeded (RFC 792, RFC 4443 §3.3)."""

    gateway: IPAddress
    """Of the network the packet came from, in the packet's family: who the answer is from."""
    gateway_mac: int

    def encode(self) -> bytes:
        """The user data."""
        return bytes([TTL_EXPIRED]) + self.gateway_mac.to_bytes(6, "big") + self.gateway.packed


@dataclass(frozen=True, slots=True)
class Discovery:
    """An LLDP frame (IEEE 802.1AB) from a port that is no endpoint's."""

    def encode(self) -> bytes:
        """The user data."""
        return bytes([LLDP])


@dataclass(frozen=True, slots=True)
class Learning:
    """A frame that says who is behind a port, or asks for somebody nobody knows of yet."""

    def encode(self) -> bytes:
        """The user data."""
        return bytes([LEARN])


def decode(userdata: bytes) -> TtlExpired | Discovery | Learning:
    """Read user data.

    Raises:
        DecodeError: it is not what an ``encode`` here writes.
    """
    if userdata == bytes([LLDP]):
        return Discovery()
    if userdata == bytes([LEARN]):
        return Learning()
    if not userdata or userdata[0] != TTL_EXPIRED:
        raise DecodeError("unknown reason of a punt")
    if len(userdata) not in _LENGTHS:
        raise DecodeError("punt of a wrong length", len(userdata))
    return TtlExpired(ip_address(userdata[7:]), int.from_bytes(userdata[1:7], "big"))
