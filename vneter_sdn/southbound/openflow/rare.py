# SPDX-License-Identifier: Apache-2.0
"""Messages that are rare enough to be built by os-ken.

os-ken serialises well and parses badly (its parsers hang on lying lengths), so it is used in one
direction only: nothing here takes bytes from a switch.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from vneter_sdn.southbound.openflow.wire import V14, V15

_SUFFIX = {V14: "v1_4", V15: "v1_5"}


class Datapath:
    """As much of os-ken's datapath as its message classes look at."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.ofproto: ModuleType = import_module(f"os_ken.ofproto.ofproto_{_SUFFIX[version]}")
        self.ofproto_parser: ModuleType = import_module(
            f"os_ken.ofproto.ofproto_{_SUFFIX[version]}_parser"
        )


@cache
def datapath(version: int) -> Datapath:
    """The stand-in of a version."""
    return Datapath(version)


def serialize(msg: Any, xid: int) -> bytes:
    """An os-ken message as bytes."""
    msg.set_xid(xid)
    msg.serialize()
    return bytes(msg.buf)


def role_request(role: int, generation: int, version: int, xid: int) -> bytes:
    """Ask for a role; a switch refuses a generation id older than it knows (§7.3.8)."""
    stand_in = datapath(version)
    parser = stand_in.ofproto_parser
    if version == V14:
        return serialize(parser.OFPRoleRequest(stand_in, role, generation), xid)
    return serialize(parser.OFPRoleRequest(stand_in, role, _NO_SHORT_ID, generation), xid)


_NO_SHORT_ID = 0
"""OFPCID_UNDEFINED."""
_EVENTS = (
    ("PACKET_IN", 0b111111),
    ("PORT_STATUS", 0b111),
    ("FLOW_REMOVED", 0b111111),
    ("ROLE_STATUS", 0b111),
)


def set_async(version: int, xid: int, *, slave_ports: bool = True) -> bytes:
    """Ask for packets, port, flow and role events as master; ports only as slave (§7.3.10)."""
    stand_in = datapath(version)
    ofproto, parser = stand_in.ofproto, stand_in.ofproto_parser
    properties = []
    for name, mask in _EVENTS:
        as_slave = mask if slave_ports and name in ("PORT_STATUS", "ROLE_STATUS") else 0
        for side, bits in (("SLAVE", as_slave), ("MASTER", mask)):
            kind = getattr(ofproto, f"OFPACPT_{name}_{side}")
            properties.append(parser.OFPAsyncConfigPropReasons(kind, 8, bits))
    return serialize(parser.OFPSetAsync(stand_in, properties), xid)
