# SPDX-License-Identifier: Apache-2.0
"""Prometheus series of what endpoints send in vain: what is refused, what cannot be forwarded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.refusals import Refusal

Refused = Mapping[Key, Mapping[Refusal, int]]


class ComplaintsCollector(Collector):
    """Exposes what became of packets that cannot be forwarded.

    Args:
        counts: by what was wrong with them, and what became of that.
    """

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """One counter, by fault and outcome."""
        text = "Packets that could not be forwarded, of those that meters let be answered."
        family = CounterMetricFamily("vneter_icmp_errors", text, labels=["fault", "outcome"])
        for (fault, outcome), number in sorted(dict(self._counts).items()):
            family.add_metric([fault, outcome], number)
        yield family


class RefusedCollector(Collector):
    """Exposes what endpoints tried that they may not; those that never did are left out.

    Args:
        totals: packets by endpoint and kind.
    """

    def __init__(self, totals: Callable[[], Refused]) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """One counter, by endpoint and kind."""
        family = CounterMetricFamily(
            "vneter_spoofed_packets",
            "Packets of endpoints that were dropped because they claim what is not the endpoint's.",
            labels=["tenant", "endpoint", "kind"],
        )
        for key, kinds in sorted(self._totals().items()):
            for kind, packets in sorted(kinds.items()):
                if packets:
                    family.add_metric([key.tenant, key.name, kind.word], packets)
        yield family
