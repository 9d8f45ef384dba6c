# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the decoders of DHCP for IPv4: a message, routes, or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_dhcp4.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import datagram, dhcp4

HEAD = dhcp4.encode(dhcp4.Message(1, 2))[:240]


def target(data: bytes) -> None:
    """One input, as a frame, as a message, as options and as routes."""
    with contextlib.suppress(DecodeError):
        datagram.read(data)
    for message in (data, HEAD + data):
        with contextlib.suppress(DecodeError):
            said = dhcp4.decode(message)
            assert dhcp4.decode(dhcp4.encode(said, 70_000)) == said
    with contextlib.suppress(DecodeError):
        assert dhcp4.written_routes(dhcp4.read_routes(data)) == data


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
