# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the framer, cut where the first byte says: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_framing.py -runs=100000``.
"""

import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow.framing import Framer


def target(data: bytes) -> None:
    """One input."""
    framer, step = Framer(), 1 + (data[0] if data else 0)
    try:
        for start in range(1, len(data), step):
            for message in framer.feed(data[start : start + step]):
                assert len(message) >= 8
    except DecodeError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
