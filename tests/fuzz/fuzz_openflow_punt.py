# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the punt decoder, and answer: values or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_punt.py -runs=100000``.
"""

import contextlib
import sys
from ipaddress import IPv4Address, IPv6Address

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.pipeline.complaints import Complaint, Fault
    from vneter_sdn.southbound.openflow import complaint, punt


def target(data: bytes) -> None:
    """One input."""
    with contextlib.suppress(DecodeError):
        punt.decode(data)
    for source in (IPv4Address("10.0.0.1"), IPv6Address("fe80::1")):
        answer = punt.time_exceeded(data, source, 2)
        assert answer is None or isinstance(punt.decode(answer).transport, punt.Icmp)
        punt.packet_too_big(data, source, 2, 1400)
        for fault in Fault:
            answer = complaint.answer(data, Complaint(fault, source, 2, 1, 1, 1400))
            assert answer is None or isinstance(punt.decode(answer).network, punt.Ip)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
