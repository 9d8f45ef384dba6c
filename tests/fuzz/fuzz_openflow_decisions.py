# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to what reads packets that policies punt: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_decisions.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.pipeline import punts
    from vneter_sdn.southbound.openflow import dns, punt, refusal


def target(data: bytes) -> None:
    """One input."""
    with contextlib.suppress(DecodeError):
        punts.decode(data)
    answer = refusal.refusal(data)
    assert answer is None or punt.decode(answer).network is not None
    with contextlib.suppress(DecodeError):
        dns.message_of(data)
    with contextlib.suppress(DecodeError):
        dns.resolved(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
