"""Finds the Python processes ("stubs") that belong to a model."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from inference.tritonserver.identity import Run
from inference.tritonserver.processes import computed, dead_stubs, is_working, kill, stubs


class ModelStubs:
    """The stubs of one run, by the path of their model among their arguments."""

    def __init__(self, run: Run, repository: Path, backends: Iterable[str] = ()) -> None:
        """Take the run, the repository, and the backends whose models have such processes."""
        self._run, self._backends = run, frozenset(backends)
        self._path = re.compile(re.escape(str(repository)) + "/([^/]+)/([^/]+)")

    def is_python_based(self, backend: str) -> bool:
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

    def computed(self, model: str, version: str) -> float:
        """Return how many seconds of processor time a model's Python processes have used."""
        return sum(computed(pid) for pid in self.pids(model, version))

    def dead(self) -> set[int]:
        """Return the processes of any model that ended without Triton noticing."""
        return dead_stubs()

    def kill(self, model: str, only: Iterable[int] | None = None) -> None:
        """Kill a model's stubs, or `only` these: Triton waits for one that hangs for ever."""
        pids = self.pids(model)
        for pid in pids if only is None else set(only).intersection(pids):
            kill(pid)

    def _located(self) -> dict[int, tuple[str, str]]:
        """Map the live stubs to their models and versions: the path is the first argument."""
        found = {pid: self._path.match(words[1]) for pid, words in stubs(self._run).items()}
        return {pid: (path[1], path[2]) for pid, path in found.items() if path}
