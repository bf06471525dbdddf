"""What the launcher knows about its models, shared with the health endpoint's threads."""

import threading
from collections.abc import Set
from dataclasses import dataclass, replace

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)

from gateway.model_names import is_classifier

# Otherwise each counter gets another line, about when it began, which nobody needs.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Finding:
    """Whether one loaded model infers; `problem` is None if it does, else one sentence.

    An `unproved` one has been loaded, and may yet do either: its first inference takes its time.
    """

    model: str
    version: str
    problem: str | None = None
    hung: bool = False
    unproved: bool = False


class Metrics:
    """The launcher's own metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.restarts = Counter(
            "edgelens_triton_restarts", "Restarts of Triton", registry=self.registry
        )
        self.reloads = Counter(
            "edgelens_model_reloads",
            "Reloads of a model that had stopped inferring",
            ["model"],
            registry=self.registry,
        )
        self.failures = Counter(
            "edgelens_probe_failures",
            "Probes that found a model that does not infer",
            ["model"],
            registry=self.registry,
        )
        self.healthy = Gauge(
            "edgelens_model_healthy",
            "1 while a loaded model really infers",
            ["model", "version"],
            registry=self.registry,
        )
        self.leaked = Gauge(
            "edgelens_leaked_shared_memory_bytes",
            "Shared memory left behind by models that died",
            registry=self.registry,
        )
        self.ready = Gauge(
            "edgelens_inference_ready",
            "1 while this server is ready, as /readyz says",
            registry=self.registry,
        )


class State:
    """The newest findings; safe to use from several threads."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._lock = threading.Lock()
        self._findings: list[Finding] = []
        self._given_up: Set[str] = frozenset()
        self._trouble: str | None = "Triton is starting."

    def report(self, findings: list[Finding], given_up: Set[str] = frozenset()) -> None:
        """Take over a round's findings, and the names of the models that nothing could heal."""
        with self._lock:
            before = self._findings
            self._findings, self._given_up, self._trouble = findings, given_up, None
        # Not all at once: who reads the metrics at that moment would find some models missing.
        for model, version in _versions(before) - _versions(findings):
            self.metrics.healthy.remove(model, version)
        for finding in findings:
            self.metrics.healthy.labels(finding.model, finding.version).set(not finding.problem)
            self.metrics.reloads.labels(finding.model)  # from 0 on: `rate` cannot see a first step
            self.metrics.failures.labels(finding.model).inc(bool(finding.problem))
        self.metrics.ready.set(self.is_ready())

    def trouble(self, problem: str) -> None:
        """Note a problem of the whole server, and so of every model."""
        with self._lock:
            self._trouble = problem
            self._findings = [replace(finding, problem=problem) for finding in self._findings]
            findings = self._findings
        self.metrics.ready.set(0)
        for finding in findings:
            self.metrics.healthy.labels(finding.model, finding.version).set(0)

    def findings(self) -> list[Finding]:
        """List the newest finding of every model."""
        with self._lock:
            return list(self._findings)

    def is_ready(self) -> bool:
        """Tell whether this server should get requests.

        A model that nothing could heal does not keep them from the others: a balancer would take
        every replica of the same repository out of service.
        """
        with self._lock:
            if self._trouble or not self._findings:
                return False
            ill = {finding.model for finding in self._findings if finding.problem}
            well = {finding.model for finding in self._findings} - ill
            return not ill or (ill <= self._given_up and any(map(is_classifier, well)))

    def problems(self) -> list[str]:
        """List what is wrong, whether or not the server is ready nevertheless."""
        with self._lock:
            if self._trouble:
                return [self._trouble]
            if not self._findings:
                return ["No model is loaded."]
            return [f"{f.model}: {f.problem}" for f in self._findings if f.problem]


def _versions(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.model, finding.version) for finding in findings}
