# SPDX-License-Identifier: Apache-2.0
"""JSON Patch and merge patch: the examples of their RFCs, and laws on any value."""

from __future__ import annotations

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.errors import IntentError
from vneter_sdn.model.fieldpaths import pointer
from vneter_sdn.northbound.origins import Origins
from vneter_sdn.northbound.patches import (
    MOST_OPERATIONS,
    TestFailed,
    merged,
    patched,
    same,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches(target, patch, result):
    before = copy.deepcopy(target)
    assert merged(target, patch) == result
    assert target == before


def _op(sort, path, **more):
    return {"op": sort, "path": path, **more}


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [  # RFC 6902, appendix A
        ({"foo": "bar"}, [_op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [_op("add", "/foo/1", value="qux")],
         {"foo": ["bar", "qux", "baz"]}),
        ({"baz": "qux", "foo": "bar"}, [_op("remove", "/baz")], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [_op("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [_op("replace", "/baz", value="boo")], {"baz": "boo"}),
        ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
         [_op("move", "/qux/thud", **{"from": "/foo/waldo"})],
         {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ({"foo": ["all", "grass", "cows", "eat"]}, [_op("move", "/foo/3", **{"from": "/foo/1"})],
         {"foo": ["all", "cows", "eat", "grass"]}),
        ({"foo": "bar"}, [_op("add", "/child", value={"grandchild": {}})],
         {"foo": "bar", "child": {"grandchild": {}}}),
        ({"foo": "bar"}, [_op("add", "/baz", value="qux", xyz=123)], {"foo": "bar", "baz": "qux"}),
        ({"/": 9, "~1": 10}, [_op("test", "/~01", value=10)], {"/": 9, "~1": 10}),
        ({"foo": ["bar"]}, [_op("add", "/foo/-", value=["abc", "def"])],
         {"foo": ["bar", ["abc", "def"]]}),
        ({"a": 1}, [_op("replace", "", value=[2])], [2]),
        ({"a": 1}, [_op("add", "/", value=2)], {"a": 1, "": 2}),
        ([1, 2], [_op("replace", "/1", value=3)], [1, 3]),
        ({"a": {"b": 1}}, [_op("copy", "/c", **{"from": "/a"}), _op("add", "/c/b", value=2)],
         {"a": {"b": 1}, "c": {"b": 2}}),
        ({"a": 1}, [_op("move", "/a", **{"from": "/a"})], {"a": 1}),
    ],
)  # fmt: skip
def test_json_patches(document, operations, result):
    before = copy.deepcopy((document, operations))
    assert patched(document, operations) == result
    assert (document, operations) == before


@pytest.mark.parametrize(
    ("operations", "field", "reason"),
    [
        ({}, "", "WrongType"),
        ([_op("add", "/a", value=1)] * (MOST_OPERATIONS + 1), "", "TooLarge"),
        ([5], "[0]", "WrongType"),
        ([{"path": "/a"}], "[0].op", "UnknownOperation"),
        ([_op("append", "/a")], "[0].op", "UnknownOperation"),
        ([_op([], "/a")], "[0].op", "UnknownOperation"),
        ([{"op": "remove"}], "[0].path", "Missing"),
        ([_op("remove", 5)], "[0].path", "InvalidPath"),
        ([_op("remove", "list")], "[0].path", "InvalidPath"),
        ([_op("remove", "/a~2")], "[0].path", "InvalidPath"),
        ([_op("add", "/a")], "[0].value", "Missing"),
        ([_op("remove", "/nothing")], "[0].path", "NoSuchPath"),
        ([_op("replace", "/nothing", value=1)], "[0].path", "NoSuchPath"),
        ([_op("add", "/no/way", value=1)], "[0].path", "NoSuchPath"),
        ([_op("add", "/list/9", value=1)], "[0].path", "NoSuchPath"),
        ([_op("remove", "/list/01")], "[0].path", "NoSuchPath"),
        ([_op("remove", "/list/-")], "[0].path", "NoSuchPath"),
        ([_op("remove", "/list/٢")], "[0].path", "NoSuchPath"),
        ([_op("remove", "/text/0")], "[0].path", "NoSuchPath"),
        ([_op("remove", "")], "[0].path", "InvalidPath"),
        ([_op("copy", "/a")], "[0].from", "Missing"),
        ([_op("move", "/a", **{"from": "/nothing"})], "[0].from", "NoSuchPath"),
        ([_op("test", "/text", value="x"), _op("move", "/deep/x", **{"from": "/deep"})],
         "[1].path", "InvalidPath"),
        ([_op("copy", "/list/-", **{"from": ""})] * 40, "[17]", "TooLarge"),
        ([_op("copy", "/deep/deep", **{"from": ""})] * 40, "[5]", "TooDeep"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(operations, field, reason):
    document = {"list": [1, 2], "text": "x", "deep": {}}
    with pytest.raises(IntentError) as refused:
        patched(document, operations)
    (problem,) = refused.value.problems
    assert (problem.object, problem.reason) == ("patch", reason)
    assert problem.field == field or reason in {"TooLarge", "TooDeep"}
    assert document == {"list": [1, 2], "text": "x", "deep": {}}


def test_a_failed_test():
    with pytest.raises(TestFailed) as failed:
        patched({"a": 1}, [_op("test", "/a", value=1.0), _op("test", "/a", value=True)])
    (problem,) = failed.value.problems
    assert (problem.reason, pointer(problem.field)) == ("TestFailed", "/1/value")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~0", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~", max_size=2), inner,
                                                               max_size=3),
    max_leaves=12,
)  # fmt: skip


def _difference(one, two, path=""):
    """A patch that makes two of one."""
    if isinstance(one, dict) and isinstance(two, dict):
        for name in one.keys() | two.keys():
            at = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in two:
                yield _op("remove", at)
            elif name not in one:
                yield _op("add", at, value=two[name])
            else:
                yield from _difference(one[name], two[name], at)
    elif isinstance(one, list) and isinstance(two, list):
        shared = min(len(one), len(two))
        for place in range(shared):
            yield from _difference(one[place], two[place], f"{path}/{place}")
        for place in range(len(one) - 1, shared - 1, -1):
            yield _op("remove", f"{path}/{place}")
        for value in two[shared:]:
            yield _op("add", f"{path}/-", value=value)
    elif not same(one, two):
        yield _op("replace", path, value=two)


@given(_VALUES, _VALUES)
def test_any_value_becomes_any_other(one, two):
    result = patched(one, list(_difference(one, two)))
    assert same(result, two)
    assert same(patched(result, [_op("test", "", value=two)]), two)


def _no_nulls(value):
    if isinstance(value, dict):
        return {name: _no_nulls(inner) for name, inner in value.items() if inner is not None}
    return value


@given(_VALUES, _VALUES)
def test_a_merge_patch_is_done_once(target, patch):
    once = merged(target, patch)
    assert same(merged(once, patch), once)
    assert same(merged({}, patch), _no_nulls(patch))


_POINTERS = st.text("/ab0~1-", max_size=6)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
    optional={"path": _POINTERS, "from": _POINTERS, "value": _VALUES},
)


@given(_VALUES, st.lists(_OPERATIONS | _VALUES, max_size=6) | _VALUES)
def test_any_patch_is_done_or_refused(document, operations):
    before = copy.deepcopy(document)
    with contextlib.suppress(IntentError, TestFailed):
        patched(document, operations)
    assert same(document, before)


def _marks(value, pointer=""):
    """Every value within one, by its pointer."""
    yield pointer, value
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for name, one in inside:
        step = str(name).replace("~", "~0").replace("/", "~1")
        yield from _marks(one, f"{pointer}/{step}")


@pytest.mark.parametrize(
    ("operations", "pointer", "origin"),
    [
        ([_op("add", "/spec/mtu", value=1)], "/spec/mtu", "/0/value"),
        ([_op("replace", "/spec", value={"mtu": {"x": 2}})], "/spec/mtu/x", "/0/value/mtu/x"),
        ([_op("replace", "/spec", value={"mtu": 2})], "/spec/vni", "/0/value/vni"),
        ([_op("add", "/metadata/a", value=5)], "/metadata", "/0/path"),
        ([_op("add", "/metadata/a~1b.c", value=5)], "/metadata/a~1b.c", "/0/value"),
        ([_op("add", "/metadata/a", value=5)], "/kind", ""),
        ([_op("remove", "/spec")], "/spec/prefixes", "/0/path"),
        ([_op("remove", "/spec"), _op("add", "/spec", value={})], "/spec/vni", "/1/value/vni"),
        (  # what was put first moved on
            [_op("add", "/spec/p/0", value="x"), _op("add", "/spec/p/0", value="y")],
            "/spec/p/1",
            "/0/value",
        ),
        (
            [_op("add", "/spec/p/-", value="x"), _op("add", "/spec/p/-", value="y")],
            "/spec/p/3",
            "/1/value",
        ),
        ([_op("add", "/spec/p/-", value="x"), _op("remove", "/spec/p/0")], "/spec/p/1", "/0/value"),
        ([_op("add", "/spec/p/-", value="x"), _op("remove", "/spec/p/0")], "/spec/p", "/1/path"),
        ([_op("add", "/spec/p/-", value="x")], "/spec/p/0", ""),
        ([{"op": "move", "from": "/spec/p", "path": "/spec/q"}], "/spec/q", "/0/path"),
        ([{"op": "move", "from": "/spec/p", "path": "/spec/q"}], "/spec/q/1", "/0/path"),
        ([{"op": "move", "from": "/spec/p", "path": "/spec/q"}], "/spec/p", "/0/from"),
        (
            [
                _op("add", "/spec/x", value={"y": [1, 2]}),
                {"op": "copy", "from": "/spec/x", "path": "/spec/z"},
            ],
            "/spec/z/y/1",
            "/0/value/y/1",
        ),
        ([_op("test", "/kind", value="K")], "/kind", ""),
        ([_op("replace", "", value={"a": 1})], "/a", "/0/value/a"),
    ],
)
def test_where_a_fault_comes_from(operations, pointer, origin):
    document = {"kind": "K", "metadata": {}, "spec": {"p": ["a", "b"]}}
    patched(document, operations)
    assert Origins(document, operations).of(pointer) == origin


@given(_VALUES, _VALUES)
def test_an_origin_holds_the_value_that_came_from_it(one, two):
    operations = list(_difference(one, two))
    origins, sources = Origins(one, operations), dict(_marks(operations))
    for place, value in _marks(two):
        origin = origins.of(place)
        if not isinstance(value, dict | list):
            assert same(sources[origin], value) if origin else value in _leaves(one)


def _leaves(value):
    return [one for _, one in _marks(value) if not isinstance(one, dict | list)]
