# SPDX-License-Identifier: Apache-2.0
"""What the REST server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METRICS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("vneter_api_requests_total", "counter", ("route", "method", "code"), "Requests answered."),
    ("vneter_api_request_seconds", "histogram", ("route", "method"), "Time to answer, in seconds."),
    ("vneter_api_wait_seconds", "histogram", (), "Time that requests wait for a thread."),
    ("vneter_store_revision", "gauge", (), "Revision of the intent, as this server knows it."),
)
"""Every metric: (name, type, labels, meaning)."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        (total, _, total_labels, total_help), (seconds, _, labels, meaning), wait, gauge = METRICS
        self._requests = Counter(total, total_help, total_labels, registry=self._registry)
        self._seconds = Histogram(seconds, meaning, labels, registry=self._registry)
        self._wait = Histogram(wait[0], wait[3], registry=self._registry)
        self._revision = Gauge(gauge[0], gauge[3], registry=self._registry)

    def answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Count one request. ``route`` is a template, never a path: its values are few."""
        method = method if method in _METHODS else "OTHER"
        self._requests.labels(route, method, str(code)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def waited(self, seconds: float) -> None:
        """Count how long one request waited until a thread took it on."""
        self._wait.observe(seconds)

    def revision(self, number: int) -> None:
        """Note the store's revision."""
        self._revision.set(number)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)
