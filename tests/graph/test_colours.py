# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.colours import assign, canonical
from vneter_sdn.graph.route import ends, hosts, reverse
from vneter_sdn.pipeline.locator import FIRST, LAST


def route(text, ranks=""):
    """``route("abc")`` passes a, b and c; a digit for each edge says by which of parallel links."""
    steps = itertools.zip_longest(itertools.pairwise(text), ranks[: len(text) - 1], fillvalue="0")
    tails = ((pair, "" if rank == "0" else f"#{rank}") for pair, rank in steps)
    return tuple(f"{near}{tail}>{far}{tail}" for (near, far), tail in tails)


routes = st.builds(
    route,
    st.permutations("abcde").flatmap(
        lambda p: st.integers(2, 5).map(lambda size: "".join(p[:size]))
    ),
    st.text("01", min_size=4, max_size=4),
)


def trees(colours):
    """By colour and target: the edges by which each host leaves."""
    found = {}
    for one, colour in colours.items():
        for way in (one, reverse(one)):
            for edge in way:
                at = colour, hosts(way)[-1], ends(edge)[0]
                found.setdefault(at, set()).add(edge)
    return found


@given(st.lists(routes, max_size=40), st.lists(routes, max_size=10))
@settings(max_examples=100, deadline=None)
def test_each_colour_is_an_in_tree_to_each_target_and_what_is_held_stays(first, then):
    held = assign({}, first)
    assert set(held) == {canonical(one) for one in first}
    more = assign(held, [*then, *first])
    assert set(more) == {canonical(one) for one in then} - set(held)
    assert all(FIRST <= colour <= LAST for colour in (held | more).values())
    found = trees(held | more)
    assert all(len(edges) == 1 for edges in found.values())
    for colour, target, host in found:
        at, passed = host, set()
        while at != target:
            assert at not in passed
            passed.add(at)
            (edge,) = found[colour, target, at]
            at = ends(edge)[1]


@given(st.lists(routes, max_size=20), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_neither_order_nor_direction_matters(wanted, dice):
    turned = [dice.choice([one, reverse(one)]) for one in wanted]
    dice.shuffle(turned)
    assert assign({}, turned) == assign({}, wanted)
    held = assign({}, wanted)
    assert assign({reverse(one): colour for one, colour in held.items()}, turned) == {}


@given(st.lists(routes, max_size=12))
@settings(deadline=None)
def test_the_first_colour_that_fits_is_taken(wanted):
    given_ = {}
    for one in sorted({canonical(one) for one in wanted}):
        given_[one] = next(
            colour
            for colour in range(FIRST, LAST + 1)
            if all(len(edges) == 1 for edges in trees(given_ | {one: colour}).values())
        )
    assert assign({}, wanted) == given_


def test_routes_that_agree_share_a_colour():
    wanted = [route("abc"), route("bc"), route("dbc"), route("xyz")]
    assert set(assign({}, wanted).values()) == {FIRST}
    assert assign({}, [route("abc"), route("adc")]) == {route("abc"): 1, route("adc"): 2}


def test_the_way_back_has_to_fit_too():
    """To c both leave by different hosts; back to a they part at c."""
    assert assign({route("abc"): 1}, [route("cda")]) == {route("adc"): 2}


def test_when_colours_run_out_routes_are_left_out():
    names = [f"m{number:02}" for number in range(LAST + 3)]
    wanted = [(f"a>{name}", f"{name}>z") for name in names]
    found = assign({}, wanted)
    assert list(found) == wanted[: LAST - FIRST + 1]
    assert sorted(found.values()) == list(range(FIRST, LAST + 1))
    assert assign(found, wanted) == {}


def test_what_no_colour_can_hold_is_left_out():
    assert assign({}, [(), route("abcb"), route("aba")]) == {}


def test_what_is_held_never_changes_even_where_it_contradicts_itself():
    held = {route("abc"): 3, route("adc"): 3, ("a>a",): 4, (): 5}
    assert assign(held, [route("ac")]) == {route("ac"): 1}
