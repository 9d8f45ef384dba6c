# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the match decoder: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_match.py -runs=100000``.
"""

import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import oxm


def target(data: bytes) -> None:
    """One input."""
    try:
        match = oxm.decode_fields(data)
        assert list(match) == sorted(match)
    except (DecodeError, oxm.Unknown):
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
