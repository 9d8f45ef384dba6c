# SPDX-License-Identifier: Apache-2.0
"""Every bit a packet carries through a bridge besides its headers, by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.flow import Copy, OutputField, SetField


@dataclass(frozen=True, slots=True)
class RegisterField:
    """Some bits of one register."""

    name: str
    register: int
    first: int
    last: int
    meaning: str
    bits: int = dataclasses.field(init=False)
    """How many."""
    mask: int = dataclasses.field(init=False)
    """The bits within the 32 of the register."""

    def __post_init__(self) -> None:
        bits = self.last - self.first + 1
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "mask", ((1 << bits) - 1) << self.first)

    @property
    def field(self) -> str:
        """The OpenFlow field: ``reg0``."""
        return f"reg{self.register}"

    def _shifted(self, value: int) -> int:
        if not 0 <= value < 1 << self.bits:
            raise PipelineError(f"{self.name} holds {self.bits} bits, not {value:#x}")
        return value << self.first

    def match(self, value: int) -> tuple[int, int]:
        """Value and mask for `vneter_sdn.model.flow.match`."""
        return self._shifted(value), self.mask

    def load(self, value: int) -> SetField:
        """The action that writes it."""
        return SetField(self.field, self._shifted(value), self.mask)

    def load_from(self, field: str, offset: int = 0) -> Copy:
        """The action that copies bits of another field into it."""
        return Copy(field, self.field, self.bits, offset, self.first)

    def copy_to(self, field: str, offset: int = 0) -> Copy:
        """The action that copies it into bits of another field."""
        return Copy(self.field, field, self.bits, self.first, offset)

    def output(self) -> OutputField:
        """The action that sends out of the port it holds."""
        return OutputField(self.field, self.first, self.bits)


class Source(IntEnum):
    """Where a packet entered the bridge."""

    ENDPOINT = 1
    TUNNEL = 2
    WIRE = 3


SOURCE = RegisterField("source", 0, 0, 3, "where the packet came in: 1 endpoint, 2 tunnel, 3 wire")
ROUTED = RegisterField("routed", 0, 4, 4, "1 once the packet crossed from one network to another")
TOO_LONG = RegisterField("too_long", 0, 5, 5, "1 when the packet is too long where it is going")
REFUSED = RegisterField(
    "refused", 0, 8, 10, "what an endpoint tried that it may not: see `pipeline.refusals`"
)
COMPLAINT = RegisterField(
    "complaint", 0, 12, 14, "why the router cannot forward the packet: see `pipeline.complaints`"
)
NETWORK = RegisterField(
    "network",
    1,
    0,
    23,
    "VNI of the network the packet is in; the destination's once routed; 0 for "
    "a packet that came by a wire",
)
TENANT = RegisterField("tenant", 2, 0, 19, "tenant id; no lookup by address is made without it")
OUT_PORT = RegisterField("out_port", 3, 0, 15, "OpenFlow port the packet will leave by")
ORIGIN = RegisterField(
    "origin", 4, 0, 23, "VNI of the network the packet started in, on its bridge"
)
POLICY = RegisterField("policy", 5, 0, 11, "number of the path policy the packet is under; 0 none")
COLOUR = RegisterField("colour", 5, 12, 17, "colour of the tree the packet came by; 0 the default")
LOCAL = RegisterField(
    "local", 6, 0, 31, "identity of the endpoint here that policies are asked about"
)
PEER = RegisterField("peer", 7, 0, 31, "identity of the endpoint at the other end; 0 for none")
RULE = RegisterField(
    "rule", 8, 0, 19, "number of the rule that decided; 0 none did, 1 allowed, 2 isolated, 3 denied"
)
ERA = RegisterField(
    "era", 9, 0, 7, "what bridges that forget at each change tell megaflows of before by"
)
ALLOWED, ISOLATED, DENIED = 1, 2, 3
"""What is not decided by a rule: allowed for want of one, isolated, denied by the tenant."""

REGISTERS = (
    *(
        SOURCE,
        ROUTED,
        TOO_LONG,
        REFUSED,
        COMPLAINT,
        NETWORK,
        TENANT,
        OUT_PORT,
        ORIGIN,
        POLICY,
        COLOUR,
    ),
    *(LOCAL, PEER, RULE, ERA),
)
