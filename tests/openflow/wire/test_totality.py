# SPDX-License-Identifier: Apache-2.0
"""For all bytes: every decoder returns or raises DecodeError."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError
from vneter_sdn.southbound.openflow import actions, decode, multipart, oxm, punt, validate
from vneter_sdn.southbound.openflow.wire import V14, V15, Type, message


@given(st.sampled_from(sorted(Type)), st.sampled_from((V14, V15)), st.binary(max_size=150))
def test_messages_with_a_true_header(kind, version, body):
    data = message(kind, version, 1, body)
    for state in validate.State:
        with suppress(DecodeError):
            validate.check(data, state, version)
    with suppress(DecodeError):
        decode.message(data)


@given(st.binary(max_size=100))
def test_any_bytes(data):
    for state in validate.State:
        with suppress(DecodeError):
            validate.check(data, state, V15)
    with suppress(DecodeError):
        decode.message(data)
    with suppress(DecodeError, oxm.Unknown):
        oxm.decode_fields(data)
    with suppress(DecodeError, oxm.Unknown):
        actions.decode_instructions(data)
    with suppress(DecodeError, oxm.Unknown):
        actions.decode_actions(data, 0, len(data))
    for version in (V14, V15):
        with suppress(DecodeError):
            list(multipart.flows(data, 0, version))
        with suppress(DecodeError):
            list(multipart.groups(data, 0, version))
    with suppress(DecodeError):
        list(multipart.meters(data, 0))
    with suppress(DecodeError):
        list(multipart.ports(data, 0))
    with suppress(DecodeError):
        punt.decode(data)


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_samples(sample_messages, data):
    version, sample = data.draw(st.sampled_from(sample_messages))
    mutated = bytearray(sample)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(8, max(8, len(mutated) - 1)))
        if at < len(mutated):
            mutated[at] = data.draw(st.integers(0, 255))
    accepted = True
    try:
        validate.check(bytes(mutated), _state(mutated), version)
    except DecodeError:
        accepted = False
    try:
        decode.message(bytes(mutated))
    except DecodeError:
        assert not accepted or mutated[1] in (Type.MULTIPART_REPLY, Type.EXPERIMENTER, *_MATCHED)


_MATCHED = (Type.PACKET_IN, Type.FLOW_REMOVED)


def _state(data):
    return validate.State.HELLO if data[1] == Type.HELLO else validate.State.OPEN


def test_every_sample_is_accepted_and_decoded(sample_messages):
    for version, sample in sample_messages:
        validate.check(sample, _state(sample), version)
        decode.message(sample)


def test_every_truncation_of_a_sample_ends(sample_messages):
    for version, sample in sample_messages:
        for size in range(len(sample)):
            cut = bytearray(sample[:size])
            if size >= 4:
                cut[2:4] = size.to_bytes(2, "big")
            with suppress(DecodeError):
                validate.check(bytes(cut), _state(sample), version)
            with suppress(DecodeError):
                decode.message(bytes(cut))
