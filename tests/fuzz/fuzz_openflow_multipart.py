# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the multipart decoders: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_multipart.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import multipart


def target(data: bytes) -> None:
    """One input."""
    readers = [lambda d: multipart.meters(d, 0), lambda d: multipart.ports(d, 0)]
    for version in (5, 6):
        readers.append(lambda d, v=version: multipart.flows(d, 0, v))
        readers.append(lambda d, v=version: multipart.groups(d, 0, v))
    for read in readers:
        with contextlib.suppress(DecodeError):
            list(read(data))


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
