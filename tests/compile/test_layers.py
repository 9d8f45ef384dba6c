# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile import layers
from vneter_sdn.compile.layers import Layered, Layers

KEYS = st.integers(0, 9)
CHANGES = st.dictionaries(KEYS, st.none() | KEYS)


def after(base, *changes):
    for one in changes:
        base = base | one
    return {key: value for key, value in base.items() if value is not None}


@given(st.dictionaries(KEYS, KEYS), CHANGES, CHANGES)
def test_layers_are_what_they_come_to(base, older, recent):
    before, plain = dict(base), after(base, older, recent)
    layered = Layered(base, (recent, older), len(plain))
    assert len(layered) == len(plain)
    assert [layered.get(key) for key in range(10)] == [plain.get(key) for key in range(10)]
    assert [key in layered for key in range(10)] == [key in plain for key in range(10)]
    assert (dict(layered), dict(layered.items()), set(layered)) == (plain, plain, set(plain))
    assert sorted(layered.values()) == sorted(plain.values())
    assert layered == plain
    assert base == before


def test_what_was_taken_away_is_not_there():
    layered = Layered({1: 2}, ({1: None},), 0)
    with pytest.raises(KeyError):
        layered[1]


@pytest.mark.parametrize(("recent", "most"), [(256, 8), (0, 8), (2, 1), (1, 0)])
@given(steps=st.lists(CHANGES, max_size=8))
def test_what_it_was_stays_what_it_was(recent, most, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_RECENT", recent)
        patch.setattr(layers, "_MOST", most)
        truth = {}
        held, seen = Layers(truth), [({}, {})]
        for changes in steps:
            for key, value in changes.items():
                truth.pop(key, None)
                if value is not None:
                    truth[key] = value
                held.note(key, value)
            seen.append((held.frozen(), dict(truth)))
    assert all(frozen == plain and len(frozen) == len(plain) for frozen, plain in seen)
