# SPDX-License-Identifier: Apache-2.0
"""``vneterctl recompute --check``: a full compilation as the oracle of the incremental one.

Takes the whole snapshot, compiles it afresh, and compares each bridge's digest with the one
the core reported for the flows it keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vneter_sdn.cli.terminal import REFUSED, Answer, columns, paint
from vneter_sdn.model.snapshot import Key, Snapshot
from vneter_sdn.northbound.client import Client
from vneter_sdn.northbound.exports import snapshot_from


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one bridge compares."""

    host: str
    word: str
    """``same``, ``differs``, ``behind`` (the core has not come to this revision) or ``unknown``."""
    fresh: str
    reported: str


def check(client: Client) -> None:
    """Print a verdict per bridge.

    Raises:
        Answer: exit code 1 when a bridge differs, or is not known to be the same.
    """
    snapshot = snapshot_from(client.snapshot())
    found = verdicts(snapshot, fresh_digests(snapshot))
    rows = [["HOST", "VERDICT", "FRESH", "REPORTED"]]
    rows += [[one.host, one.word, one.fresh[:16], one.reported[:16] or "-"] for one in found]
    print("\n".join(columns(rows)))
    wrong = [one.host for one in found if one.word != "same"]
    if wrong:
        raise Answer(REFUSED, f"not the same as a fresh computation: {', '.join(wrong)}")
    print(paint(f"all {len(found)} bridges are as a fresh computation has them", "green"))


def verdicts(snapshot: Snapshot, fresh: Mapping[str, str]) -> list[Verdict]:
    """Compare fresh digests, by host, with those the core reported in the snapshot."""
    result = []
    for host, digest in sorted(fresh.items()):
        status = snapshot.statuses.get(Key("Host", "", host))
        details: Mapping[str, Any] = status.details if status else {}
        reported = str(details.get("digest", ""))
        result.append(Verdict(host, _word(digest, reported, snapshot, details), digest, reported))
    return result


def fresh_digests(snapshot: Snapshot) -> dict[str, str]:
    """The digest of each host's bridge, compiled from nothing but the store and observed ports."""
    from vneter_sdn.compile.network import compile_snapshot

    ofports = {
        key.name: {n: int(t["port"]) for n, t in found.items() if int(t["port"]) > 0}
        for key, status in snapshot.statuses.items()
        if key.kind == "Host" and (found := status.details.get("tunnels"))
    }
    compiler = compile_snapshot(snapshot, ofports)
    return {host: compiler.digest(host) for host in compiler.hosts()}


def _word(fresh: str, reported: str, snapshot: Snapshot, details: Mapping[str, Any]) -> str:
    if not reported:
        return "unknown"
    if fresh == reported:
        return "same"
    behind = int(details.get("compiledRevision", snapshot.revision)) < snapshot.revision
    return "behind" if behind else "differs"
