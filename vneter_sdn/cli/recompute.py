# SPDX-License-Identifier: Apache-2.0
"""``vneterctl recompute --check``: a full compilation as the oracle of the incremental one.

Takes the whole snapshot, compiles it afresh, and compares each bridge's digest with the one
the core reported for the flows it keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from vneter_sdn.cli.output import Form, structured
from vneter_sdn.cli.patience import patience
from vneter_sdn.cli.terminal import REFUSED, Answer, columns, paint
from vneter_sdn.client import Client
from vneter_sdn.model.snapshot import Key, Snapshot, Status
from vneter_sdn.northbound.exports import snapshot_from


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one bridge compares."""

    host: str
    word: str
    """``same``, ``differs``, ``behind`` (the core has not come to this revision) or ``unknown``."""
    fresh: str
    reported: str
    confirmed: bool
    """Whether the bridge has confirmed that it holds what was reported."""


def check(client: Client, how: Form = Form()) -> None:
    """Print a verdict per bridge.

    Raises:
        Answer: exit code 1 when a bridge differs, or is not known to be the same.
    """
    with patience("computing it anew"):
        snapshot = snapshot_from(client.snapshot())
        found = verdicts(snapshot, fresh_digests(snapshot))
    wrong = [one.host for one in found if one.word != "same"]
    print(_table(found) if how.for_people else structured({"items": _values(found)}, how))
    if wrong:
        text = f"not the same as a fresh computation: {', '.join(wrong)}"
        raise Answer(REFUSED, text, _SETTLING if _settling(snapshot) else "")
    if how.for_people:
        _conclude(found)


_SETTLING = "links went down or up a moment ago, and repairs follow a little later: ask again"
_SETTLED = timedelta(seconds=60)


def _settling(snapshot: Snapshot, now: datetime | None = None) -> bool:
    """Whether a link changed so lately that bridges may still follow (`engine.standing`)."""
    begin = ((now or datetime.now(UTC)) - _SETTLED).isoformat()
    return any(
        one.type == "Up" and one.changed > begin
        for key, status in snapshot.statuses.items()
        if key.kind == "Link"
        for one in status.conditions
    )


def _values(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    names = {"word": "verdict"}
    return [{names.get(name, name): v for name, v in asdict(one).items()} for one in found]


def _table(found: Sequence[Verdict]) -> str:
    rows = [["HOST", "VERDICT", "FRESH", "REPORTED", "ON THE BRIDGE"]]
    rows += [
        [
            *(one.host, one.word, one.fresh[:16], one.reported[:16] or "-"),
            "confirmed" if one.confirmed else "not confirmed",
        ]
        for one in found
    ]
    return "\n".join(columns(rows))


def _conclude(found: Sequence[Verdict]) -> None:
    print(paint(f"all {len(found)} bridges are as a fresh computation has them", "green"))
    unconfirmed = [one.host for one in found if not one.confirmed]
    if unconfirmed:
        told = f"not confirmed by the bridge itself: {', '.join(unconfirmed)}"
        print(paint(told, "yellow"), "(`vneterctl status` says why)")


def verdicts(snapshot: Snapshot, fresh: Mapping[str, str]) -> list[Verdict]:
    """Compare fresh digests, by host, with those the core reported in the snapshot."""
    result = []
    for host, digest in sorted(fresh.items()):
        status = snapshot.statuses.get(Key("Host", "", host))
        details: Mapping[str, Any] = status.details if status else {}
        reported = str(details.get("digest", ""))
        word = _word(digest, reported, snapshot, details)
        result.append(Verdict(host, word, digest, reported, _in_sync(status)))
    return result


def _in_sync(status: Status | None) -> bool:
    conditions = status.conditions if status else ()
    return any(one.type == "InSync" and one.status == "True" for one in conditions)


def fresh_digests(snapshot: Snapshot) -> dict[str, str]:
    """The digest of each host's bridge, compiled from nothing but the store and what was observed.

    Observed are ports of tunnels, and how links are: traffic goes round those that are down.
    """
    from vneter_sdn.compile.network import Observed, compile_snapshot
    from vneter_sdn.northbound.topology import observations

    ofports = {
        key.name: {n: int(t["port"]) for n, t in found.items() if int(t["port"]) > 0}
        for key, status in snapshot.statuses.items()
        if key.kind == "Host" and (found := status.details.get("tunnels"))
    }
    seen = Observed(links=dict(observations(snapshot)))
    compiler = compile_snapshot(snapshot, ofports, seen=seen)
    return {host: compiler.digest(host) for host in compiler.hosts()}


def _word(fresh: str, reported: str, snapshot: Snapshot, details: Mapping[str, Any]) -> str:
    if not reported:
        return "unknown"
    if fresh == reported:
        return "same"
    behind = int(details.get("compiledRevision", snapshot.revision)) < snapshot.revision
    return "behind" if behind else "differs"
