# SPDX-License-Identifier: Apache-2.0
"""Flow cookies: ``magic (8) · generation (8) · feature (8) · object (40)``, high bits first.

The magic says a flow is ours; flows without it are never touched. The generation is that of the
pipeline that wrote the flow: it informs, and does not make two flows differ. The object is a hash
of the key of the object that the flow exists for.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from vneter_sdn.model.snapshot import Key

MAGIC = 0x76
MAGIC_MASK = 0xFF << 56
MAGIC_COOKIE = MAGIC << 56
MEANING_MASK = ~(0xFF << 48) & 0xFFFF_FFFF_FFFF_FFFF
"""Everything but the generation."""
GENERATION = 4
"""Raised when a release changes what tables or registers mean."""


class Cookie(NamedTuple):
    """A cookie, taken apart."""

    generation: int
    feature: int
    object: int

    @property
    def number(self) -> int:
        """The 64 bits."""
        return MAGIC_COOKIE | self.generation << 48 | self.feature << 40 | self.object

    @classmethod
    def of(cls, number: int) -> Cookie | None:
        """Take apart a cookie; None when it is not ours."""
        if number & MAGIC_MASK != MAGIC_COOKIE:
            return None
        return cls(number >> 48 & 0xFF, number >> 40 & 0xFF, number & 0xFF_FFFF_FFFF)


def object_bits(key: Key | None) -> int:
    """The 40 bits that stand for an object; zero for flows of no object."""
    if key is None:
        return 0
    return int.from_bytes(blake2b("\0".join(key).encode(), digest_size=5).digest(), "big")


def is_ours(cookie: int) -> bool:
    """Whether a flow with this cookie was written by this package."""
    return cookie & MAGIC_MASK == MAGIC_COOKIE
