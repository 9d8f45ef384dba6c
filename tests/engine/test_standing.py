# SPDX-License-Identifier: Apache-2.0
"""When repairs follow what was seen of links: not at once, not all at a time, and not for ever."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.compile.standing import SHARDS
from vneter_sdn.engine.standing import LONGEST, QUIET, Standing
from vneter_sdn.graph.topology import Observation

DOWN, UP = Observation(up=False), Observation()


class Heard:
    """In place of a compiler: what links are, and what counts, by shard."""

    def __init__(self):
        self.up, self.deviations, self.danger = {}, {}, set()
        self.asked = []

    def hosts(self):
        return ["h1"]

    def endangered(self, shard):
        self.asked.append(shard)
        return shard in self.danger

    def observe_links(self, observations, standing=None):
        self.up |= {name: seen is None or seen.up for name, seen in observations.items()}
        self.deviations |= {shard: dict(found) for shard, found in (standing or {}).items()}
        return {"h1": frozenset()}

    def counts(self, shard):
        return self.up | self.deviations.get(shard, {})


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def standing(heard):
    return Standing(heard)


def rest(standing, since):
    """Ticks, until all is at rest; when each shard followed."""
    found = []
    ticks = (since + tick / 4 for tick in count())
    while standing.busy:
        now = next(ticks)
        if standing.due(now, False):
            standing.follow()
            found.append(now)
    return found


def test_a_link_that_fails_counts_as_up_for_a_while(standing, heard):
    standing.see({"a>b": DOWN, "b>a": DOWN})
    assert standing.busy
    assert all(heard.counts(shard) == {"a>b": True, "b>a": True} for shard in range(SHARDS))
    followed = rest(standing, 100.0)
    assert followed[0] == 100 + QUIET
    assert len(followed) == len(set(followed)) == SHARDS
    assert all(heard.counts(shard) == {"a>b": False, "b>a": False} for shard in range(SHARDS))


def test_a_link_that_is_back_in_time_leaves_nothing_to_do(standing, heard):
    standing.see({"a>b": DOWN})
    standing.due(1.0, False)
    standing.see({"a>b": UP})
    assert not standing.busy
    assert not any(heard.deviations.values())


def test_what_is_measured_of_a_link_delays_nothing(standing):
    standing.see({"a>b": DOWN})
    standing.due(1.0, False)
    standing.see({"a>b": Observation(up=False, latency=3.0), "b>c": UP})
    assert standing.due(1 + QUIET, False)


def test_another_failure_begins_the_wait_anew(standing):
    standing.see({"a>b": DOWN})
    standing.due(1.0, False)
    standing.see({"b>c": DOWN})
    assert not standing.due(4.0, False)
    assert not standing.due(1 + QUIET, False)
    assert standing.due(4 + QUIET, False)


def test_links_that_never_rest_delay_others_so_long_only(standing):
    standing.see({"a>b": DOWN})
    for second in range(int(LONGEST)):
        standing.see({"b>c": DOWN if second % 2 else UP})
        assert not standing.due(10.0 + second, False)
    standing.see({"b>c": UP})
    assert standing.due(10 + LONGEST, False)


def test_after_a_rest_a_failure_waits_as_the_first_did(standing):
    standing.see({"a>b": DOWN})
    rest(standing, 0.0)
    standing.see({"a>b": UP})
    assert not standing.due(1000.0, False)
    assert standing.due(1000 + QUIET, False)


def test_bridges_that_owe_an_answer_are_waited_for(standing):
    standing.see({"a>b": DOWN})
    standing.due(0.0, False)
    assert not standing.due(QUIET, True)
    assert standing.due(QUIET, False)


def test_a_new_compiler_is_told_what_there_is_and_nothing_counts_otherwise(standing, heard):
    standing.begin({"a>b": DOWN})
    assert not standing.busy
    standing.see({"a>b": UP})
    assert heard.counts(0) == {"a>b": False}


def test_shards_in_danger_follow_as_soon_as_nobody_owes_an_answer(standing, heard):
    heard.danger = {3, 5}
    standing.see({"a>b": DOWN})
    assert not standing.due(1.0, True)
    assert standing.due(1.0, False)
    standing.follow()
    assert [heard.counts(shard)["a>b"] for shard in (3, 4, 5, 6)] == [False, True, False, True]
    assert not standing.due(1.25, False)
    assert heard.asked == list(range(SHARDS)), "each was asked about once"
    standing.see({"a>b": UP})
    assert standing.due(2.0, False)
    assert heard.asked[SHARDS:] == [3, 5], "the others are as they were"
    standing.follow()
    assert not standing.busy


def test_a_large_fleet_is_looked_through_shard_by_shard(standing, heard):
    heard.hosts = lambda: range(1000)
    heard.danger = {1}
    standing.see({"a>b": DOWN})
    assert not standing.due(1.0, False)
    assert standing.due(1.25, False)
    assert heard.asked == [0, 1]


steps = st.lists(
    st.one_of(
        st.just("follow"),
        st.dictionaries(st.sampled_from("abc"), st.sampled_from((DOWN, UP, None)), min_size=1),
    ),
    max_size=30,
)


@given(steps)
def test_only_a_turn_changes_what_counts_and_rest_ends_it(steps):
    heard = Heard()
    standing = Standing(heard)
    stood = {shard: dict.fromkeys("abc", True) for shard in range(SHARDS)}
    for step in steps:
        if step == "follow":
            if standing.busy:
                standing.follow()
                for shard in range(SHARDS):
                    counts = dict.fromkeys("abc", True) | heard.counts(shard)
                    assert counts == stood[shard] or not heard.deviations[shard]
                    stood[shard] = counts
        else:
            standing.see(step)
            for shard in range(SHARDS):
                assert dict.fromkeys("abc", True) | heard.counts(shard) == stood[shard]
    rest(standing, 0.0)
    assert not any(heard.deviations.values())
