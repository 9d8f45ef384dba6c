# SPDX-License-Identifier: Apache-2.0
"""Where bridges connect: unix sockets, TCP on loopback, and TLS.

::

    unix:PATH        mode 0600; each host of this machine has its own
    ptcp:PORT:ADDR   plain TCP; loopback only, unless the lab is declared insecure
    pssl:PORT:ADDR   TLS >= 1.2, client certificates required, datapath ids bound to them
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from vneter_sdn.errors import SouthboundError


def loopback(address: str) -> bool:
    """Whether an address is on loopback; names are not."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed listen target."""

    kind: str
    place: str
    port: int = 0

    @classmethod
    def of(cls, text: str, insecure_lab: bool = False) -> Target:
        """Parse ``unix:PATH``, ``ptcp:PORT:ADDR`` or ``pssl:PORT:ADDR`` (ADDR may be ``[v6]``).

        Raises:
            SouthboundError: not one of these, or plain TCP off loopback.
        """
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest:
            return cls(kind, rest)
        malformed = SouthboundError(
            f"not a listen target: {text}; write pssl:PORT:ADDRESS, as in pssl:6653:0.0.0.0"
        )
        port, _, place = rest.partition(":")
        place = place.strip("[]")
        try:
            number, address = int(port), ipaddress.ip_address(place)
        except ValueError:
            raise malformed from None
        if kind not in ("ptcp", "pssl") or not 0 <= number < 1 << 16:
            raise malformed
        if kind == "ptcp" and not address.is_loopback and not insecure_lab:
            raise SouthboundError(f"{text}: plain TCP is for loopback; use pssl, or --insecure-lab")
        return cls(kind, str(address), number)
