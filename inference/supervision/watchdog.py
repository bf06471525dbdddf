"""Finds out by real inferences which loaded models no longer infer."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from gateway.model_names import is_apart
from inference import model_config
from inference.admin_client import AdminClient
from inference.errors import TritonRefused, TritonSilent
from inference.supervision.probe import Probe
from inference.supervision.state import Finding
from inference.tritonserver.stubs import ModelStubs

ModelVersion = tuple[str, str]
Clock = Callable[[], float]

BUSY = (429, 503, 504)  # the queue is full, or the request waited in it for too long
DEAD_STUB = "stub process"
SLOWEST_BATCHES = 3
# For so long, inferences for others prove that a model infers, after its last probe. Triton counts
# those that end with an error, too.
PROVED_SECONDS = 30.0
# A model whose process computes gets this long, and longer if other work takes its processors:
# until it has computed so long, in processor time, that it must be going round in circles.
STARVED_SECONDS = 15.0
ENDLESS_SECONDS = 10.0
LONGEST_STARVED_SECONDS = 60.0


class Watchdog:
    """Probes every loaded model, all at the same time."""

    def __init__(
        self, client: AdminClient, stubs: ModelStubs, timeout: float, clock: Clock = time.monotonic
    ) -> None:
        self.client, self.stubs, self.timeout = client, stubs, timeout
        self.clock = clock
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")
        self.counter = itertools.count()  # no two probes are alike, for Triton's response cache
        self._watched: dict[ModelVersion, _Watched] = {}
        self._taken: dict[ModelVersion, Probe] = {}  # by those that are being loaded again
        self._steps: dict[str, set[str]] = {}

    def look(self) -> list[Finding]:
        """Probe every loaded model once. Raises TritonAway or TritonSilent if Triton is."""
        loaded = self._loaded()
        self._watched = {key: self._watched.get(key) or self._begin(key) for key in loaded}
        living = self.stubs.counts()  # once for all: it looks at every process of the machine
        findings = list(
            self._pool.map(lambda watched: watched.check(living), self._watched.values())
        )
        # A model whose configuration Triton refuses for now keeps the steps it had.
        steps = {name: set(watched.steps()) for (name, _), watched in self._watched.items()}
        self._steps |= {name: known for name, known in steps.items() if known}
        if any(finding.problem for finding in findings):
            # A model that was unloaded meanwhile on purpose has no problem.
            loaded = self._loaded()
        return [finding for finding in findings if (finding.model, finding.version) in loaded]

    def steps_of(self, model: str) -> set[str]:
        """Name the models an ensemble consists of, or did when it was loaded."""
        return self._steps.get(model, set())

    def is_cached(self, model: str) -> bool:
        """Tell whether Triton's response cache may answer for this model."""
        return any(
            watched.is_cached() for (name, _), watched in self._watched.items() if name == model
        )

    def forget(self, model: str) -> None:
        """Forget what is known about a reloaded model, and the ensembles it is a step of."""
        self._forget(
            [
                key
                for key, watched in self._watched.items()
                if key[0] == model or model in watched.steps()
            ]
        )

    def forget_all(self) -> None:
        """Forget what is known about all models."""
        self._forget(list(self._watched))

    def _forget(self, keys: Iterable[ModelVersion]) -> None:
        """Forget all but the probe that each has taken: it must take that when it is back."""
        for key in keys:
            if taken := self._watched.pop(key).taken:
                self._taken[key] = taken

    def _begin(self, key: ModelVersion) -> "_Watched":
        return _Watched(key, self, self._taken.pop(key, None))

    def close(self) -> None:
        """Let the probing threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _loaded(self) -> list[ModelVersion]:
        """List what serves, without the versions under test: their testers look after them."""
        try:
            loaded = self.client.loaded(self.timeout)
        except TritonRefused:  # a model was unloaded while Triton was listing them
            if not self._watched:
                raise
            return list(self._watched)
        return [key for key in loaded if not is_apart(key[0])]


class _Watched:
    """One version of a model and what its probes showed so far."""

    def __init__(self, key: ModelVersion, watchdog: Watchdog, taken: Probe | None) -> None:
        self.taken = taken  # a probe; an error in answer to the same one is a fault
        self._model, self._version = key
        self._client, self._stubs = watchdog.client, watchdog.stubs
        self._timeout, self._clock = watchdog.timeout, watchdog.clock
        self._counter = watchdog.counter
        self._config: Mapping[str, Any] | None = None
        self._probe: Probe | None = None
        self._has_inferred = False
        self._probed_at = 0.0
        self._count = 0
        self._ended: str | None = None  # says how many of its processes have
        self._progressed()

    def check(self, living: Mapping[ModelVersion, int]) -> Finding:
        """Probe once; a model that is only overloaded is no problem.

        `living` counts the processes of all models. Raises TritonSilent or TritonAway if Triton
        itself is to blame.
        """
        try:
            self._prepare(living)
            finding = self._check_inference(self._probe) if self._probe else self._finding()
            ended = self._ended and not finding.problem
            return self._finding(self._ended) if ended else finding
        except TritonRefused as exc:
            return self._refused(exc)

    def steps(self) -> list[str]:
        """Name the models this one consists of, if it is an ensemble."""
        return model_config.steps(self._config or {})

    def is_cached(self) -> bool:
        """Tell whether the model asks for the response cache."""
        return model_config.is_cached(self._config or {})

    def _prepare(self, living: Mapping[ModelVersion, int]) -> None:
        """Fetch the configuration, again if others may have changed it, and count processes.

        An ensemble's processes are those of its steps. An inference does not show that a process is
        gone: its requests fail, while other instances or the response cache answer the rest.
        """
        key = self._model, self._version
        live = living.get(key, 0)
        if self._config is None or live != self._expected():
            self._config = self._client.config(self._model, self._version, self._timeout)
            self._probe = Probe.for_model(self._config, self._config_of)
            live = self._stubs.counts().get(key, 0)
        expected = self._expected()
        if live >= expected:
            self._ended = None
        elif expected == 1:
            self._ended = "its Python process has ended"
        else:
            self._ended = f"{expected - live} of its {expected} processes have ended"

    def _expected(self) -> int:
        """Return how many Python processes the configuration asks for."""
        config = self._config or {}
        backend = config.get("backend")
        if self.steps() or (backend and not self._stubs.is_python_based(backend)):
            return 0
        return model_config.instances(config)

    def _config_of(self, model: str) -> Mapping[str, Any]:
        try:
            return self._client.config(model, "", self._timeout)
        except TritonRefused:
            return {}

    def _check_inference(self, probe: Probe) -> Finding:
        if self._has_inferred and self.steps():
            return self._finding()  # It has no process of its own, and its steps are watched.
        before = self._inferences()[0]
        if self._proved_by_clients(before):
            return self._finding()
        body, head = probe.body(next(self._counter))
        try:
            self._client.infer(self._model, self._version, body, head, self._timeout)
        except TritonSilent as exc:
            return self._judge(before, str(exc))
        except TritonRefused as exc:
            if exc.status in BUSY:
                return self._judge(before, str(exc))
            raise
        self._has_inferred, self.taken = True, probe
        self._count = before + 1
        self._probed_at = self._clock()
        self._progressed()
        return self._finding()

    def _proved_by_clients(self, count: int) -> bool:
        """Tell whether the model has inferred for others since the last look.

        A busy model gets no probes: a VGG16 probe costs as much as a client's picture.
        """
        lately = self._has_inferred and self._clock() - self._probed_at < PROVED_SECONDS
        busy, self._count = count > self._count and lately, count
        if busy:
            self._progressed()
        return busy

    def _judge(self, before: int, problem: str) -> Finding:
        """Tell a busy model, whose other inferences go on, from one that hangs."""
        # In this order: what ends its work while it is looked at has been counted afterwards.
        works = any(self._stubs.is_working(*part) for part in self._parts())
        after, slowest = self._inferences()
        if after > before:
            self._probed_at = self._clock()
            self._progressed()
        waited = self._clock() - self._progress_at
        patience = max(self._timeout, SLOWEST_BATCHES * slowest)
        if waited < patience or (works and self._is_starved(waited)):
            return replace(self._finding(), unproved=not self._has_inferred)
        return self._finding(f"it does not infer: {problem}", hung=True)

    def _progressed(self) -> None:
        self._progress_at = self._clock()
        self._computed: float | None = None  # what its process had used when it was first awaited

    def _is_starved(self, waited: float) -> bool:
        """Tell whether its process, which computes, had too little processor time to be judged."""
        if waited >= LONGEST_STARVED_SECONDS:
            return False
        used = sum(self._stubs.computed(*part) for part in self._parts())
        if self._computed is None:
            self._computed = used
        return waited < STARVED_SECONDS or used - self._computed < ENDLESS_SECONDS

    def _parts(self) -> list[ModelVersion]:
        """Return it and, as it may wait for steps that others keep busy, the versions of those."""
        return [(self._model, self._version), *((step, "") for step in self.steps())]

    def _inferences(self) -> tuple[int, float]:
        """Fetch how many inferences were made and how long the slowest batch size takes, in s."""
        statistics = [
            s for part in self._parts() for s in self._client.statistics(*part, self._timeout)
        ]
        computed = [
            batch["compute_infer"] for s in statistics for batch in s.get("batch_stats", [])
        ]
        slowest = max((c["ns"] / c["count"] / 1e9 for c in computed if c["count"]), default=0.0)
        return sum(int(s["inference_count"]) for s in statistics), slowest

    def _refused(self, exc: TritonRefused) -> Finding:
        """Judge an error: a model that never took our made-up tensor may be healthy."""
        was_taken = self.taken is not None and self.taken == self._probe
        if was_taken or DEAD_STUB in str(exc).lower():
            return self._finding(f"it does not infer: {exc}")
        return self._finding(self._ended)

    def _finding(self, problem: str | None = None, hung: bool = False) -> Finding:
        return Finding(self._model, self._version, problem, hung)
