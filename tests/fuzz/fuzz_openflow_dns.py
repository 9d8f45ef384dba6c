# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the decoders of DNS: a message, names with addresses, or DecodeError.

Run as ``python tests/fuzz/fuzz_openflow_dns.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.edge import names
    from vneter_sdn.errors import DecodeError
    from vneter_sdn.southbound.openflow import dns, dns_message

HEAD = bytes((0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1, 1, 97, 0, 0, 1, 0, 1))
ASKED = dns_message.Message(1, question=dns_message.Question((b"a",), 1))


def target(data: bytes) -> None:
    """One input, as a message and as the records of one."""
    for message in (data, HEAD + data):
        with contextlib.suppress(DecodeError):
            said = dns_message.decode(message)
            assert dns_message.decode(dns_message.encode(said)) == said
        with contextlib.suppress(DecodeError):
            dns.resolved(message)
        names.complaint(message)
        if names.is_answer(message, ASKED, 1):
            assert names.passed_on(message, ASKED)[:2] == b"\0\1"


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
