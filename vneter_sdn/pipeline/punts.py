# SPDX-License-Identifier: Apache-2.0
"""What the user data of a punted packet says: all that its answer needs besides the packet.

The first octet is the reason. What the router cannot forward: see `complaints`.
A discovery frame (LLDP), and one to learn endpoints from, says all there is in itself: its user
data is the reason alone. An answer of DNS has the tenant's number (4 octets) and the port that it
is to leave by (2 octets) after it. What a policy decided::

    octet   0        1        2     3         4 .. 7     8 .. 11
          +--------+--------+-----+---------+----------+--------+
          | reason | wanted | way | verdict |  tenant  |  rule  |   wanted: 1 an answer, 2 a line
          +--------+--------+-----+---------+----------+--------+

A question to the edge of the network, from an endpoint that is known by the port it came by::

    octet   0        1         2 .. 3   4 .. 7   8 .. 13
          +--------+---------+--------+--------+--------+
          | reason | service |  port  |  VNI   |  MAC   |   the endpoint's own, whatever it wrote
          +--------+---------+--------+--------+--------+
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Meter
from vneter_sdn.model.policy_kinds import Direction, Verdict
from vneter_sdn.pipeline import complaints
from vneter_sdn.pipeline.complaints import Complaint
from vneter_sdn.pipeline.reserved import METERS, answer_meter, naming_meter, serving_meter

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
REJECT_METER = METERS.start + 3
"""Limits the packets that are answered with a refusal."""
REJECT_RATE, REJECT_BURST = 200, 200
"""Packets per second, and packets at once."""
REJECT_LENGTH = 576
"""Octets of such a packet that are punted: as much as an answer may quote (RFC 1812 §4.3.2.3)."""
AUDIT_METER = METERS.start + 4
"""Limits the packets that audit lines are written of."""
AUDIT_RATE, AUDIT_BURST = 500, 500
"""Packets per second, and packets at once."""
AUDIT_LENGTH = 192
"""Octets of such a packet that are punted: the headers, with room for extensions of IPv6."""
NAMES_RATE, NAMES_BURST = 50, 100
"""Answers of DNS to one endpoint that are looked at, per second, and at once. What is more is lost
while answers are held back, as on a line that is full: resolvers ask again."""
NAMES_LENGTH = 9216
"""Octets of such an answer that are punted: all of it, in the longest frames that are in use."""
SERVING_RATE, SERVING_BURST = 20, 40
"""Questions of one endpoint about its configuration that are answered, per second, and at once."""
NAMING_RATE, NAMING_BURST = 100, 200
"""The same of questions about names: by a meter of their own, so that they cost no lease."""
ASKED_LENGTH = 2048
"""Octets of a question that are punted: all of it, in frames of the usual size."""
LLDP, LEARN, DECIDED, NAMES, ASKED = 2, 3, 4, 5, 6
_DECIDED, _NAMES, _ASKED = Struct("!BBBBII"), Struct("!BIH"), Struct("!BBHI6s")
_WAYS: tuple[Direction, ...] = ("egress", "ingress")
_VERDICTS: tuple[Verdict, ...] = ("allow", "drop", "reject")


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


@dataclass(frozen=True, slots=True)
class Decided:
    """A packet that a policy decided about, of which more is wanted than that."""

    way: Direction
    verdict: Verdict
    """Never ``pass``."""
    tenant: int
    """Its number."""
    rule: int
    """The number of the rule, or of what decided for want of one (`registers.RULE`)."""
    answer: bool = False
    """Whether the sender is to be told that it was refused."""
    log: bool = False
    """Whether a line of the audit log is wanted."""

    def encode(self) -> bytes:
        """The user data."""
        wanted = self.answer | self.log << 1
        way, verdict = _WAYS.index(self.way), _VERDICTS.index(self.verdict)
        return _DECIDED.pack(DECIDED, wanted, way, verdict, self.tenant, self.rule)


@dataclass(frozen=True, slots=True)
class Names:
    """An answer of DNS to an endpoint that rules about names are about."""

    tenant: int
    """Its number."""
    port: int
    """The OpenFlow port of the endpoint."""

    def encode(self) -> bytes:
        """The user data."""
        return _NAMES.pack(NAMES, self.tenant, self.port)

    @property
    def meter(self) -> Meter:
        """What limits answers to this endpoint."""
        return Meter(answer_meter(self.port), NAMES_RATE, NAMES_BURST)


class Service(IntEnum):
    """What an endpoint may ask the edge of its network for."""

    DHCP = 1
    """DHCP for IPv4 (RFC 2131)."""
    DNS = 2
    """Names, asked of the gateway (RFC 1035)."""
    DHCPV6 = 3
    """RFC 8415."""
    ROUTER = 4
    """A router solicitation (RFC 4861 §4.1)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An endpoint asks the edge of its network for something."""

    service: Service
    port: int
    """The OpenFlow port of the endpoint."""
    vni: int
    """Of its network."""
    mac: int
    """Its own."""

    def encode(self) -> bytes:
        """The user data."""
        mac = self.mac.to_bytes(6, "big")
        return _ASKED.pack(ASKED, self.service, self.port, self.vni, mac)

    @property
    def meter(self) -> Meter:
        """What limits such questions of this endpoint, so that a flood starves nobody else."""
        if self.service is Service.DNS:
            return Meter(naming_meter(self.port), NAMING_RATE, NAMING_BURST)
        return Meter(serving_meter(self.port), SERVING_RATE, SERVING_BURST)


Reason = Complaint | Discovery | Learning | Decided | Names | Asked
_SERVICES = frozenset(Service)


def decode(userdata: bytes) -> Reason:
    """Read user data.

    Raises:
        DecodeError: it is not what an ``encode`` here writes.
    """
    if userdata == bytes([LLDP]):
        return Discovery()
    if userdata == bytes([LEARN]):
        return Learning()
    if userdata[:1] == bytes([NAMES]) and len(userdata) == _NAMES.size:
        return Names(*_NAMES.unpack(userdata)[1:])
    if userdata[:1] == bytes([DECIDED]):
        return _decided(userdata)
    if userdata[:1] == bytes([ASKED]):
        return _asked(userdata)
    if userdata[:1] == bytes([complaints.REASON]):
        return complaints.decode(userdata)
    raise DecodeError("unknown reason of a punt")


def _decided(userdata: bytes) -> Decided:
    if len(userdata) != _DECIDED.size:
        raise DecodeError("punt of a wrong length", len(userdata))
    _, wanted, way, verdict, tenant, rule = _DECIDED.unpack(userdata)
    if wanted > 3 or way >= len(_WAYS) or verdict >= len(_VERDICTS):
        raise DecodeError("unknown decision of a punt")
    return Decided(_WAYS[way], _VERDICTS[verdict], tenant, rule, bool(wanted & 1), bool(wanted & 2))


def _asked(userdata: bytes) -> Asked:
    if len(userdata) != _ASKED.size:
        raise DecodeError("punt of a wrong length", len(userdata))
    _, service, port, vni, mac = _ASKED.unpack(userdata)
    if service not in _SERVICES:
        raise DecodeError("unknown service of a punt")
    return Asked(Service(service), port, vni, int.from_bytes(mac, "big"))
