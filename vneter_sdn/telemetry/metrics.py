# SPDX-License-Identifier: Apache-2.0
"""What the southbound counted, in the form Prometheus reads.

Values stay where they are counted (`southbound.openflow.tally.Tally`); they are read when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vneter_sdn.model.traffic import Pair, Volume
from vneter_sdn.southbound.openflow.probes import Refusal
from vneter_sdn.southbound.openflow.tally import RTT_BOUNDS, Tally
from vneter_sdn.telemetry.rules import Title
from vneter_sdn.telemetry.rules import Volume as RuleVolume

COUNTERS = {
    "malformed": ("vneter_openflow_malformed", "Messages refused by the validator.", "kind"),
    "bundles": ("vneter_openflow_plans", "Plans sent to bridges.", "outcome"),
    "flows": ("vneter_openflow_changes", "Confirmed changes of flows, groups, meters.", "change"),
    "punts": ("vneter_openflow_punts", "Packets sent up by bridges.", ""),
    "dropped": ("vneter_openflow_dropped", "Events and messages dropped by a full queue.", "queue"),
    "exceptions": ("vneter_handler_exceptions", "Exceptions that ended one call.", "place"),
    "refused": ("vneter_openflow_refused", "Peers that were not let in.", "reason"),
    "closed": ("vneter_openflow_closed", "Connections that ended.", "reason"),
    "drift": ("vneter_openflow_drift", "Audits that found changes by others.", ""),
    "rejections": ("vneter_openflow_rejections", "Plans that bridges refused.", ""),
    "fd_exhausted": ("vneter_openflow_fd_exhausted", "Accepts without a free descriptor.", ""),
}
"""Metric name, help and label of each count of a `Tally`."""


class OpenFlowCollector(Collector):
    """Exposes one `Tally`; register it with a `prometheus_client.CollectorRegistry`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Every metric, with the values of now."""
        counts = dict(self._tally.counts)
        for name, (metric, text, label) in COUNTERS.items():
            family = CounterMetricFamily(metric, text, labels=[label] if label else None)
            found = {key: value for (known, key), value in counts.items() if known == name}
            for key, value in sorted(found.items()):
                family.add_metric([key] if label else [], value)
            if not label and not found:
                family.add_metric([], 0)
            yield family
        yield self._connections()
        yield self._round_trips()

    def _connections(self) -> Metric:
        family = GaugeMetricFamily(
            "vneter_openflow_connections", "Open connections.", labels=["state"]
        )
        for (name, state), value in sorted(dict(self._tally.gauges).items()):
            if name == "connections":
                family.add_metric([state], value)
        return family

    def _round_trips(self) -> Metric:
        total, buckets = 0, []
        bounds = [*map(str, RTT_BOUNDS), "+Inf"]
        for bound, count in zip(bounds, self._tally.rtt_buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return HistogramMetricFamily(
            "vneter_openflow_echo_seconds",
            "Round trip of echo requests.",
            buckets=buckets,
            sum_value=self._tally.rtt_sum,
        )


class DiscoveryCollector(Collector):
    """Exposes how many discovery frames were not believed, by reason."""

    def __init__(self, refusals: Mapping[Refusal, int]) -> None:
        self._refusals = refusals

    def collect(self) -> Iterator[Metric]:
        """One counter, with every reason there is."""
        family = CounterMetricFamily(
            "vneter_discovery_refused", "Discovery frames not believed.", labels=["reason"]
        )
        for reason in Refusal:
            family.add_metric([str(reason)], self._refusals.get(reason, 0))
        yield family


class LearningCollector(Collector):
    """Exposes what became of the frames that a lab's endpoints are learned from."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """One counter, by outcome."""
        family = CounterMetricFamily(
            "vneter_learning_frames", "Frames that endpoints are learned from.", labels=["outcome"]
        )
        for outcome, number in sorted(self._counts.items()):
            family.add_metric([outcome], number)
        yield family


class EdgeCollector(Collector):
    """Exposes what became of what endpoints asked the edge of their network."""

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """One counter, by service and outcome."""
        family = CounterMetricFamily(
            "vneter_edge_questions",
            "What endpoints asked the edge of their network.",
            labels=["service", "outcome"],
        )
        for (service, outcome), number in sorted(dict(self._counts).items()):
            family.add_metric([service, outcome], number)
        yield family


class OutcomesCollector(Collector):
    """Exposes counts by outcome.

    Args:
        name: of the metric.
        text: what is counted.
        counts: by outcome, now.
    """

    def __init__(self, name: str, text: str, counts: Mapping[str, int]) -> None:
        self._name, self._text, self._counts = name, text, counts

    def collect(self) -> Iterator[Metric]:
        """One counter."""
        family = CounterMetricFamily(self._name, self._text, labels=["outcome"])
        for outcome, number in sorted(dict(self._counts).items()):
            family.add_metric([outcome], number)
        yield family


RULES_EXPOSED = 1000
"""Rules with samples of their own, those met most; the rest are summed up as one."""


class RulesCollector(Collector):
    """Exposes what met the rules of policies.

    Args:
        totals: by title, now.
    """

    def __init__(self, totals: Callable[[], Mapping[Title, RuleVolume]]) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Three counters; ``policy`` and ``rule`` are empty for all that are not exposed singly."""
        totals = self._totals()
        ranked = sorted(totals, key=lambda title: (-totals[title].packets, title))
        shown = {(str(t.subject), t.text): totals[t] for t in ranked[:RULES_EXPOSED]}
        rest = RuleVolume()
        for title in ranked[RULES_EXPOSED:]:
            rest = rest.plus(totals[title])
        if any(rest):
            shown["", ""] = rest
        texts = {
            "connections": "Connections that rules let through.",
            "packets": "Packets that rules decided about, of whoever began the connection.",
            "octets": "Octets of these.",
        }
        for name, text in texts.items():
            metric = f"vneter_policy_{'bytes' if name == 'octets' else name}"
            family = CounterMetricFamily(metric, text, labels=["policy", "rule"])
            for labels, one in sorted(shown.items()):
                family.add_metric(list(labels), getattr(one, name))
            yield family


class AssertionsCollector(Collector):
    """Exposes how many assertions hold, and how long it took to find out.

    Args:
        known: numbers by the status of the condition ``Holds``; seconds, or None for not yet.
    """

    def __init__(self, known: Callable[[], tuple[Mapping[str, int], float | None]]) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        """Two gauges."""
        counts, seconds = self._known()
        text = "Assertions by whether they hold: true, false or unknown."
        family = GaugeMetricFamily("vneter_assertions", text, labels=["holds"])
        for status, number in sorted(counts.items()):
            family.add_metric([status.lower()], number)
        yield family
        text = "Seconds that it took to find out which assertions hold."
        family = GaugeMetricFamily("vneter_assertions_seconds", text)
        if seconds is not None:
            family.add_metric([], seconds)
        yield family


class TrafficCollector(Collector):
    """Exposes the measured traffic matrices of engineered policies, and how old they are.

    Args:
        levels: Mbit/s by policy and pair of hosts, now.
        ages: seconds since each policy was measured; None for not yet.
    """

    def __init__(
        self,
        levels: Callable[[], Mapping[str, Mapping[Pair, Volume]]],
        ages: Callable[[], Mapping[str, float | None]],
    ) -> None:
        self._levels, self._ages = levels, ages

    def collect(self) -> Iterator[Metric]:
        """Two gauges; ``direction`` is back for what answers connections from source to target."""
        labels = ["policy", "source", "target", "direction"]
        text = "Measured traffic of engineered policies, Mbit/s."
        family = GaugeMetricFamily("vneter_traffic_mbps", text, labels=labels)
        for policy, matrix in sorted(self._levels().items()):
            for pair, volume in sorted(matrix.items()):
                family.add_metric([policy, *pair, "forth"], volume.forth)
                family.add_metric([policy, *pair, "back"], volume.back)
        yield family
        text = "Seconds since the traffic of a policy was measured."
        family = GaugeMetricFamily("vneter_traffic_age_seconds", text, labels=["policy"])
        for policy, age in sorted(self._ages().items()):
            if age is not None:
                family.add_metric([policy], age)
        yield family
