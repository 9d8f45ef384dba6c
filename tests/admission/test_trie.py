# SPDX-License-Identifier: Apache-2.0
"""Persistent maps: what differs between two of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.admission.trie import GONE, PersistentMap

_KEYS = st.integers(0, 600)
_CHANGES = st.dictionaries(_KEYS, st.sampled_from([GONE, 0, 1, 2.0, 2]), max_size=40)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 600), st.lists(_CHANGES, min_size=1, max_size=5))
def test_what_differs_is_what_was_changed(size, steps):
    first = PersistentMap(dict.fromkeys(range(size), 0))
    last = first
    for changes in steps:
        last = last.updated(changes)
    keys = {*first, *last}
    told = {key for key in keys if first.get(key, GONE) != last.get(key, GONE)}
    assert first.differing(last) == last.differing(first) == told
    assert first.differing(PersistentMap(dict(last.items()))) == told
    assert last.differing(last) == set()
