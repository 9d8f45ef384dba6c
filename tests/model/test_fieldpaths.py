# SPDX-License-Identifier: Apache-2.0
"""Paths of fields lead to one place only, whatever names are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model.fieldpaths import above, below, pointer

NAMES = st.text(max_size=8) | st.text(alphabet='.[]"\\/~ a0é\n', max_size=8)
STEPS = st.lists(NAMES | st.integers(0, 10**6), min_size=1, max_size=6)


def _written(steps):
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else below(path, step)
    return path


def _pointed(steps):
    names = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{name}" for name in names)


@given(STEPS)
def test_a_path_leads_where_its_steps_do(steps):
    assert pointer(_written(steps)) == _pointed(steps)


@given(STEPS)
def test_above_it_is_what_holds_it(steps):
    assert above(_written(steps)) == _written(steps[:-1])


@given(st.text())
def test_any_text_is_read_and_comes_to_an_end(text):
    assert pointer(text) == "" or pointer(text).startswith("/")
    while text:
        assert len(above(text)) < len(text)
        text = above(text)


@pytest.mark.parametrize(
    ("path", "pointed"),
    [
        ("", ""),
        ("spec.prefixes[0]", "/spec/prefixes/0"),
        ("[3].path", "/3/path"),
        ('metadata.labels["app.io/x~y"]', "/metadata/labels/app.io~1x~0y"),
        ('spec[""]', "/spec/"),
        ('spec["\\q"]', "/spec/\\q"),
    ],
)
def test_pointers(path, pointed):
    assert pointer(path) == pointed
