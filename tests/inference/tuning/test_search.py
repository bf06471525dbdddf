"""The search for the fastest configuration, with made-up figures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inference.tuning.axes import axes
from inference.tuning.candidate import Candidate
from inference.tuning.load import Figures, Load
from inference.tuning.search import ROUNDS, Search, fastest, gains, is_faster
from tests.inference.tuning.candidates import DEFAULT, SAVEDMODEL, figures


class Machine:
    """Stands in for the bench: `speed` says what a candidate does, and measuring takes time."""

    def __init__(self, speed: Callable[[Candidate], float], cost: float = 0.0) -> None:
        self.speed, self.cost, self.now = speed, cost, 0.0
        self.measured: list[Candidate] = []

    def measure(self, candidate: Candidate, seconds: float) -> Figures:
        self.now += seconds + self.cost
        self.measured.append(candidate)
        return figures(self.speed(candidate))

    def search(self, seconds: float) -> Search:
        return Search(self.measure, seconds, lambda: self.now)


def test_search_goes_on_from_the_best_of_each_axis(tmp_path: Path) -> None:
    machine = Machine(lambda c: 100 + 50 * (c.instances == 2) + 10 * (c.batch == 8))
    tried = machine.search(120).narrow(DEFAULT, axes(SAVEDMODEL, tmp_path, cpus=2, most=2))
    assert fastest(tried) == replace(DEFAULT, instances=2, batch=8)
    assert len(tried) < 16  # the grid has 4 x 4 x 3 and more
    assert machine.measured == list(tried)  # each once


def test_search_ends_when_its_time_is_over(tmp_path: Path) -> None:
    machine = Machine(lambda c: 100, cost=20)
    machine.search(100).narrow(DEFAULT, axes(SAVEDMODEL, tmp_path, cpus=64, most=64))
    assert 60 <= machine.now < 60 + 25
    assert len(machine.measured) < 5


def test_what_cannot_be_served_does_not_win() -> None:
    broken = replace(DEFAULT, instances=2)
    assert fastest({DEFAULT: figures(1), broken: figures(0)}) == DEFAULT


def test_best_and_default_are_measured_by_turns() -> None:
    best = replace(DEFAULT, batch=8)
    machine = Machine(lambda c: 110 if c == best else 100)
    rounds = machine.search(120).compare(DEFAULT, best)
    assert sorted(machine.measured[:2], key=str) == sorted(machine.measured[2:4], key=str)
    assert [machine.measured.count(c) for c in (DEFAULT, best)] == [ROUNDS, ROUNDS]
    assert machine.measured[0] != machine.measured[2]
    assert machine.now == pytest.approx(0.4 * 120)
    assert gains(rounds) == {1: 1.0, 16: pytest.approx(1.1)}


def test_a_best_that_fails_in_one_round_gains_nothing() -> None:
    best = replace(DEFAULT, batch=8)
    answers = iter([200, 0, 200, 200])
    machine = Machine(lambda c: next(answers) if c == best else 100)
    rounds = machine.search(120).compare(DEFAULT, best)
    assert (gains(rounds), is_faster(rounds)) == ({}, False)


@pytest.mark.parametrize(
    ("rounds", "faster"),
    [
        ([(1.0, 1.3), (1.0, 1.2), (1.0, 1.3)], True),
        ([(0.9, 1.3), (0.99, 1.3), (1.01, 1.3)], True),
        ([(0.97, 2.0), (0.97, 2.0), (0.97, 2.0)], False),
        ([(1.3, 0.97), (1.3, 0.97), (1.3, 0.97)], False),
        ([(1.005, 1.005), (1.005, 1.005), (1.005, 1.005)], False),
        ([(2.0, 2.0), (2.0, 2.0), (1.0, 0.9)], False),
    ],
    ids=["faster", "noise", "slower alone", "slower for many", "as fast", "once slower"],
)
def test_only_what_is_faster_and_slower_for_nobody_wins(
    rounds: list[tuple[float, float]], faster: bool
) -> None:
    measured = [(figures(100), figures(100 * many, 100 * alone)) for alone, many in rounds]
    assert is_faster(measured) is faster


@pytest.mark.parametrize(("rate", "faster"), [(300, True), (299, False)])
def test_what_a_few_clients_see_decides_nothing_unless_it_is_much(rate: int, faster: bool) -> None:
    few = {4: Load(400, 10)}, {4: Load(rate, 13)}
    rounds = [(figures(100) | few[0], figures(130) | few[1])] * ROUNDS
    assert is_faster(rounds) is faster
    assert gains(rounds) == {1: 1.0, 16: 1.3}
