# SPDX-License-Identifier: Apache-2.0
"""What edges weigh: each quantity of an edge, and their weighted sum that is an objective.

Weights are integers, in billionths (`UNIT`): sums are exact whatever the order of adding, so two
paths that are equally good on paper are equally good here. What no edge should say is read so:
less than nothing is nothing, more than `MOST` is that, and what is not a number is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, log

from vneter_sdn.graph.topology import Edge
from vneter_sdn.model.path_kinds import Objective

UNIT = 10**9
"""One of any quantity, as an integer weight."""
UNKNOWN_LATENCY = 10.0
"""Milliseconds that an edge counts as until it is measured: more than a LAN, less than an ocean, so
neither attracts what asks for low latency nor repels all else."""
UNKNOWN_UTILISATION = 0.0
"""An edge counts as idle until it is measured."""
MOST = 1e12
"""The largest weight of an edge."""
CERTAIN_LOSS = 1 - 1e-12
"""What a loss of 1 counts as: -ln of nothing is infinite."""

Quantity = Callable[[Edge], float]
"""What an edge has of something that adds up along a path."""


def latency(edge: Edge) -> float:
    """Milliseconds, `UNKNOWN_LATENCY` when not known."""
    return UNKNOWN_LATENCY if edge.latency is None or isnan(edge.latency) else edge.latency


def utilisation(edge: Edge) -> float:
    """0 to 1, `UNKNOWN_UTILISATION` when not known."""
    unknown = edge.utilisation is None or isnan(edge.utilisation)
    return UNKNOWN_UTILISATION if unknown else float(edge.utilisation or 0.0)


def loss(edge: Edge) -> float:
    """-ln(1 - loss): what adds up where shares of what arrives multiply."""
    return 0.0 if isnan(edge.loss) else loss_weight(edge.loss)


def loss_weight(share: float) -> float:
    """-ln(1 - share) of a share of packets, 0 to 1."""
    return -log(1 - min(max(share, 0.0), CERTAIN_LOSS))


QUANTITIES: dict[str, Quantity] = {
    "hops": lambda _: 1.0,
    "cost": lambda edge: float(edge.cost),
    "latency": latency,
    "price": lambda edge: edge.price,
    "utilisation": utilisation,
    "loss": loss,
}
"""By the words that an objective is made of."""


def units(amount: float) -> int:
    """An amount as an integer weight, 0 to `MOST`."""
    return 0 if isnan(amount) else round(min(max(amount, 0.0), MOST) * UNIT)


def terms(objective: Objective | str) -> dict[str, float]:
    """The words of an objective and their weights, those that count only.

    An objective without any weight asks for nothing, so the fewest links are taken.
    """
    if isinstance(objective, str):
        return {objective: 1.0}
    found = {word: getattr(objective, word) for word in QUANTITIES}
    return {word: weight for word, weight in found.items() if weight > 0} or {"hops": 1.0}


def contributions(edge: Edge, objective: Objective | str) -> dict[str, float]:
    """What each word of an objective adds for an edge, weighted."""
    return {
        word: units(weight * QUANTITIES[word](edge)) / UNIT
        for word, weight in terms(objective).items()
    }


def weigher(objective: Objective | str) -> Callable[[Edge], int]:
    """What an edge weighs under an objective, in `UNIT`."""
    parts = [(weight, QUANTITIES[word]) for word, weight in terms(objective).items()]

    def weigh(edge: Edge) -> int:
        return sum(units(weight * quantity(edge)) for weight, quantity in parts)

    return weigh
