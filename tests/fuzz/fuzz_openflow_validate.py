# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the validator, in every state: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_validate.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import validate


def message_of(data: bytes) -> bytes:
    """The bytes with a true length in the header, so that what follows it is reached."""
    if len(data) < 8:
        return data
    return data[:2] + len(data).to_bytes(2, "big") + data[4:]


def target(data: bytes) -> None:
    """One input."""
    for state in validate.State:
        for version in (4, 5, 6):
            with contextlib.suppress(DecodeError):
                validate.check(message_of(data), state, version)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
