# SPDX-License-Identifier: Apache-2.0
"""The journal of every store: diffs, digests, pruning, rollback, idempotency keys, audit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from vneter_sdn.admission import admit
from vneter_sdn.errors import Conflict, Forbidden, IntentError, NotFound, Problem
from vneter_sdn.model.access import AuditEntry
from vneter_sdn.model.snapshot import Pools, Snapshot
from vneter_sdn.store import journal, once, ovsdb
from vneter_sdn.store.port import Applied, Edit, Retention, Store

WIDE = ["10.0.0.0/16", "fd00::/64"]


def asked(snapshot: Snapshot) -> dict[Any, Any]:
    """What people wrote: specs, labels and annotations, by object."""
    return {
        key: (msgspec.to_builtins(one.spec), one.labels, one.annotations)
        for key, one in snapshot.objects.items()
    }


def held(store: Store, owner: str) -> dict[str, str]:
    owned = store.snapshot().allocations.values()
    return {a.pool: a.value for a in owned if a.owner == owner and a.released is None}


def until(holds: Callable[[], bool], store: Store) -> None:
    """Wait for what a store does behind its callers' backs; the test's own limit ends it."""
    while not holds():
        store.wait(store.snapshot(), 0.02)


def network(given: Any, mtu: int, **metadata: Any) -> Edit:
    edit = given.edit("Network", "web", prefixes=WIDE, mtu=mtu)
    edit.manifest["metadata"] |= metadata
    return edit


# Diffs


def test_a_revision_has_every_object_before_and_after(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada", message="first")
    uid = store.snapshot().objects[given.key("Network", "web")].uid
    store.apply(
        [network(given, 1300, labels={"a": "b"}), given.delete("Endpoint", "e1")], author="bob"
    )
    found = store.revision(2)
    assert found.revision == store.revisions()[0]
    assert [(change.verb, str(change.key)) for change in found.diff] == [
        ("deleted", "Endpoint red/e1"),
        ("updated", "Network red/web"),
    ]
    gone, changed = found.diff
    assert gone.after is None
    assert gone.before is not None
    assert gone.before.spec["network"] == "web"
    assert set(gone.lost) == {"slot", "mac/red/web", *(f"address/red/web/{one}" for one in WIDE)}
    assert changed.before is not None
    assert changed.after is not None
    assert changed.before.uid == changed.after.uid == uid
    assert (changed.before.labels, changed.after.labels) == ({}, {"a": "b"})
    assert changed.after.spec == changed.before.spec | {"mtu": 1300}
    assert changed.lost == {}


def test_long_diffs_survive(store: Store, given: Any) -> None:
    edits = [given.edit("Tenant", "red", description="ü" * 500)]
    edits[0].manifest["metadata"]["annotations"] = {"n": "x" * 60000, "m": "zlib:"}
    store.apply([*edits, given.edit("Tenant", "t" * 40)], author="ada")
    first = store.revision(1).diff[0]
    assert first.after is not None
    assert first.after.annotations == {"n": "x" * 60000, "m": "zlib:"}


def test_a_dry_run_tells_the_diff(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    would = store.apply([network(given, 1300)], author="ada", dry_run=True)
    (change,) = would.diff
    assert change.before is not None
    assert change.after is not None
    assert change.after.spec == change.before.spec | {"mtu": 1300}
    done = store.apply([network(given, 1300)], author="ada")
    assert store.revision(done.revision).diff == would.diff


@pytest.mark.parametrize("number", [0, 3, -1, 1 << 62])
def test_revisions_that_are_not_there(store: Store, given: Any, number: int) -> None:
    store.apply(given.world(), author="ada")
    with pytest.raises(NotFound, match=str(number)):
        store.revision(number)


def test_the_journal_by_author_and_object(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    for number in range(40):
        who = "bob" if number % 10 else "ada"
        store.apply([given.endpoint(f"x{number}")], author=who)
    store.apply([network(given, 1300)], author="bob")

    def numbers(*page: Any, **which: Any) -> list[int]:
        return [one.number for one in store.revisions(*page, **which)]

    assert numbers(author="ada") == [32, 22, 12, 2, 1]
    assert numbers(2, 22, author="ada") == [12, 2]
    assert numbers(about="Network red/web") == [42, 1]
    assert numbers(about="Network red/web", author="ada") == [1]
    assert numbers(about="Network red/\0", author="\ud800") == []
    assert numbers(about="Network red/we") == numbers(author="ad") == []
    assert numbers(3) == [42, 41, 40]
    assert numbers(100) == list(range(42, 0, -1))
    assert numbers(100, 0) == numbers(0) == numbers(100, -5) == []


# Chains


def test_each_revision_seals_the_one_before(store: Store, given: Any) -> None:
    assert store.verify().head == ""
    store.apply(given.world(), author="ada")
    store.sweep()
    store.apply([network(given, 1300)], author="ada")
    first, second = store.revision(1), store.revision(2)
    assert (first.previous, second.previous) == ("", first.revision.digest)
    assert (first.position, second.position) == (1, 2)
    found = store.verify()
    assert (found.entries, found.pruned, found.broken) == (2, 0, None)
    assert found.head == second.revision.digest


def test_audit_entries_are_chained_beside(store: Store, given: Any, clock: Any) -> None:
    before = store.snapshot()
    store.audit([AuditEntry("ada", "token create", "Credential bob", source="127.0.0.1")])
    clock.now += 1
    store.audit([AuditEntry("eve\ud800\0", "PUT /", outcome="refused: no"), AuditEntry("a", "b")])
    store.audit([])
    third, second, first = store.audited()
    assert (first.author, first.object, first.outcome) == ("ada", "Credential bob", "done")
    assert (first.source, first.time) == ("127.0.0.1", "2023-11-14T22:13:20.000Z")
    assert second.time == third.time == "2023-11-14T22:13:21.000Z"
    assert second.author.startswith("eve")
    assert [first.position, second.position, third.position] == [1, 2, 3]
    assert store.audited(1, 3) == (second,)
    assert store.audited(5, 1) == ()
    found = store.verify("audit")
    assert (found.entries, found.broken, found.head) == (3, None, third.digest)
    assert store.snapshot() is before


def test_many_append_at_once(store: Store, given: Any) -> None:
    def work(who: int) -> None:
        for number in range(5):
            store.audit([AuditEntry(f"w{who}", str(number))])
            store.apply([given.edit("Tenant", f"t{who}-{number}")], author=str(who))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert len(store.audited()) == store.verify("audit").entries == 15
    assert store.verify("audit").broken is None
    assert (store.verify().entries, store.verify().broken) == (15, None)


# Pruning


def test_what_is_over_is_pruned_and_the_rest_verifies(keeping: Any, given: Any) -> None:
    store = keeping(Retention(revisions=5, audit=3))
    store.apply(given.world(), author="ada")
    for number in range(11):
        store.apply([given.endpoint(f"x{number}")], author="ada")
        store.audit([AuditEntry("ada", str(number))])
    until(lambda: len(store.revisions()) == 5, store)
    until(lambda: len(store.audited()) == 3, store)
    assert [one.number for one in store.revisions()] == [12, 11, 10, 9, 8]
    found = store.verify()
    assert (found.entries, found.pruned, found.broken) == (5, 7, None)
    found = store.verify("audit")
    assert (found.entries, found.pruned, found.broken) == (3, 8, None)
    with pytest.raises(NotFound, match="revision 7 is not kept"):
        store.revision(7)


def test_old_revisions_are_pruned_but_for_the_newest(keeping: Any, given: Any, clock: Any) -> None:
    store = keeping(Retention(seconds=3600))
    store.apply(given.world(), author="ada")
    for number in range(4):
        clock.now += 1000
        store.apply([given.endpoint(f"x{number}")], author="ada")
    until(lambda: len(store.revisions()) == 4, store)
    clock.now += 1e6
    store.apply([given.endpoint("last")], author="ada")
    until(lambda: len(store.revisions()) == 1, store)
    assert store.verify().broken is None


def test_nothing_is_pruned_unless_asked(keeping: Any, given: Any, clock: Any) -> None:
    store = keeping(Retention(revisions=0, audit=0))
    for number in range(20):
        clock.now += 1e7
        store.apply([given.edit("Tenant", f"t{number}")], author="ada")
    assert len(store.revisions()) == 20


# Rollback


def test_rollback_is_a_revision(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    store.apply([network(given, 1300)], author="ada")
    before = asked(store.snapshot())
    store.apply(
        [network(given, 1400), given.delete("Endpoint", "e1"), given.endpoint("e2")], author="ada"
    )
    would = store.rollback(2, author="bob", dry_run=True)
    assert [change.verb for change in would.diff] == ["created", "deleted", "updated"]
    assert store.snapshot().revision == 3
    done = store.rollback(2, author="bob", message="the night was bad")
    assert done.revision == 4
    assert (done.created, done.updated, done.deleted) == (
        would.created,
        would.updated,
        would.deleted,
    )
    assert asked(store.snapshot()) == before
    newest = store.revisions()[0]
    assert (newest.author, newest.message) == ("bob", "rollback to 2: the night was bad")
    assert [change.verb for change in store.revision(4).diff] == ["created", "deleted", "updated"]
    assert store.verify().broken is None


def test_rolling_back_a_rollback(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    store.apply([network(given, 1300), given.delete("Endpoint", "e1")], author="ada")
    second = asked(store.snapshot())
    store.rollback(1, author="ada")
    store.rollback(2, author="ada")
    assert asked(store.snapshot()) == second
    assert store.revisions()[0].message == "rollback to 2"


def test_rollback_to_now_changes_nothing(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    before = store.snapshot()
    done = store.rollback(1, author="ada")
    assert done == Applied(1)
    assert store.snapshot() is before
    assert len(store.revisions()) == 1


def test_rollback_to_the_beginning_and_back(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    first = asked(store.snapshot())
    assert len(store.rollback(0, author="ada").deleted) == 4
    assert not store.snapshot().objects
    store.rollback(1, author="ada")
    assert asked(store.snapshot()) == first


def test_what_comes_back_has_the_numbers_it_had(store: Store, given: Any, clock: Any) -> None:
    store.apply(given.world(), author="ada")
    store.apply([given.endpoint("e2")], author="ada")
    store.apply([given.delete("Endpoint", "e1")], author="ada")
    names = ("Endpoint red/e2", "Network red/web", "Host h1", "Tenant red")
    before = {name: held(store, name) for name in names}
    uid = store.snapshot().objects[given.key("Endpoint", "e2")].uid
    store.rollback(0, author="ada")
    clock.now += 1000
    store.sweep()
    assert not store.snapshot().allocations
    store.rollback(3, author="ada")
    assert {name: held(store, name) for name in names} == before
    assert store.snapshot().objects[given.key("Endpoint", "e2")].uid != uid


def test_a_number_that_was_given_away_is_not_taken_back(
    store: Store, given: Any, clock: Any
) -> None:
    store.apply([given.edit("Tenant", "red")], author="ada")
    assert held(store, "Tenant red") == {Pools.TENANT: "1"}
    store.apply([given.delete("Tenant", "red")], author="ada")
    clock.now += 1000
    store.sweep()
    newest = store.snapshot().revision
    store.apply([given.edit("Tenant", "blue")], author="ada")
    assert held(store, "Tenant blue") == {Pools.TENANT: "1"}
    back = store.apply([given.edit("Tenant", "green")], author="ada").revision
    store.rollback(1, author="ada")
    assert held(store, "Tenant red")[Pools.TENANT] == "3"
    assert newest < back


@pytest.mark.parametrize("number", [4, 1 << 62])
def test_no_rollback_to_what_never_was(store: Store, given: Any, number: int) -> None:
    store.apply(given.world(), author="ada")
    with pytest.raises(NotFound, match="the newest is 1"):
        store.rollback(number, author="ada")
    with pytest.raises(NotFound):
        store.edits_back_to(number)


def test_no_rollback_to_less_than_nothing(store: Store, given: Any) -> None:
    with pytest.raises(IntentError, match="-1"):
        store.rollback(-1, author="ada")


def test_no_rollback_to_what_was_pruned(keeping: Any, given: Any) -> None:
    store = keeping(Retention(revisions=3))
    store.apply(given.world(), author="ada")
    states = [asked(store.snapshot())]
    for number in range(9):
        store.apply([given.endpoint(f"x{number}")], author="ada")
        states.append(asked(store.snapshot()))
    until(lambda: len(store.revisions()) == 3, store)
    with pytest.raises(NotFound, match=r"revision 6 was pruned.*the oldest to roll back to is 7"):
        store.rollback(6, author="ada")
    store.rollback(7, author="ada")
    assert asked(store.snapshot()) == states[6]


def test_a_rollback_that_breaks_a_rule_of_now_is_refused(
    store: Store, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acceptable then may not be to a later release."""
    store.apply(given.world(), author="ada")
    store.apply([network(given, 1300)], author="ada")
    before = store.snapshot()

    def stricter(stored: Any, draft: Any, *, local: bool) -> Any:
        if getattr(stored.spec, "mtu", 1300) != 1300:
            yield Problem(str(stored.key), "spec.mtu", "TooLarge", "must be 1300")

    monkeypatch.setattr(admit, "check", stricter)
    for dry_run in (True, False):
        with pytest.raises(IntentError, match=r"Network red/web: spec\.mtu"):
            store.rollback(1, author="ada", dry_run=dry_run)
    assert store.snapshot() is before
    assert [str(edit.key) for edit in store.edits_back_to(1)] == ["Network red/web"]


def test_what_a_rollback_writes_may_be_refused(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    store.apply([network(given, 1300), given.delete("Endpoint", "e1")], author="ada")
    seen: list[tuple[str, str]] = []

    def refuse(edits: Any) -> None:
        seen.extend((edit.verb, str(edit.key)) for edit in edits)
        raise Forbidden("no")

    with pytest.raises(Forbidden):
        store.rollback(1, author="eve", allow=refuse)
    assert seen == [("create", "Endpoint red/e1"), ("replace", "Network red/web")]
    assert store.snapshot().revision == 2


# Requests that must not be done twice


def test_a_request_with_a_key_is_done_once(store: Store, given: Any) -> None:
    first = store.apply(given.world(), author="ada", idempotency_key="k1")
    store.apply([network(given, 1300)], author="ada")
    again = store.apply(given.world(), author="ada", idempotency_key="k1")
    assert again == replace(first, replayed=True)
    assert store.snapshot().revision == 2
    assert len(store.revisions()) == 2
    other = store.apply(given.world(), author="bob", idempotency_key="k1")
    assert (other.replayed, other.updated) == (False, (given.key("Network", "web"),))


def test_keys_are_for_one_request(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada", message="m", idempotency_key="k1")
    for edits, message in (([network(given, 1300)], "m"), (given.world(), "n")):
        with pytest.raises(IntentError) as refusal:
            store.apply(edits, author="ada", message=message, idempotency_key="k1")
        assert refusal.value.problems[0].reason == "KeyReused"
    with pytest.raises(IntentError):
        store.rollback(0, author="ada", message="m", idempotency_key="k1")
    assert store.snapshot().revision == 1


def test_what_was_refused_may_be_tried_again_with_its_key(store: Store, given: Any) -> None:
    create = Edit("create", *([given.edit("Tenant", "red")][0].key,), None)
    create = replace(create, manifest=given.edit("Tenant", "red").manifest)
    store.apply([given.edit("Tenant", "red")], author="ada")
    with pytest.raises(Conflict):
        store.apply([create], author="ada", idempotency_key="k")
    store.apply([given.delete("Tenant", "red")], author="ada")
    assert store.apply([create], author="ada", idempotency_key="k").created
    assert store.apply([create], author="ada", idempotency_key="k").replayed


def test_a_key_is_kept_where_nothing_changed_and_of_rollbacks(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada")
    same = store.apply(given.world(), author="ada", idempotency_key="same")
    assert store.apply(given.world(), author="ada", idempotency_key="same") == replace(
        same, replayed=True
    )
    back = store.rollback(0, author="ada", idempotency_key="back")
    assert store.rollback(0, author="ada", idempotency_key="back") == replace(back, replayed=True)
    assert store.snapshot().revision == 2


def test_a_dry_run_neither_reads_nor_writes_keys(store: Store, given: Any) -> None:
    store.apply(given.world(), author="ada", dry_run=True, idempotency_key="k")
    assert not store.apply(given.world(), author="ada", idempotency_key="k").replayed
    store.apply([network(given, 1300)], author="ada", dry_run=True, idempotency_key="k")


def test_keys_are_forgotten(keeping: Any, given: Any, clock: Any) -> None:
    store = keeping(Retention(requests=100))
    store.apply(given.world(), author="ada", idempotency_key="k")
    clock.now += 99
    assert store.apply(given.world(), author="ada", idempotency_key="k").replayed
    clock.now += 2
    assert not store.apply(given.world(), author="ada", idempotency_key="k").replayed
    clock.now += 101
    changed = [network(given, 1300)]
    assert store.apply(changed, author="ada", idempotency_key="k").updated


@pytest.mark.parametrize("key", ["x" * 129, "a\nb", "\0", "\ud800", "é\x7f"])
def test_bad_keys_are_refused(store: Store, given: Any, key: str) -> None:
    with pytest.raises(IntentError) as refusal:
        store.apply(given.world(), author="ada", idempotency_key=key)
    assert refusal.value.problems[0].reason == "InvalidKey"
    assert not store.snapshot().objects


def test_one_key_from_many_at_once_is_one_revision(store: Store, given: Any) -> None:
    def work(_: int) -> Applied:
        return store.apply(given.world(), author="ada", idempotency_key="k")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(work, range(6)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 5]
    assert {answer.revision for answer in answers} == {1}
    assert all(len(answer.created) == 4 for answer in answers)


def test_keys_may_be_kept_for_ever(keeping: Any, given: Any, clock: Any) -> None:
    store = keeping(Retention(requests=0))
    store.apply(given.world(), author="ada", idempotency_key="k")
    clock.now += 1e9
    assert store.apply(given.world(), author="ada", idempotency_key="k").replayed


def test_a_rollback_is_answered_again_although_its_history_is_gone(
    keeping: Any, given: Any
) -> None:
    store = keeping(Retention(revisions=2))
    store.apply(given.world(), author="ada")
    store.apply([given.endpoint("e2")], author="ada")
    done = store.rollback(1, author="ada", idempotency_key="k")
    for number in range(4):
        store.apply([given.edit("Tenant", f"t{number}")], author="ada")
    until(lambda: len(store.revisions()) == 2, store)
    assert store.rollback(1, author="ada", idempotency_key="k") == replace(done, replayed=True)
    with pytest.raises(NotFound):
        store.rollback(1, author="ada")


def test_so_many_keys_are_kept_and_no_more(
    keeping: Any, given: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ANSWERS", 3)
    monkeypatch.setattr(ovsdb, "COUNTED", 1)
    store = keeping(None)
    for number in range(9):
        clock.now += 1
        store.apply(given.world(), author="ada", idempotency_key=f"k{number}")

    def known(number: int) -> bool:
        asked = once.apply_asked("ada", f"k{number}", given.world(), "")
        assert asked is not None
        return store.remembered(asked) is not None

    until(lambda: not any(map(known, range(6))), store)
    assert all(map(known, range(6, 9)))
