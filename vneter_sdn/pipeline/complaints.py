# SPDX-License-Identifier: Apache-2.0
"""What the user data says of a packet that the distributed router cannot forward.

::

    octet   0        1        2 .. 7         8 .. 11  12 .. 15  16, 17   18 ..
          +--------+-------+-------------+---------+---------+-------+-----------------+
          | reason | fault | gateway MAC | tenant  | network |  MTU  | gateway address |
          +--------+-------+-------------+---------+---------+-------+-----------------+

The gateway is that of the network which the packet is in when it fails: where it came from, or, of
`Fault.NOBODY`, where it was to be delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.addresses import IPAddress
from vneter_sdn.model.flow import Meter
from vneter_sdn.pipeline.reserved import METERS, complaint_meter

REASON = 1
"""First octet of the user data."""
COMPLAINT_METER = METERS.start
"""Limits what a bridge complains of, of packets of its own endpoints."""
COMPLAINT_RATE, COMPLAINT_BURST = 1000, 1000
"""Packets per second, and packets at once."""
ABSENT_METER = METERS.start + 5
"""Limits what a bridge complains of that is for nobody: who sends it may be elsewhere."""
ABSENT_RATE, ABSENT_BURST = 100, 100
"""Packets per second, and packets at once."""
ENDPOINT_RATE, ENDPOINT_BURST = 50, 200
"""The same of one endpoint, so that it starves no other: what ten traceroutes send at once."""
_HEAD = Struct("!BB6sIIH")


class Fault(IntEnum):
    """Why a packet cannot be forwarded; also the value of the register `registers.COMPLAINT`."""

    EXPIRED = 1
    """It had no hop left."""
    NO_ROUTE = 2
    """No network of the tenant has its address."""
    NOBODY = 3
    """A network has its address, and nobody in it."""
    GATEWAY = 4
    """It is for the gateway itself, which takes nothing but what flows answer."""
    TOO_LONG = 5
    """It is longer than the network takes that it is for."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A packet that cannot be forwarded, and who tells its sender."""

    fault: Fault
    gateway: IPAddress
    """Of the network it failed in, in the packet's family: who the answer is from."""
    gateway_mac: int
    tenant: int
    """Number of the tenant."""
    vni: int
    """Of the network that it failed in."""
    mtu: int = 0
    """Of the network it is for, if it is too long for that."""

    def encode(self) -> bytes:
        """The user data."""
        mac = self.gateway_mac.to_bytes(6, "big")
        head = _HEAD.pack(REASON, self.fault, mac, self.tenant, self.vni, self.mtu)
        return head + self.gateway.packed

    @property
    def length(self) -> int:
        """Octets that are punted: all that an answer may quote (RFC 1812 §4.3.2.3, RFC 4443)."""
        return 14 + (576 if self.gateway.version == 4 else 1280)

    @property
    def meter(self) -> int:
        """What limits such complaints of a bridge."""
        return ABSENT_METER if self.fault is Fault.NOBODY else COMPLAINT_METER


def of_endpoint(port: int) -> Meter:
    """What limits what is answered to the endpoint at a port."""
    return Meter(complaint_meter(port), ENDPOINT_RATE, ENDPOINT_BURST)


def decode(userdata: bytes) -> Complaint:
    """Read user data.

    Raises:
        DecodeError: it is not what `Complaint.encode` writes.
    """
    if len(userdata) - _HEAD.size not in (4, 16):
        raise DecodeError("punt of a wrong length", len(userdata))
    _, fault, mac, tenant, vni, mtu = _HEAD.unpack_from(userdata)
    if fault not in _FAULTS:
        raise DecodeError("unknown fault of a packet", 1)
    gateway = ip_address(userdata[_HEAD.size :])
    return Complaint(Fault(fault), gateway, int.from_bytes(mac, "big"), tenant, vni, mtu)


_FAULTS = frozenset(Fault)
EVERY_BRIDGE = (
    Meter(COMPLAINT_METER, COMPLAINT_RATE, COMPLAINT_BURST),
    Meter(ABSENT_METER, ABSENT_RATE, ABSENT_BURST),
)
"""Meters that each bridge has."""
