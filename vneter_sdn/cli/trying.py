# SPDX-License-Identifier: Apache-2.0
"""What ``verify`` and ``plan`` have in common: a network, a change to it, and words for both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vneter_sdn.cli.objects import noted, placed, read
from vneter_sdn.cli.reaching import Source, picture_of
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.errors import IntentError, NotFound, Problem
from vneter_sdn.model.snapshot import Key

if TYPE_CHECKING:
    from vneter_sdn.daemon.changing import Bench, Step
    from vneter_sdn.model.snapshot import Snapshot
    from vneter_sdn.northbound.manifests import Document
    from vneter_sdn.store.port import Edit
    from vneter_sdn.verify.reach import Change, Reach

_MANY = 20
"""Lines of one list that people read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A network, and a change to it."""

    where: Source
    files: Sequence[str] = ()
    delete: bool = False
    """Whether the change deletes what the files describe."""

    def __post_init__(self) -> None:
        """Raise `Usage` when it deletes, and nothing says what."""
        if self.delete and not self.files:
            raise Usage("--delete of what?", "name the files that describe it: -f FILE")


def bench_of(asked: Asked) -> Bench:
    """The network, compiled.

    Raises:
        IntentError: its manifests are malformed or not acceptable.
        StoreUnavailable: no controller answers.
    """
    from vneter_sdn.daemon.changing import Bench

    picture = picture_of(asked.where)
    return Bench(picture.snapshot, picture.compiler, alone=bool(asked.where.offline))


def taken(bench: Bench, asked: Asked) -> Step:
    """The change, carried out on the bench.

    Raises:
        IntentError, Conflict, NotFound: it is not acceptable.
    """
    documents = read(asked.files)
    if asked.delete:
        return bench.take(list(_deletions(bench.snapshot, documents)))
    try:
        edits, accepted = bench.edits(
            [document.value for document in documents], asked.where.tenant or "cluster"
        )
        noted(accepted.notes, documents)
        try:
            return bench.take(edits, _unattached(bench, edits))
        except IntentError as error:
            raise accepted.told(error) from None
    except IntentError as error:
        raise placed(error, documents) from None


def _unattached(bench: Bench, edits: Sequence[Edit]) -> list[str]:
    """What cannot be said of endpoints that no host has on a port yet."""
    new = [
        str(edit.key)
        for edit in edits
        if edit.key.kind == "Endpoint" and edit.key not in bench.snapshot.objects
    ]
    if bench.alone or not new:
        return []
    return [f"on no port yet, so left out: {_few(new)}"]


def _deletions(snapshot: Snapshot, documents: Sequence[Document]) -> Iterator[Edit]:
    from vneter_sdn.northbound import foreign
    from vneter_sdn.northbound.resources import key_of
    from vneter_sdn.store.port import Edit

    written = foreign.keys_by_title((k, one.annotations) for k, one in snapshot.objects.items())
    problems: list[Problem] = []
    for document in documents:
        if foreign.is_foreign(document.value):
            for title, _ in foreign.titles(document.value):
                if title not in written:
                    raise NotFound(f"nothing was made of {title}")
                yield from (Edit("delete", key) for key in written[title])
            continue
        try:
            yield Edit("delete", key_of(document.value, document.origin))
        except IntentError as error:
            problems.extend(error.problems)
    if problems:
        raise IntentError(*problems)


# ---- words


def _few(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def names_of(snapshot: Snapshot) -> Mapping[Key, str]:
    """What endpoints are called: as ``vneterctl reachability`` does."""
    from vneter_sdn.compile.network import Compiler
    from vneter_sdn.daemon.picture import Picture

    ends = Picture(snapshot, Compiler()).ends
    return {end.key: end.name for end in ends if end.key is not None}


def reach_values(reach: Reach, names: Mapping[Key, str]) -> list[dict[str, Any]]:
    """A matrix as plain values: ``{"from", "to", "what"}``."""
    from vneter_sdn.verify.reach import words

    return [
        {
            "from": names.get(pair.source, str(pair.source)),
            "to": names.get(pair.target, str(pair.target)),
            "what": sorted(words(packets)),
        }
        for pair, packets in sorted(reach.allowed.items())
    ]


def change_values(change: Change, names: Mapping[Key, str]) -> dict[str, Any]:
    """What is gained and lost, as plain values."""
    return {
        "gained": reach_values(change.gained, names),
        "lost": reach_values(change.lost, names),
    }


def change_lines(change: Change, step: Step, *, everything: bool) -> Iterator[str]:
    """What is gained and lost, for people: by classes of endpoints, then by pairs."""
    for sign, title, reach in (("+", "gained", change.gained), ("-", "lost", change.lost)):
        snapshot = step.after if sign == "+" else step.before
        pairs = len(reach.allowed)
        if not pairs:
            continue
        yield f"reachability {title}: {pairs} {'pair' if pairs == 1 else 'pairs'} of endpoints"
        lines = list(_pairs(reach, snapshot) if everything else _grouped(reach, snapshot))
        shown = lines if everything else lines[:_MANY]
        yield from (f"  {sign} {line}" for line in shown)
        if len(shown) < len(lines):
            yield f"  … and {len(lines) - len(shown)} more lines; -v or -o json tells all"
    if not change.gained.allowed and not change.lost.allowed:
        yield "reachability: nobody gains or loses any"


def _pairs(reach: Reach, snapshot: Snapshot) -> Iterator[str]:
    from vneter_sdn.verify.reach import words

    names = names_of(snapshot)
    for pair, packets in sorted(reach.allowed.items()):
        one, other = (names.get(key, str(key)) for key in pair)
        yield f"{one} > {other}: {', '.join(sorted(words(packets)))}"


def _grouped(reach: Reach, snapshot: Snapshot) -> Iterator[str]:
    """Pairs of which all endpoints of one class gain the same with all of another, as one."""
    from vneter_sdn.compile.classes import class_of
    from vneter_sdn.verify.reach import words

    names = names_of(snapshot)
    classes = {
        key: class_of(stored) for key, stored in snapshot.objects.items() if key.kind == "Endpoint"
    }
    members: defaultdict[Any, list[Key]] = defaultdict(list)
    for key, one in classes.items():
        if key in snapshot.bindings:
            members[one].append(key)
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for pair, packets in reach.allowed.items():
        what = ", ".join(sorted(words(packets)))
        found[what, classes.get(pair.source), classes.get(pair.target)].append(pair)
    for (what, source, target), pairs in sorted(found.items(), key=lambda one: sorted(one[1])[0]):
        ends = [members[source], members[target]]
        whole = sum(one != other for one in ends[0] for other in ends[1])
        if len(pairs) == whole and whole > 1:
            yield f"{_class(ends[0], snapshot, names)} > {_class(ends[1], snapshot, names)}: {what}"
        else:
            for pair in sorted(pairs):
                one, other = (names.get(key, str(key)) for key in pair)
                yield f"{one} > {other}: {what}"


def _class(members: Sequence[Key], snapshot: Snapshot, names: Mapping[Key, str]) -> str:
    if len(members) == 1:
        return names[members[0]]
    first = snapshot.objects[members[0]]
    labels = ",".join(f"{name}={value}" for name, value in sorted(first.labels.items()))
    space = f"{first.key.tenant}/{first.spec.namespace or '-'}"
    return f"{len(members)} of {space} {{{labels}}}"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 flow``, ``2 flows``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
