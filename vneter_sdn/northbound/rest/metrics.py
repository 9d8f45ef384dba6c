# SPDX-License-Identifier: Apache-2.0
"""What the REST server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

METRICS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("vneter_api_requests_total", "counter", ("route", "method", "code"), "Requests answered."),
    ("vneter_api_request_seconds", "histogram", ("route", "method"), "Time to answer, in seconds."),
    (
        "vneter_api_authentications_total",
        "counter",
        ("result",),
        "How asking who sends a request ended.",
    ),
    ("vneter_store_revision", "gauge", (), "Revision of the intent, as this server knows it."),
)
"""Every metric: (name, type, labels, meaning)."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Authentications(Collector):
    def __init__(self, results: Mapping[str, int]) -> None:
        self._results = results

    def collect(self) -> Iterator[CounterMetricFamily]:
        name, _, labels, meaning = METRICS[2]
        family = CounterMetricFamily(name, meaning, labels=labels)
        for result, count in sorted(self._results.items()):
            family.add_metric((result,), count)
        yield family


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        (total, _, total_labels, total_help), (seconds, _, labels, meaning), _, gauge = METRICS
        self._requests = Counter(total, total_help, total_labels, registry=self._registry)
        self._seconds = Histogram(seconds, meaning, labels, registry=self._registry)
        self._revision = Gauge(gauge[0], gauge[3], registry=self._registry)

    def follow(self, results: Mapping[str, int]) -> None:
        """Tell of authentications what somebody else counts."""
        self._registry.register(_Authentications(results))

    def answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Count one request. ``route`` is a template, never a path: its values are few."""
        method = method if method in _METHODS else "OTHER"
        self._requests.labels(route, method, str(code)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def revision(self, number: int) -> None:
        """Note the store's revision."""
        self._revision.set(number)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)
