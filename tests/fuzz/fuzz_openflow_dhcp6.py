# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the decoder of DHCPv6: a message or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_dhcp6.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import dhcp6


def target(data: bytes) -> None:
    """One input."""
    with contextlib.suppress(DecodeError):
        said = dhcp6.decode(data)
        assert dhcp6.decode(dhcp6.encode(said)) == said


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
