"""What the service counts, in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["Metrics"]

_LATENCIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one app; a registry of their own, so that several apps of one process do not mix."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        ProcessCollector(registry=self._all)  # memory, processor time, descriptors
        self.requests = Counter(
            "gatecast_requests", "Requests by route and status.", ["route", "status"], registry=self._all
        )
        self.seconds = Histogram(
            "gatecast_request_seconds", "Time to answer.", ["route"], buckets=_LATENCIES, registry=self._all
        )
        self.under_way = Gauge("gatecast_requests_under_way", "Requests being answered.", registry=self._all)
        self.shared = Histogram(
            "gatecast_call_requests", "Requests in one call of the engine.", buckets=_SIZES, registry=self._all
        )
        self.windows = Counter("gatecast_windows", "Windows that were forecast.", registry=self._all)
        self.version = Gauge("gatecast_model_version", "The version that answers.", ["model"], registry=self._all)
        self.refused = Counter(
            "gatecast_models_refused",
            "Versions that could not be used: somebody should look.",
            ["model"],
            registry=self._all,
        )
        self.registry_up = Gauge(
            "gatecast_registry_up", "Whether MLflow answered all of the last look.", registry=self._all
        )
        self.last_look = Gauge(
            "gatecast_last_look_seconds",
            "Time since the registry was last looked at for a model without a failure.",
            ["model"],
            registry=self._all,
        )
        self.looks_failed = Counter(
            "gatecast_looks_failed", "Looks that ended in an unexpected error.", ["model"], registry=self._all
        )
        self.registry_failures = Counter(
            "gatecast_registry_failures", "Times that MLflow did not answer.", registry=self._all
        )
        self.readings = Counter("gatecast_readings", "Rows of readings that were taken.", ["model"], registry=self._all)
        self.spooled = Gauge(
            "gatecast_spool_bytes", "Readings that wait to be merged into the store.", ["model"], registry=self._all
        )
        self.merged = Gauge(
            "gatecast_last_merge_seconds", "Time since nothing waited any more.", ["model"], registry=self._all
        )
        self.merges_failed = Counter(
            "gatecast_merges_failed", "Merges that failed: the readings still wait.", ["model"], registry=self._all
        )

    @property
    def registry(self) -> CollectorRegistry:
        """Where others of this app register theirs."""
        return self._all

    def call(self, requests: int, windows: int) -> None:
        """One call of an engine."""
        self.shared.observe(requests)
        self.windows.inc(windows)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._all)
