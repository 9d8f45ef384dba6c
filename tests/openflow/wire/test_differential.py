# SPDX-License-Identifier: Apache-2.0
"""What the validator accepts, os-ken's parsers end on: raised, returned, never hung."""

from __future__ import annotations

import multiprocessing
import random
import signal
from contextlib import suppress

import pytest

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import rare, validate
from vneter_sdn.southbound.openflow.validate import State
from vneter_sdn.southbound.openflow.wire import HEADER, Type

VALUES = (0, 1, 4, 5, 7, 8, 12, 16, 24, 0xFFFF)


def mutants(samples, count: int, seed: int):
    """Samples with one to three 16-bit fields replaced, that the validator accepts."""
    chance = random.Random(seed)
    accepted = []
    while len(accepted) < count:
        version, sample = chance.choice(samples)
        data = bytearray(sample)
        for _ in range(chance.randint(1, 3)):
            if len(data) >= 10:
                at = chance.randrange(8, len(data) - 1)
                value = chance.choice((*VALUES, chance.randrange(1 << 16)))
                data[at : at + 2] = value.to_bytes(2, "big")
        state = State.HELLO if data[1] == Type.HELLO else State.OPEN
        try:
            validate.check(bytes(data), state, version)
        except DecodeError:
            continue
        accepted.append((version, bytes(data)))
    return accepted


def parse_all(cases, results) -> None:
    """In the child: parse each, and name the one that takes more than two seconds."""
    import logging

    logging.disable(logging.CRITICAL)
    from os_ken.ofproto import ofproto_parser

    at = 0

    def late(_signal, _frame):
        results.put(cases[at])
        raise SystemExit(1)

    signal.signal(signal.SIGALRM, late)
    for number, (version, data) in enumerate(cases):
        at = number
        signal.alarm(2)
        found, kind, length, xid = HEADER.unpack_from(data)
        with suppress(Exception):  # raising is one way to end
            ofproto_parser.msg(rare.datapath(version), found, kind, length, xid, data)
        signal.alarm(0)
    results.put(None)


@pytest.mark.parametrize("seed", range(2))
def test_accepted_messages_do_not_hang_os_ken(sample_messages, seed):
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    cases = sample_messages + mutants(sample_messages, 2500, seed)
    child = context.Process(target=parse_all, args=(cases, results))
    child.start()
    try:
        hung = results.get()
    finally:
        child.kill()
        child.join()
    assert hung is None, f"os-ken hangs on {hung[1].hex()}"


def test_the_differential_would_notice():
    """The same child, given what the validator refuses, does hang."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    hello = bytes.fromhex("06000010000000010063000000000000")
    child = context.Process(target=parse_all, args=([(6, hello)], results))
    child.start()
    try:
        assert results.get() == (6, hello)
    finally:
        child.kill()
        child.join()
