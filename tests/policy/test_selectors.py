# SPDX-License-Identifier: Apache-2.0
"""Selectors against a second, naive reading of the API's words."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.model.policy_kinds import Requirement, Selector
from vneter_sdn.policy.selectors import NAMESPACE_NAME, labels_of_namespace, named, selects

KEYS = st.sampled_from("abc")
VALUES = st.sampled_from(["", "1", "2"])
LABELS = st.dictionaries(KEYS, VALUES)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]))
    values = draw(st.lists(VALUES, min_size=1)) if operator in {"In", "NotIn"} else []
    return Requirement(key=draw(KEYS), operator=operator, values=tuple(values))


SELECTORS = st.builds(
    lambda labels, expressions: Selector(match_labels=labels, match_expressions=expressions),
    LABELS,
    st.lists(requirements(), max_size=4).map(tuple),
)


def naive(selector: Selector, labels: Mapping[str, str]) -> bool:
    missing = object()
    terms = [labels.get(key, missing) == value for key, value in selector.match_labels.items()]
    for one in selector.match_expressions:
        value = labels.get(one.key, missing)
        terms.append(
            {
                "In": value in one.values,
                "NotIn": value not in one.values,
                "Exists": value is not missing,
                "DoesNotExist": value is missing,
            }[one.operator]
        )
    return all(terms)


@given(SELECTORS, LABELS)
def test_selects_what_a_naive_reading_selects(selector: Selector, labels: dict[str, str]) -> None:
    assert selects(selector, labels) is naive(selector, labels)


@given(LABELS)
def test_the_empty_selector_selects_everything(labels: dict[str, str]) -> None:
    assert selects(Selector(), labels)


@given(requirements(), LABELS)
def test_not_in_is_the_opposite_of_in(one: Requirement, labels: dict[str, str]) -> None:
    opposite = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}
    other = Requirement(key=one.key, operator=opposite[one.operator], values=one.values)  # type: ignore[arg-type]
    of = [selects(Selector(match_expressions=(r,)), labels) for r in (one, other)]
    assert sum(of) == 1


@pytest.mark.parametrize(
    ("name", "given_", "wanted"),
    [
        ("x", {"a": "1"}, {"a": "1", NAMESPACE_NAME: "x"}),
        ("x", None, {NAMESPACE_NAME: "x"}),
        ("x", {NAMESPACE_NAME: "forged"}, {NAMESPACE_NAME: "x"}),
        ("", None, {}),
    ],
)
def test_a_namespace_has_its_name_as_a_label(
    name: str, given_: dict[str, str] | None, wanted: dict[str, str]
) -> None:
    assert labels_of_namespace(name, given_) == wanted
    assert selects(named("x"), wanted) is (name == "x")
