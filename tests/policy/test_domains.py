# SPDX-License-Identifier: Apache-2.0
"""DNS names with wildcards."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.policy.domains import canonical, matches


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*example.com", "example.com", True),
        ("*example.com", "my-example.com", True),
        ("www.*.com", "www.a.b.com", True),
        ("www.*.com", "www.com", False),
        ("a*a", "a", False),
        ("*", "anything.at.all", True),
    ],
)
def test_matches(pattern: str, name: str, wanted: bool) -> None:
    assert matches(canonical(pattern), name) is wanted


@given(st.text("ab*.", min_size=1, max_size=12), st.text("ab.", max_size=12))
def test_agrees_with_regular_expressions(pattern: str, name: str) -> None:
    bare = name.removesuffix(".")
    wanted = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), bare, re.DOTALL)
    assert matches(pattern, name) is (wanted is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".",
        "a..b",
        "-a.com",
        "a-.com",
        "(a+)+$",
        "a b",
        "a" * 64 + ".com",
        "a." * 127 + "aa",
        "*a*a*a*a*a*a*a*a*b",
        "exämple.com",
    ],
)
def test_what_is_no_name_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"DNS name|wildcards"):
        canonical(pattern)


def test_a_costly_pattern_is_not_costly() -> None:
    pattern = canonical("*a*a*a*ab.example")
    assert not matches(pattern, "a" * 5_000_000)


def test_what_is_taken() -> None:
    assert canonical("WWW.Example.COM.") == "www.example.com"
    assert canonical("**.example.com") == "*.example.com"
    assert canonical("_dns._udp.example.com") == "_dns._udp.example.com"
