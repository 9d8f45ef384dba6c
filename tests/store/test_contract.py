# SPDX-License-Identifier: Apache-2.0
"""What every store promises (`vneter_sdn.store.port`), held against each."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from vneter_sdn.errors import Conflict, IntentError, NotFound, StoreUnavailable
from vneter_sdn.model.access import Credential
from vneter_sdn.model.colours import colour_of
from vneter_sdn.model.snapshot import Binding, Condition, Pools, Status
from vneter_sdn.store.port import Edit, Store


def values(store: Store, pool: str) -> dict[str, str]:
    held = store.snapshot().allocations.values()
    return {a.value: a.owner for a in held if a.pool.startswith(pool) and a.released is None}


def test_create_read_update_delete(store: Store, given: Any) -> None:
    created = store.apply(given.world(), author="ada", message="first")
    assert created.revision == 1
    assert len(created.created) == 4
    snapshot = store.snapshot()
    assert snapshot.revision == 1
    stored = snapshot.objects[given.key("Network", "web")]
    assert stored.revision == 1
    assert stored.uid
    updated = store.apply(
        [given.edit("Network", "web", prefixes=["10.0.0.0/16", "fd00::/64"], mtu=1300)],
        author="ada",
    )
    assert updated.updated == (given.key("Network", "web"),)
    again = store.snapshot().objects[given.key("Network", "web")]
    assert (again.spec.mtu, again.uid, again.created) == (1300, stored.uid, stored.created)
    assert store.apply([given.delete("Endpoint", "e1")], author="ada").deleted
    assert given.key("Endpoint", "e1") not in store.snapshot().objects


def test_labels_and_text_survive(store: Store, given: Any) -> None:
    edit = given.edit("Tenant", "red", description='ünï "quoted" \\ 漢字 \U0001f600\n')
    edit.manifest["metadata"]["labels"] = {"a/b": "c.d", "e": ""}
    edit.manifest["metadata"]["annotations"] = {"note": "ü" * 60000}
    store.apply([edit], author="ü\ud800\0")
    stored = store.snapshot().objects[given.key("Tenant", "red")]
    assert stored.spec.description == edit.manifest["spec"]["description"]
    assert stored.labels == {"a/b": "c.d", "e": ""}
    assert len(stored.annotations["note"]) == 60000
    assert store.apply([edit], author="x").unchanged
    assert store.revisions()[0].author.startswith("ü")


def test_nothing_changed_keeps_the_revision(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    before = store.snapshot()
    again = store.apply(given.world(), author="ada")
    assert again.revision == 1
    assert len(again.unchanged) == 4
    assert store.snapshot() is before
    assert len(store.revisions()) == 1


def test_a_batch_is_all_or_nothing(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    before = store.snapshot()
    with pytest.raises(IntentError):
        store.apply([given.endpoint("good"), given.endpoint("bad", network="nope")], author="x")
    with pytest.raises(NotFound):
        store.apply([given.endpoint("good"), given.delete("Endpoint", "nope")], author="x")
    assert store.snapshot() is before


@pytest.mark.parametrize("text", ["\ud800", "nul\0", "x" * 2000])
def test_bad_text_changes_nothing(store: Store, given: Any, text: str) -> None:
    with pytest.raises(IntentError):
        store.apply([given.edit("Tenant", "t", description=text)], author="x")
    assert not store.snapshot().objects


def test_dry_run_changes_nothing(store: Store, given: Any) -> None:
    before = store.snapshot()
    would = store.apply(given.world(), author="ada", dry_run=True)
    assert len(would.created) == 4
    assert would.revision == 0
    assert store.snapshot() is before
    assert store.revisions() == ()


def test_an_edit_may_say_at_which_revision(store: Store, given: Any) -> None:
    edit = given.edit("Tenant", "red")
    store.apply([replace(edit, revision=0)], author="x")
    for stale in (replace(edit, revision=0), Edit("delete", edit.key, revision=7)):
        with pytest.raises(Conflict, match="read it again"):
            store.apply([stale], author="x")
    with pytest.raises(NotFound):
        store.apply([Edit("delete", given.key("Tenant", "blue"), revision=1)], author="x")
    assert store.apply([Edit("delete", edit.key, revision=1)], author="x").deleted == (edit.key,)


def test_a_key_may_stand_for_what_was_asked(store: Store, given: Any) -> None:
    edit = replace(given.edit("Tenant", "red"), asked={"a": 1})
    store.apply([edit], author="x", idempotency_key="k")
    again = replace(given.edit("Tenant", "red", description="y"), asked={"a": 1})
    assert store.apply([again], author="x", idempotency_key="k").replayed
    with pytest.raises(IntentError, match="another request"):
        store.apply([replace(edit, asked={"a": 2})], author="x", idempotency_key="k")


def test_stale_revision_conflicts(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    edit = given.edit("Network", "web", prefixes=["10.0.0.0/16", "fd00::/64"], mtu=1300)
    edit.manifest["metadata"]["revision"] = 1
    store.apply([edit], author="ada")
    with pytest.raises(Conflict):
        store.apply([edit], author="bob")


def test_journal(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada", message="why")
    store.apply([given.delete("Endpoint", "e1")], author="bob")
    store.apply([given.endpoint("e2")], author="bob")
    newest = store.revisions()
    assert [entry.number for entry in newest] == [3, 2, 1]
    assert newest[1].changes == ("deleted Endpoint red/e1",)
    assert (newest[2].author, newest[2].message) == ("ada", "why")
    assert [entry.number for entry in store.revisions(limit=1, before=3)] == [2]


def test_wait_tells_exactly_what_changed(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    start = store.snapshot()
    assert store.wait(start, 0.0) is None
    store.apply([given.endpoint("e2")], author="ada")
    endpoint = given.key("Endpoint", "e2")
    found = store.wait(start, 5.0)
    assert found is not None
    after, delta = found
    assert delta.objects == {endpoint}
    assert {after.allocations[place].owner for place in delta.allocations} == {str(endpoint)}
    assert delta.bindings == delta.statuses == frozenset()
    store.bind([Binding(endpoint, "h1", "veth", 3, 1)])
    store.report([Status(endpoint, 2)])
    final = store.snapshot()
    found = store.wait(after, 5.0)
    while found is not None and found[0].statuses == after.statuses:
        found = store.wait(found[0], 5.0)
    assert found is not None
    assert store.snapshot() is final, "own reports are seen at once"
    everything = store.wait(start, 0.0)
    assert everything is not None
    assert everything[1].bindings == everything[1].statuses == {endpoint}


def test_changes_that_cancel_out_are_no_changes(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    start = store.snapshot()
    store.bind([Binding(given.key("Endpoint", "e1"), "h1", "veth", 3, 1)])
    store.bind([], [given.key("Endpoint", "e1")])
    found = store.wait(start, 5.0)
    assert found is not None
    assert found[1].bindings == frozenset()


def test_wait_wakes_a_waiter(store: Store, given: Any) -> None:
    start, seen = store.snapshot(), []
    waiter = threading.Thread(target=lambda: seen.append(store.wait(start, 30.0)))
    waiter.start()
    store.apply(given.world(), author="ada")
    waiter.join(30.0)
    assert seen[0][0].revision == 1


def test_newer_bindings_win(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    key = given.key("Endpoint", "e1")
    store.bind([Binding(key, "h2", "veth", 7, 5)])
    store.bind([Binding(key, "h1", "veth", 3, 4)])
    assert store.snapshot().bindings[key].host == "h2"
    store.bind([Binding(key, "h1", "veth", 3, 6)])
    assert store.snapshot().bindings[key].host == "h1"
    store.bind([], [key])
    assert not store.snapshot().bindings


def test_reports_of_the_gone_are_dropped(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    key, gone = given.key("Endpoint", "e1"), given.key("Endpoint", "gone")
    condition = Condition("Ready", "True", "Programmed", "ok", "2026-01-01T00:00:00Z")
    status = Status(key, 1, (condition,), {"flows": 3, "peers": ["a"]})
    store.report([status, Status(gone, 1)])
    store.bind([Binding(key, "h1", "veth", 3, 1), Binding(gone, "h1", "v", 3, 1)])
    assert dict(store.snapshot().statuses) == {key: status}
    assert set(store.snapshot().bindings) == {key}
    store.apply([given.delete("Endpoint", "e1")], author="ada")
    assert not store.snapshot().statuses
    assert not store.snapshot().bindings


def test_sweep_retries_and_forgets(store: Store, given: Any, clock: Any) -> None:
    store.apply(
        [*given.world(), given.edit("Network", "tiny", prefixes=["10.9.0.0/30"])], author="ada"
    )
    store.apply([given.endpoint("a", "tiny"), given.endpoint("b", "tiny")], author="ada")
    store.apply([given.delete("Endpoint", "a")], author="ada")
    revision = store.snapshot().revision
    assert store.sweep().revision == revision
    clock.now += 61.25
    assert store.sweep().revision == revision + 1
    assert values(store, "address/red/tiny")["10.9.0.2"] == "Endpoint red/b"
    assert store.sweep().revision == revision + 1


def test_concurrent_appliers_never_share_a_value(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    failures: list[BaseException] = []

    def work(who: int) -> None:
        try:
            for number in range(8):
                store.apply([given.endpoint(f"w{who}-{number}")], author=str(who))
        except BaseException as error:  # noqa: BLE001 -- shown below
            failures.append(error)

    workers = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    owners = [o for o in values(store, "address/red/web/10").values() if o.startswith("Endpoint")]
    assert len(owners) == len(set(owners)) == 33
    assert len(store.revisions()) == store.snapshot().revision == 33


def test_closed_stores_say_so(store: Store, given: Any) -> None:
    start = store.snapshot()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            store.wait(start, 30.0)
        except StoreUnavailable as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    store.close()
    waiter.join(30.0)
    assert errors
    with pytest.raises(StoreUnavailable):
        store.apply(given.world(), author="ada")


def test_create_and_replace_mind_what_is_there(store: Store, given: Any) -> None:
    edit = given.edit("Tenant", "red")
    with pytest.raises(NotFound):
        store.apply([Edit("replace", edit.key, edit.manifest)], author="x")
    store.apply([Edit("create", edit.key, edit.manifest)], author="x")
    with pytest.raises(Conflict):
        store.apply([Edit("create", edit.key, edit.manifest)], author="x")


# Colours of routes


def colours(store: Store) -> dict[str, tuple[int, bool]]:
    """Colour of each route, and whether it rests."""
    held = store.snapshot().allocations.values()
    return {a.value: (colour_of(a), a.released is not None) for a in held if a.pool == Pools.PATH}


def test_colours_are_kept_at_the_same_revision(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    before = store.snapshot()
    store.colour({"h1>h2": 1, "h1>h3 h3>h2": 2})
    after = store.snapshot()
    assert after.revision == before.revision
    assert colours(store) == {"h1>h2": (1, False), "h1>h3 h3>h2": (2, False)}
    found = store.wait(before, 5.0)
    assert found is not None
    assert found[1].allocations == {(Pools.PATH, "h1>h2"), (Pools.PATH, "h1>h3 h3>h2")}
    store.colour({"h1>h2": 1}, ["unknown"])
    assert store.snapshot() is after, "what is so already is not written"
    assert store.apply([given.endpoint("e2")], author="ada").revision == before.revision + 1
    assert len(colours(store)) == 2


def test_a_route_keeps_its_colour_whatever_is_asked(store: Store) -> None:
    store.colour({"h1>h2": 1})
    store.colour({"h1>h2": 7}, ["h1>h2"])
    assert colours(store) == {"h1>h2": (1, False)}
    store.colour({}, ["h1>h2"])
    store.colour({"h1>h2": 9})
    assert colours(store) == {"h1>h2": (1, False)}, "revived with its old colour"


def test_a_released_route_rests_and_is_forgotten(store: Store, clock: Any) -> None:
    store.colour({"h1>h2": 1, "h1>h3": 2})
    store.colour({}, ["h1>h2"])
    released = clock.now
    clock.now = released + 60
    store.colour({}, ["h1>h2"])
    clock.now = released + 119
    assert store.sweep().revision == 0
    assert colours(store) == {"h1>h2": (1, True), "h1>h3": (2, False)}
    clock.now = released + 120
    store.sweep()
    assert colours(store) == {"h1>h3": (2, False)}
    store.colour({"h1>h2": 5})
    assert colours(store)["h1>h2"] == (5, False)


@pytest.mark.parametrize("colour", [0, 64, -1])
def test_colours_that_no_locator_holds_are_refused(store: Store, colour: int) -> None:
    with pytest.raises(ValueError, match="colour"):
        store.colour({"h1>h2": colour})
    assert not colours(store)


def test_colouring_by_many_at_once(store: Store) -> None:
    def work(number: int) -> None:
        for step in range(8):
            store.colour({f"r{step}": number + 1, f"own{number}": 9}, [f"own{number}"] * (step % 2))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = colours(store)
    assert found.keys() == {f"r{step}" for step in range(8)} | {f"own{n}" for n in range(4)}
    assert not any(rests for _, rests in found.values())


def test_policies_are_numbered(store: Store, given: Any) -> None:
    store.apply([given.edit("PathPolicy", "fast"), given.edit("PathPolicy", "far")], author="ada")
    assert sorted(values(store, Pools.POLICY)) == ["1", "2"]


# Links that are found


def test_links_are_reported_without_objects(store: Store, given: Any) -> None:
    link, endpoint = given.key("Link", "h1-h2"), given.key("Endpoint", "nobody")
    seen = Status(link, 0, (Condition("Ready", "True", "Up"),), {"state": "up"})
    store.report([seen, Status(endpoint)])
    assert store.snapshot().statuses == {link: seen}
    assert store.snapshot().revision == 0
    before = store.snapshot()
    worse = Status(link, 0, (), {"state": "down", "loss": 0.5})
    store.report([worse])
    found = store.wait(before, 5.0)
    assert found is not None
    assert found[1].statuses == {link}
    assert store.snapshot().statuses == {link: worse}
    before = store.snapshot()
    store.report([worse], [given.key("Link", "unknown"), endpoint])
    assert store.snapshot() is before
    store.report([], [link])
    assert not store.snapshot().statuses
    store.report([seen])
    assert store.snapshot().statuses == {link: seen}


def test_the_status_of_a_link_goes_with_its_object(store: Store, given: Any) -> None:
    link = given.key("Link", "h1-h2")
    hosts = [given.edit("Host", name, ovsdb=f"unix:/run/{name}") for name in ("h1", "h2")]
    store.report([Status(link, 0, (), {"state": "up"})])
    declared = given.edit("Link", "h1-h2", source="h1", target="h2")
    store.apply([*hosts, declared], author="ada")
    assert store.snapshot().statuses[link].details == {"state": "up"}
    store.report([Status(link, 1, (), {"state": "down"})], [link])
    assert store.snapshot().statuses[link].details == {"state": "down"}, "it is declared"
    store.apply([given.delete("Link", "h1-h2")], author="ada")
    assert not store.snapshot().statuses
    store.report([Status(link)])
    assert set(store.snapshot().statuses) == {link}


# Credentials


def test_credentials_are_kept_beside_the_intent(store: Store) -> None:
    before = store.snapshot()
    first = Credential("ada", "scrypt:aa", '{"role":"admin"}', "root", "2026-01-01T00:00:00Z")
    second = Credential("bob", "scrypt:bb", expires="2027-01-01T00:00:00Z")
    store.issue(second)
    store.issue(first)
    assert store.credentials() == (first, second)
    assert store.credential("bob") == second
    assert store.credential("eve") is None
    assert store.snapshot() is before
    with pytest.raises(Conflict, match="bob"):
        store.issue(Credential("bob", "other"))
    store.revoke("bob")
    assert store.credentials() == (first,)
    with pytest.raises(NotFound, match="bob"):
        store.revoke("bob")


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_credentials_that_no_database_holds_are_refused(store: Store, text: str) -> None:
    for credential in (Credential(f"a{text}", "d"), Credential("a", "d", expires=text)):
        with pytest.raises(IntentError):
            store.issue(credential)
    with pytest.raises(NotFound):
        store.revoke(text)
    assert store.credentials() == ()
    assert store.credential(text) is None
