# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the decoder of discovery frames: a value, nothing or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_lldp.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import lldp

KEY = bytes(32)


def target(data: bytes) -> None:
    """One input, as it is and as the body of a frame."""
    for frame in (data, bytes(12) + b"\x88\xcc" + data):
        with contextlib.suppress(DecodeError):
            signed = lldp.decode(frame)
            assert signed is None or not signed.genuine(KEY)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
