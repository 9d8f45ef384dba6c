# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the decoders of router and neighbour discovery: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_router.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import neighbours, router


def target(data: bytes) -> None:
    """One input."""
    for read, write in (
        (router.solicitation, router.written_solicitation),
        (router.advertisement, router.written_advertisement),
        (neighbours.solicitation, neighbours.written_solicitation),
        (neighbours.advertisement, neighbours.written_advertisement),
    ):
        with contextlib.suppress(DecodeError):
            said = read(data)
            assert read(write(said)) == said


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
