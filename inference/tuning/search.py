"""Looks for the fastest candidate within a bounded time, and compares it with the default."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inference.tuning.axes import Axis
from inference.tuning.candidate import Candidate
from inference.tuning.load import Figures, Load

ROUNDS = 4
NOISE = 0.02  # two measurements of one configuration may differ by this much
SEARCH_SHARE = 0.6
# How long a lone client waits, and how much the model can do. With a few clients, requests and
# batches fall into step in different ways: one configuration makes 300 answers a second or 400.
JUDGED = (1, 16)
LARGEST_LOSS = 0.25  # with other numbers of clients: more than that is not due to such steps

Round = tuple[Figures, Figures]  # the default's and the best candidate's
Measure = Callable[[Candidate, float], Figures]


@dataclass(frozen=True)
class Search:
    """A search of about `seconds`; `measure` measures a candidate for the seconds it is given."""

    measure: Measure
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def narrow(self, default: Candidate, axes: Sequence[Axis]) -> dict[Candidate, Figures]:
        """Measure the candidates along one axis after the other, each from the best so far.

        The full grid has hundreds of candidates, too many for the time. Precision matters most and
        hardly depends on the rest, so it comes first. Batches and delays only share out what the
        instances can do, so they come last. Candidates left when the time is up are not tried.
        """
        end = self.clock() + SEARCH_SHARE * self.seconds
        # Loading a candidate takes about as long as measuring it.
        each = SEARCH_SHARE * self.seconds / (2 * self.reach(default, axes))
        tried = {default: self.measure(default, each)}
        for axis in axes:
            for candidate in axis(fastest(tried)):
                if candidate not in tried and self.clock() < end:
                    tried[candidate] = self.measure(candidate, each)
        return tried

    def reach(self, default: Candidate, axes: Sequence[Axis]) -> int:
        """Estimate how many candidates there are to try, the default included."""
        return 1 + sum(len(axis(default)) for axis in axes)

    def compare(self, default: Candidate, best: Candidate) -> list[Round]:
        """Measure both in turn, so that other work on the machine affects both."""
        each = (1 - SEARCH_SHARE) * self.seconds / (2 * ROUNDS)
        rounds = []
        for number in range(ROUNDS):
            order = (default, best) if number % 2 else (best, default)
            found = {candidate: self.measure(candidate, each) for candidate in order}
            rounds.append((found[default], found[best]))
        return rounds


def fastest(tried: Mapping[Candidate, Figures]) -> Candidate:
    """Choose the best for a lone client and for many, weighted equally; the first of equals."""
    return max(tried, key=lambda candidate: _speed(tried[candidate]))


def is_faster(rounds: Sequence[Round]) -> bool:
    """Tell whether the best is faster in every round, and on the whole slower for nobody judged.

    Each client waits for its answer: the more answers come, the less it has waited.
    """
    each = [math.prod(gains([one]).values()) for one in rounds]  # 1 if it failed
    others = [gain for clients, gain in _all_gains(rounds).items() if clients not in JUDGED]
    return (
        min(each) > 1 + NOISE
        and min(gains(rounds).values()) >= 1 - NOISE
        and min(others, default=1.0) >= 1 - LARGEST_LOSS
    )


def gains(rounds: Sequence[Round]) -> dict[int, float]:
    """Return how many times as fast the best is, for the clients judged; empty if it failed."""
    found = _all_gains(rounds)
    return {clients: found[clients] for clients in JUDGED if found}


def _all_gains(rounds: Sequence[Round]) -> dict[int, float]:
    """Return how many times as fast the best is, by number of clients; empty if it failed."""
    default, best = (middle(figures) for figures in zip(*rounds, strict=True))
    return {
        clients: load.throughput / default[clients].throughput for clients, load in best.items()
    }


def middle(rounds: Sequence[Figures]) -> Figures:
    """Take the medians of several measurements; empty if one has failed."""
    if not all(rounds):
        return {}
    return {
        clients: Load(
            statistics.median(figures[clients].throughput for figures in rounds),
            statistics.median(figures[clients].p50_ms for figures in rounds),
        )
        for clients in rounds[0]
    }


def _speed(figures: Figures) -> float:
    return math.prod(figures[clients].throughput for clients in JUDGED) if figures else 0.0
