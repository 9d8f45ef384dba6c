# SPDX-License-Identifier: Apache-2.0
"""A part of ``scripts/bench policy``: what it takes to prove a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import median

from vneter_sdn.compile.network import Compiler
from vneter_sdn.daemon.bench_compile import row, timed
from vneter_sdn.daemon.breath import uncollected
from vneter_sdn.daemon.changing import Bench, Step
from vneter_sdn.daemon.verifying import Prover
from vneter_sdn.model.snapshot import Snapshot
from vneter_sdn.southbound.openflow.bench import Row
from vneter_sdn.store.port import Edit, Store

PROOF, WORST, READY = 1.0, 2.0, 120.0
"""Targets, in seconds of processor time: the median of proofs of a change; the most; reading all
that they need before, which the proving process does while nobody waits."""
ROUNDS = 9


def proofs(
    name: str,
    store: Store,
    known: Snapshot,
    compiler: Compiler,
    changes: Mapping[str, Callable[[int], Edit]],
) -> Iterator[Row]:
    """Prove some changes of each kind.

    Args:
        name: what measures begin with.
        store: where changes are written.
        known: what is stored, and compiled.
        compiler: taken over.
        changes: by kind, the edits, by number.
    """
    bench = Bench(known, compiler, alone=False)
    prover = Prover(bench)
    with uncollected():
        ready = timed(lambda: list(prover.prepare()))
    yield row(f"{name}/ready-to-prove", "s", ready, READY, fewer=True)
    for kind, change in changes.items():
        times, pairs = [], 0
        for number in range(ROUNDS):
            store.apply([change(number)], author="bench")
            news = store.wait(bench.snapshot, 0)
            if news is None:
                continue  # in a small network, some have nothing of what is to be changed
            took, moved = _taken(prover, bench.move(*news))
            times.append(took)
            pairs += moved
        yield row(f"{name}/proof-of-{kind}", "s", median(times), PROOF, fewer=True)
        yield row(f"{name}/proof-of-{kind}-worst", "s", max(times), WORST, fewer=True)
        yield row(f"{name}/proof-of-{kind}-first", "s", times[0], WORST, fewer=True)
        yield row(f"{name}/proof-of-{kind}-pairs", "pairs", pairs, 0.0, fewer=False)


def _taken(prover: Prover, step: Step) -> tuple[float, int]:
    """Seconds to prove a change, and pairs that gain or lose by it."""
    pairs: list[int] = []

    def take() -> None:
        moved = prover.take(step).verdict.change
        pairs.append(len(moved.gained.allowed.keys() | moved.lost.allowed.keys()))

    return timed(take), pairs[0]
