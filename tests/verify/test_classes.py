# SPDX-License-Identifier: Apache-2.0
"""Values are of one class where no set tells them apart, and only there."""

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.verify.classes import Classes
from vneter_sdn.verify.values import Rest, holds, masked

BITS = 6
FEW = st.frozensets(st.integers(0, (1 << BITS) - 1), max_size=4)
MASKED = st.tuples(st.integers(0, 63), st.integers(0, 63)).map(
    lambda drawn: masked(BITS, drawn[0] & drawn[1], drawn[1])
)
SETS = st.lists(st.one_of(FEW, FEW.map(lambda few: Rest(BITS, few)), MASKED), max_size=5)


@settings(max_examples=100)
@given(SETS)
def test_one_class_is_what_no_set_tells_apart(sets):
    classes = Classes(sets)
    said = {}
    for value in range(1 << BITS):
        said.setdefault(classes.of(value), set()).add(tuple(holds(one, value) for one in sets))
    assert all(len(different) == 1 for different in said.values())
    assert len(said) == len(set.union(*said.values()))
