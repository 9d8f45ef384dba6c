# SPDX-License-Identifier: Apache-2.0
"""Sets of values do what sets do."""

from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.verify.values import (
    Rest,
    everything,
    holds,
    join,
    less,
    masked,
    meet,
    size,
    some,
)

BITS = 8
ALL = range(1 << BITS)


@st.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        kind = draw(st.sampled_from(("some", "rest", "mask")))
        few = frozenset(draw(st.sets(st.integers(0, 255), max_size=5)))
        if kind == "mask":
            mask = draw(st.integers(0, 255))
            value = draw(st.integers(0, 255)) & mask
            return masked(BITS, value, mask), {v for v in ALL if v & mask == value}
        return (few, set(few)) if kind == "some" else (Rest(BITS, few), set(ALL) - few)
    one, ones = draw(expressions(depth=depth - 1))
    other, others = draw(expressions(depth=depth - 1))
    operation, plain = draw(
        st.sampled_from(((meet, set.__and__), (less, set.__sub__), (join, set.__or__)))
    )
    return operation(one, other), plain(ones, others)


@given(expressions())
def test_they_are_the_sets_they_stand_for(drawn):
    values, plain = drawn
    assert {v for v in ALL if holds(values, v)} == plain
    assert size(values) == len(plain)
    assert not plain or some(values) in plain


@given(expressions(), expressions())
def test_small_ones_are_equal_when_they_mean_the_same(one, other):
    if one[1] == other[1] and len(one[1]) <= 64:
        assert one[0] == other[0]


def test_wide_fields_are_no_trouble():
    odd = masked(128, 1, 1)
    assert size(odd) == 1 << 127
    assert less(odd, odd) == frozenset()
    assert join(odd, less(everything(128), odd)) == everything(128)
    assert less(odd, less(odd, frozenset({5, 6}))) == frozenset({5})
    assert size(less(odd, frozenset(range(1000)))) == (1 << 127) - 500
