# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import PipelineError
from vneter_sdn.pipeline.shares import VALUES, shares


@given(st.lists(st.integers(1, 1 << 16), min_size=1, max_size=64))
def test_every_value_is_dealt_and_nobody_goes_without(weights):
    dealt = shares(weights)
    assert sum(share.weight for share in dealt) == VALUES
    assert min(share.weight for share in dealt) == 1 or len(weights) == VALUES
    assert [share.position for share in dealt[: len(weights)]] == list(range(len(weights)))
    assert len(dealt) <= len(weights) + 1


@given(st.lists(st.integers(10, 100), min_size=1, max_size=8))
def test_shares_are_nearest_to_what_was_asked(weights):
    held = [0] * len(weights)
    for position, weight in shares(weights):
        held[position] += weight
    for weight, got in zip(weights, held, strict=True):
        assert abs(got - weight * VALUES / sum(weights)) < 1


def test_equal_weights_are_equal():
    assert [tuple(share) for share in shares([7, 7])] == [(0, 128), (1, 127), (1, 1)]


@pytest.mark.parametrize("wrong", [[], [0, 1], [1] * 257])
def test_what_cannot_be_dealt(wrong):
    with pytest.raises(PipelineError):
        shares(wrong)
