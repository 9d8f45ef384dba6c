# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile.layers import Layered

KEYS = st.integers(0, 9)


@given(st.dictionaries(KEYS, KEYS), st.dictionaries(KEYS, st.none() | KEYS))
def test_layers_are_what_they_come_to(base, over):
    before = dict(base)
    layered = Layered(base, over)
    plain = {k: v for k, v in (base | over).items() if v is not None}
    assert len(layered) == len(plain)
    assert [layered.get(key) for key in range(10)] == [plain.get(key) for key in range(10)]
    assert [key in layered for key in range(10)] == [key in plain for key in range(10)]
    assert (dict(layered), dict(layered.items()), set(layered)) == (plain, plain, set(plain))
    assert sorted(layered.values()) == sorted(plain.values())
    assert layered == plain
    assert base == before


def test_what_was_taken_away_is_not_there():
    layered = Layered({1: 2}, {1: None})
    with pytest.raises(KeyError):
        layered[1]
