# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.northbound.selectors import parse_selector

_LABELS = {"a": "b", "e": "x", "f": "", "vneter.io/site": "s-1"}


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("  ", True),
        ("a=b", True),
        ("a==b", True),
        ("a = b , e = x", True),
        ("a=c", False),
        ("a!=b", False),
        ("a!=c", True),
        ("missing!=c", True),
        ("missing=c", False),
        ("f=", True),
        ("a=", False),
        ("a", True),
        ("missing", False),
        ("!a", False),
        ("! missing", True),
        ("e in (x,y)", True),
        ("e in ( y )", False),
        ("e notin (x,y)", False),
        ("missing notin (x)", True),
        ("missing in (x)", False),
        ("e in (,)", False),
        ("vneter.io/site=s-1", True),
        ("a=b,c!=d,e in (x,y),f,!g", True),
        ("a=b,g", False),
        ("in=x", False),
    ],
)
def test_selection(text, selects):
    assert parse_selector(text).selects(_LABELS) is selects


@pytest.mark.parametrize(
    ("text", "position"),
    [("a b", 1), ("a=b,", 5), (",", 1), ("a=b,,c", 5), ("a in x", 1), ("a in (x", 1), ("=b", 1),
     ("a in ()", 7), ("a notin ( )", 10), ("a=b,c in (x y)", 11), ("a in (b!)", 7),
     ("a=b=c", 1), ("!", 1), ("a=b\n;", 1), ("é=b", 1)],
)  # fmt: skip
def test_what_is_no_selector(text, position):
    with pytest.raises(IntentError, match=f"at character {position} of") as refused:
        parse_selector(text)
    assert refused.value.problems[0].reason == "InvalidSelector"


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_refused(text):
    with contextlib.suppress(IntentError):
        parse_selector(text).selects(_LABELS)
