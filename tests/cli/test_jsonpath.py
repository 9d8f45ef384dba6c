# SPDX-License-Identifier: Apache-2.0
"""Templates of ``-o jsonpath=``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from vneter_sdn.cli.jsonpath import Malformed, Template, select

VALUE = {
    "items": [
        {"metadata": {"name": "a", "labels": {"a.b/c": "x"}}, "spec": {"mtu": 1400, "on": True}},
        {
            "metadata": {"name": "b"},
            "spec": {"mtu": 9000, "prefixes": ["10.0.0.0/24", "fd00::/64"]},
        },
        {"metadata": {"name": "c"}, "spec": {"mtu": "auto"}},
    ]
}


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (".items[*].metadata.name", "a b c"),
        ("items[*].metadata.name", "a b c"),
        ("{.items[0].metadata.name}", "a"),
        ("{$.items[-1].metadata.name}", "c"),
        ("{.items[1:].metadata.name}", "b c"),
        ("{.items[:-1].metadata.name}", "a b"),
        ("{.items[0].metadata.labels['a.b/c']}", "x"),
        ('{.items[0].metadata.labels["a.b/c"]}', "x"),
        ("{..mtu}", "1400 9000 auto"),
        ("{.items[?(@.spec.mtu>1400)].metadata.name}", "b"),
        ("{.items[?(@.metadata.name == 'c')].spec.mtu}", "auto"),
        ('{.items[?(@.metadata.name!="c")].metadata.name}', "a b"),
        ("{.items[?(@.spec.prefixes)].metadata.name}", "b"),
        ("{.items[1].spec.prefixes}", '["10.0.0.0/24", "fd00::/64"]'),
        ("{.items[0].spec.on}", "true"),
        ("{.items[9].metadata.name}|{.none.at.all}|", "||"),
        ("mtu: {.items[0].spec.mtu}!", "mtu: 1400!"),
        (
            '{range .items[*]}{.metadata.name}{"\\t"}{.spec.mtu}{"\\n"}{end}',
            "a\t1400\nb\t9000\nc\tauto\n",
        ),
        ("{range .items[*]}{range .spec.prefixes[*]}<{.}>{end}{end}", "<10.0.0.0/24><fd00::/64>"),
        ("{.items[*].spec.*}", '1400 true 9000 ["10.0.0.0/24", "fd00::/64"] auto'),
    ],
)
def test_what_a_template_says(template, told):
    assert Template(template).render(VALUE) == told


@pytest.mark.parametrize(
    ("template", "at", "message"),
    [
        ("{.items[}", 8, "expected a number"),
        ("{.items[0}", 8, "expected a number"),
        ("{.items", 7, "expected }"),
        ("{}", 1, "expected a path"),
        ("{.a b}", 4, "expected }"),
        ("{range .items[*]}{.a}", 21, "{range} without {end}"),
        ("{end}", 4, "{end} without {range}"),
        ("{.items[?(.a)]}", 10, "expected @"),
        ("{.items[?(@.a==b)]}", 15, "expected a number or quoted text"),
        ("{.a..}", 5, "expected a name"),
        ("{'open}", 1, "expected a path"),
    ],
)
def test_what_is_wrong_is_said_by_place(template, at, message):
    with pytest.raises(Malformed) as refused:
        Template(template)
    assert message in str(refused.value)
    assert f"at character {at + 1} of" in str(refused.value)


def test_ranges_do_not_nest_for_ever():
    with pytest.raises(Malformed, match="too deep"):
        Template("{range .a}" * 100 + "{end}" * 100)


def test_one_path():
    assert select("spec.mtu")(VALUE["items"][0]) == [1400]
    with pytest.raises(Malformed):
        select("spec.mtu }")


@settings(max_examples=150, deadline=None)
@given(some.text(alphabet="{}.[]*?()@'\"\\ab0-:=<>! $", max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Malformed):
        Template(text).render(VALUE)
