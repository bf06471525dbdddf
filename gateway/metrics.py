"""The gateway's metrics, in a registry of their own so that one process can hold several apps."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.admission import Admissions
from gateway.catalog import Catalog
from gateway.errors import (
    EdgeLensError,
    KeysUnavailable,
    Overloaded,
    TooManyRequests,
    TritonUnavailable,
)

# Otherwise each counter gets another line, about when it began, which nobody needs.
disable_created_metrics()  # type: ignore[no-untyped-call]
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The gateway's counters and gauges."""

    def __init__(self, admissions: Admissions, catalog: Catalog, ready: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "edgelens_http_requests",
            "Answers by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "edgelens_http_request_seconds",
            "Time from a request's arrival to its answer, refusals (4xx, 503) aside.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.pictures = Counter(
            "edgelens_pictures",
            "Pictures by model and outcome: classified, or an error's code.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.rejections = Counter(
            "edgelens_rejections",
            "Requests that were told to come back later, by error code.",
            ["reason"],
            registry=self.registry,
        )
        for error in (TooManyRequests, Overloaded, TritonUnavailable, KeysUnavailable):
            self.rejections.labels(error.code)  # from 0 on: `rate` cannot see a series' first step
        text = "1 while real inferences succeed."
        ready_now = Gauge("edgelens_triton_ready", text, registry=self.registry)
        ready_now.set_function(lambda: float(ready()))
        self.registry.register(_Admitted(admissions))
        self.registry.register(_ModelInfo(catalog))

    def reject(self, error: EdgeLensError) -> None:
        """Count a request that was told when to come back."""
        if error.retry_after is not None:
            self.rejections.labels(error.code).inc()


class _Admitted(Collector):
    def __init__(self, admissions: Admissions) -> None:
        self._admissions = admissions

    def collect(self) -> list[GaugeMetricFamily]:
        """Return what is under way and what may be, for every model that was asked."""
        limit = GaugeMetricFamily(
            "edgelens_admission_limit",
            "Pictures that may be under way at the same time.",
            labels=["model"],
        )
        in_flight = GaugeMetricFamily(
            "edgelens_in_flight", "Pictures under way or waiting.", labels=["model"]
        )
        seconds = GaugeMetricFamily(
            "edgelens_picture_seconds",
            "Measured time per picture, from which Retry-After is computed.",
            labels=["model"],
        )
        for model, admission in self._admissions.by_model().items():
            limit.add_metric([model], admission.places())
            in_flight.add_metric([model], admission.in_flight)
            seconds.add_metric([model], admission.seconds_per_picture)
        return [limit, in_flight, seconds]


class _ModelInfo(Collector):
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> list[GaugeMetricFamily]:
        """Return a 1 for every served version, with what is known about it as labels."""
        family = GaugeMetricFamily(
            "edgelens_gateway_model_info",
            "The versions that can be requested.",
            labels=["model", "version", "engine", "precision", "weights"],
        )
        for name, versions in self._catalog.models().items():
            for version, model in versions.items():
                about = model.as_json()
                family.add_metric(
                    [name, version, about["engine"], about["precision"], about["weights"]], 1.0
                )
        return [family]
