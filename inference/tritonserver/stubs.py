"""Finds the Python processes ("stubs") that belong to a model."""

import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from inference.tritonserver.identity import Run
from inference.tritonserver.processes import dead_stubs, is_working, kill, stubs

# Between the process that completes a configuration and those that infer there is a gap.
ABSENT_SECONDS = 5.0


class ModelStubs:
    """The stubs of one run, by the path of their model among their arguments."""

    def __init__(self, run: Run, repository: Path, backends: Iterable[str] = ()) -> None:
        """Take the run, the repository, and the backends whose models have such processes."""
        self._run, self._backends = run, frozenset(backends)
        self._path = re.compile(re.escape(str(repository)) + "/([^/]+)/([^/]+)")

    def run(self, backend: str) -> bool:
        """Tell whether models of this backend have Python processes."""
        return backend in self._backends

    def pids(self, model: str, version: str = "") -> list[int]:
        """List the live stubs of a model, or of one version of it."""
        return [
            pid
            for pid, (its_model, its_version) in self._located().items()
            if its_model == model and version in ("", its_version)
        ]

    def all_pids(self) -> list[int]:
        """List the live stubs of every model."""
        return list(stubs(self._run))

    def counts(self) -> Counter[tuple[str, str]]:
        """Count each version's Python processes, one for each instance."""
        return Counter(self._located().values())

    def is_working(self, model: str, version: str) -> bool:
        """Tell whether a model's Python process computes or waits for a processor."""
        return any(is_working(pid) for pid in self.pids(model, version))

    def dead(self) -> set[int]:
        """Return the processes of any model that ended without Triton noticing."""
        return dead_stubs()

    def kill(self, model: str) -> None:
        """Kill a model's stubs, so that Triton stops waiting for one that hangs."""
        for pid in self.pids(model):
            kill(pid)

    def _located(self) -> dict[int, tuple[str, str]]:
        """Map the live stubs to their models and versions: the path is the first argument."""
        found = {pid: self._path.match(words[1]) for pid, words in stubs(self._run).items()}
        return {pid: (path[1], path[2]) for pid, path in found.items() if path}


class Loading:
    """One load of a model: Triton 24.10 waits for ever for a process that dies during it."""

    def __init__(
        self, stubs: ModelStubs, model: str, version: str = "", alone: bool = False
    ) -> None:
        """Begin to watch; if the load is `alone`, no other load's processes end meanwhile."""
        self._stubs, self._model, self._version = stubs, model, version
        self._before = stubs.dead() if alone else None
        self._seen_at: float | None = None

    def is_lost(self) -> bool:
        """Tell whether the model's process has been gone for too long; call this repeatedly."""
        now = time.monotonic()
        lives = bool(self._stubs.pids(self._model, self._version))
        if lives or (self._seen_at is None and self._came_and_went()):
            self._seen_at = now
        return self._seen_at is not None and now - self._seen_at > ABSENT_SECONDS

    def _came_and_went(self) -> bool:
        """Tell whether a process ended between two looks, or before the first."""
        return self._before is not None and bool(self._stubs.dead() - self._before)


class Loadings:
    """The loads under way on a server, whoever asked for them."""

    def __init__(self, stubs: ModelStubs) -> None:
        self._stubs = stubs
        self._known: dict[tuple[str, str], Loading] = {}

    def lost(self, under_way: Iterable[tuple[str, str]]) -> list[str]:
        """Name the models that will never be loaded, of the (model, version) being loaded now."""
        self._known = {key: self._known.get(key) or Loading(self._stubs, *key) for key in under_way}
        return [model for (model, _), loading in self._known.items() if loading.is_lost()]
