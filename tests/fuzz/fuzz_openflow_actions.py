# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the action and instruction decoders: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_actions.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import actions, oxm


def target(data: bytes) -> None:
    """One input."""
    for decode in (actions.decode_instructions, lambda d: actions.decode_actions(d, 0, len(d))):
        with contextlib.suppress(DecodeError, oxm.Unknown):
            decode(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
