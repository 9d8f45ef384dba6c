# SPDX-License-Identifier: Apache-2.0
"""Which buckets of a group may be taken, and what that takes for granted.

Any bucket of a select group may be; of a fast-failover group the first that is live. A port whose
liveness nobody says is up in one case and down in the other, and stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vneter_sdn.model.flow import (
    ANY,
    Action,
    Bucket,
    Conntrack,
    Copy,
    DecTtl,
    Group,
    GroupAction,
    Output,
    Resubmit,
    SetField,
)
from vneter_sdn.simulate.bridge import MAX_DEPTH
from vneter_sdn.verify.state import Choice, State


@dataclass(frozen=True, slots=True)
class Buckets:
    """The groups of one bridge."""

    host: str
    groups: Mapping[int, Group]
    live: Callable[[str, int], bool] | None

    def taken(self, state: State, group: Group) -> Iterator[tuple[State, Sequence[Bucket]]]:
        """The buckets that may be taken, with what that takes for granted."""
        if group.kind in ("all", "indirect"):
            yield state, group.buckets if group.kind == "all" else group.buckets[:1]
            return
        select = group.kind == "select"
        seen: set[Bucket] = set()
        none_yet = [state]
        for number, bucket in enumerate(group.buckets):
            if select and not bucket.weight:
                continue
            still: list[State] = []
            for one in none_yet:
                for alive, lives in self.alive(one, bucket, MAX_DEPTH):
                    if lives and not (select and replace(bucket, weight=1) in seen):
                        chosen = alive.fork()
                        chosen.choices = (
                            *chosen.choices,
                            Choice(self.host, group.group, number),
                        )
                        yield chosen, (bucket,)
                    if not lives or select:
                        still.append(alive)
            seen.add(replace(bucket, weight=1))
            none_yet = still
        for one in none_yet:
            if not select or not self.any_live(one, group):
                one.choices = (*one.choices, Choice(self.host, group.group, None))
                yield one, ()

    def any_live(self, state: State, group: Group) -> bool:
        """Whether one of a select group's buckets is live, as far as ports were decided."""
        return any(
            lives
            for bucket in group.buckets
            if bucket.weight
            for _, lives in self.alive(state.fork(), bucket, MAX_DEPTH)
        )

    def alive(self, state: State, bucket: Bucket, depth: int) -> list[tuple[State, bool]]:
        """OpenFlow 1.5.1 §5.10.2: watching nothing is live, else either of what is watched."""
        if bucket.watch_port == ANY and bucket.watch_group == ANY:
            return [(state, True)]
        open_: list[State] = [state]
        found: list[tuple[State, bool]] = []
        if bucket.watch_port != ANY:
            split = self._up(state, bucket.watch_port)
            found = [(one, True) for one, up in split if up]
            open_ = [one for one, up in split if not up]
        watched = self.groups.get(bucket.watch_group)
        for other in watched.buckets if watched is not None and depth else ():
            still: list[State] = []
            for one in open_:
                for part, lives in self.alive(one, other, depth - 1):
                    if lives:
                        found.append((part, True))
                    else:
                        still.append(part)
            open_ = still
        return [*found, *((one, False) for one in open_)]

    def _up(self, state: State, port: int) -> list[tuple[State, bool]]:
        place = (self.host, port)
        if self.live is not None:
            return [(state, self.live(*place))]
        for held, up in state.up:
            if held == place:
                return [(state, up)]
        either = []
        for up in (True, False):
            one = state.fork()
            one.up = (*one.up, (place, up))
            either.append((one, up))
        return either


def as_action_set(actions: Sequence[Action]) -> list[Action]:
    """The order a bucket's actions have: TTL, sets, then one way out (OpenFlow 1.5.1 §5.6)."""
    ordered: list[Action] = []
    ordered += [action for action in actions if isinstance(action, DecTtl)][:1]
    ordered += [action for action in actions if isinstance(action, SetField | Copy)]
    for way_out in (GroupAction, Output, Resubmit, Conntrack):
        ways = [action for action in actions if isinstance(action, way_out)]
        if ways:
            return [*ordered, ways[-1]]
    return ordered
