"""One run: every part in order, within its time; a part that fails does not affect the others."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import alone, caching, ceiling, contenders, replicas, report, resting
from benchmarks.clock import Clock
from benchmarks.exports import LITE0, VGG16
from benchmarks.generator import WHY
from benchmarks.limits import Limits
from benchmarks.preparation import Prepared
from benchmarks.ratios import ratios
from benchmarks.rounds import Rounds
from benchmarks.servers import Contender

CLOSING = 15  # seconds: the report
TURN = 45  # seconds: a slow contender's turn, and the engine's after it


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float
    only: str


class Run:
    """Collects results; the report is rewritten after every round."""

    def __init__(
        self, prepared: Prepared, clock: Clock, size: Size, scratch: Path, directory: Path
    ) -> None:
        self._prepared, self._clock, self._size = prepared, clock, size
        self._scratch, self._directory = scratch, directory
        self._limits = Limits(prepared.repositories, seconds=min(1.5, size.seconds))
        self.results: dict[str, Any] = {
            "clients": 16,
            "rounds": 0,
            "generator": WHY,
            "int8_agreement": prepared.agreement,
            "raw": [],
            "loads": {},
            "failed": {},
        }

    def measure(self) -> Path:
        """Measure everything; return the path of the page."""
        for name, part in self._parts().items():
            if re.search(self._size.only, name) and self._has_time(name):
                self._attempt(name, partial(self._add, name, part))
        if self._has_time("engine alone"):
            self._attempt("engine alone", self._raw)
        while self.results["rounds"] < self._size.rounds:
            began = time.monotonic()
            self._round()
            page = self._report()
            if not self._clock.suffices(time.monotonic() - began + CLOSING):
                break
        self._clock.say("done")
        return page

    def _report(self) -> Path:
        """Write the results so far; return the path of the page."""
        self.results["measuring_seconds"] = round(self._clock.passed())
        self.results["ratios"] = ratios(self.results)
        return report.write(self.results, self._directory)

    def _parts(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """Return the parts that are measured once, by their names in the results."""
        seconds, repositories = self._size.seconds, self._prepared.repositories
        return {
            "resting": lambda: resting.measure(repositories),
            "alone": lambda: alone.measure(self._limits, self._scratch, seconds / 2),
            "cache": lambda: caching.measure(repositories, self._scratch, max(1.5, seconds / 2)),
            "ceiling": lambda: ceiling.measure(self._scratch, seconds),
            "replicas": lambda: replicas.measure(self._scratch, seconds),
        }

    def _round(self) -> None:
        number = self.results["rounds"] + 1
        seconds = {VGG16: self._size.seconds, LITE0: self._size.seconds * 2 / 3}
        rounds = Rounds(self._scratch, seconds, self._prepared.best)
        for model, entrants in contenders.field(self._prepared.repositories).items():
            for contender in entrants:
                name = f"{contender.name}, {model} (round {number})"
                if re.search(self._size.only, contender.name) and self._has_time(name):
                    self._attempt(name, partial(self._enter, rounds, contender, model))
        # A ratio divides by the engine's own speed, so it is measured as often as the others.
        if self._has_time(f"engine alone (round {number})"):
            self._attempt("engine alone", self._raw)
        self.results["rounds"] = number

    def _has_time(self, name: str) -> bool:
        """Tell whether there is time for another contender; if not, the report names it."""
        if self._clock.suffices(TURN):
            return True
        self.results["failed"][name] = "no time was left"
        return False

    def _add(self, name: str, part: Callable[[], dict[str, Any]]) -> None:
        self.results[name] = part()

    def _enter(self, rounds: Rounds, contender: Contender, model: str) -> None:
        loads = rounds.measure(contender, model)
        kept = self.results["loads"].setdefault(model, {})
        for name, load in loads.items():
            kept.setdefault(name, []).append(load)

    def _raw(self) -> None:
        self.results["raw"].append(self._limits.engines())

    def _attempt(self, name: str, work: Callable[[], None]) -> None:
        """Do a piece of work; an exception becomes a line of the report."""
        self._clock.say(name)
        try:
            work()
        except Exception as error:  # no failure of one contender may end the run
            self.results["failed"][name] = f"{type(error).__name__}: {error}"
            self._clock.say(f"FAILED: {name}: {error}")
