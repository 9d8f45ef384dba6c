# SPDX-License-Identifier: Apache-2.0
"""A watch goes on: over lost connections, restarts, and what nobody remembers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import islice

import pytest

from vneter_sdn.client import Change, Client
from vneter_sdn.client.sending import Sender
from vneter_sdn.client.transport import Dropped, Reply
from vneter_sdn.client.watch import Asked, Watch
from vneter_sdn.errors import StoreUnavailable, Unauthenticated
from vneter_sdn.model.snapshot import Key


def tenant(name, revision=1):
    return {"apiVersion": "vneter.io/v1", "kind": "Tenant",
            "metadata": {"name": name, "revision": revision}, "spec": {}}  # fmt: skip


def event(sort, name="", position="", revision=1, **more):
    value = {"type": sort, "revision": revision, "position": position, **more}
    value |= {"object": tenant(name, revision)} if name else {}
    lines = [f"id: {position}"] if position else []
    return [*lines, f"event: {sort}", f"data: {json.dumps(value)}", ""]


class Line:
    """Streams that were written before; each ends as it says."""

    server = "a server"

    def __init__(self, *streams):
        self.streams, self.since = list(streams), []

    @contextmanager
    def stream(self, target, headers):
        assert headers["Accept"] == "text/event-stream"
        self.since.append(target.partition("since=")[2])
        given = self.streams.pop(0)
        if isinstance(given, Exception):
            raise given
        if isinstance(given, Reply):
            yield given, iter(())
            return

        def lines():
            for one in given:
                if isinstance(one, Exception):
                    raise one
                yield from (text.encode() for text in one)

        yield Reply(200, {"content-type": "text/event-stream; charset=utf-8"}), lines()

    def watch(self, since="", **more):
        named = {"sleep": lambda _: None, "clock": lambda: 0.0, **more}
        return Watch(Sender(self, {}), Asked("/v1/watch", {}, since), **named)


def told(changes):
    return [(one.sort, one.manifest["metadata"]["name"] if one.manifest else "") for one in changes]


def test_everything_comes_first_then_changes():
    line = Line([
        ["retry: 1000", ""], event("added", "a"), event("added", "b"), event("bookmark", "", "p1"),
        [": alive", ""], event("modified", "a", "p2", 2), event("deleted", "b", "p3", 3),
    ])  # fmt: skip
    found = list(islice(line.watch(), 5))
    assert told(found) == [("added", "a"), ("added", "b"), ("synced", ""), ("modified", "a"),
                           ("deleted", "b")]  # fmt: skip
    assert found[3].revision == 2
    assert found[3].key == Key("Tenant", "", "a")


def test_a_lost_connection_goes_on_where_it_ended():
    line = Line(
        [event("added", "a", "p1"), Dropped("reset")],
        StoreUnavailable("refused"),
        [event("added", "b", "p2")],
        [event("added", "c", "p3")],
    )
    lost = []
    found = list(islice(line.watch("p0", trouble=lost.append), 3))
    assert told(found) == [("added", "a"), ("added", "b"), ("added", "c")]
    assert line.since == ["p0", "p1", "p1", "p2"]
    assert list(map(str, lost)) == ["reset", "refused"]


def test_what_nobody_remembers_is_worked_out():
    line = Line(
        [event("added", "a"), event("added", "b"), event("bookmark", "", "p1"), event("gone")],
        [event("added", "a"), event("added", "c", revision=4), event("bookmark", "", "p9")],
        [event("deleted", "a", "p10", 5)],
    )
    found = list(islice(line.watch(), 6))
    assert told(found) == [("added", "a"), ("added", "b"), ("synced", ""), ("added", "c"),
                           ("deleted", "b"), ("deleted", "a")]  # fmt: skip
    assert line.since == ["", "", "p9"]


def test_a_place_that_is_refused_begins_anew():
    line = Line(
        Reply(410, {}, b'{"detail": "too long ago"}'),
        [event("added", "a"), event("bookmark", "", "p1")],
        [event("added", "b", "p2")],
    )
    found = list(islice(line.watch("old"), 2))
    assert told(found) == [("added", "a"), ("added", "b")]
    assert line.since == ["old", "", "p1"]


def test_a_first_list_that_breaks_off_is_told_once():
    line = Line(
        [event("added", "a"), Dropped("reset")],
        [event("added", "a"), event("added", "b"), event("bookmark", "", "p1")],
    )
    assert told(islice(line.watch(), 3)) == [("added", "a"), ("added", "b"), ("synced", "")]


def test_a_server_that_stays_away_is_an_error():
    now = iter(range(1000))
    line = Line(*[StoreUnavailable("refused")] * 100)
    with pytest.raises(StoreUnavailable, match="refused"):
        next(iter(line.watch("p", patience=10, clock=lambda: next(now))))


def test_an_expired_token_is_an_error_at_once():
    line = Line([event("added", "a", "p1")], Reply(401, {}, b'{"detail": "expired"}'))
    changes = iter(line.watch("p0"))
    assert next(changes).sort == "added"
    with pytest.raises(Unauthenticated, match="expired"):
        next(changes)


@pytest.mark.parametrize(
    "given",
    [
        Reply(200, {"content-type": "text/html"}, b""),
        [["data: {", ""]],
        [["data: " + "[" * 99_999, ""]],
    ],
    ids=["a page", "half an object", "nested"],
)
def test_other_programs_are_no_watch(given):
    clock = iter(range(0, 10_000, 100))
    with pytest.raises(StoreUnavailable):
        next(iter(Line(given).watch("p", patience=10, clock=lambda: next(clock))))


def test_over_a_restart_of_the_server_nothing_is_lost(running, client, make):
    client.apply([make("Tenant", "a")])
    lost = []
    changes = Client(running.address, timeout=30).watch(("tenant",), trouble=lost.append)
    assert [next(changes).sort for _ in range(2)] == ["added", "synced"]
    client.apply([make("Tenant", "b")])
    assert next(changes).key.name == "b"
    running.stop()
    running.start()
    client.apply([make("Tenant", "c")])
    client.delete("Tenant", "", "a")
    found = {(one.sort, one.key.name) for one in islice(changes, 2)}
    assert found == {("added", "c"), ("deleted", "a")}


def test_from_a_list_on(client, make):
    client.apply([make("Tenant", "a", labels={"x": "y"})])
    (page,) = client.pages("tenant")
    client.apply([make("Tenant", "b", labels={"x": "y"}), make("Tenant", "c")])
    changes = client.watch(("tenant",), selector="x=y", since=page.position)
    assert isinstance(first := next(changes), Change)
    assert first.key.name == "b"
