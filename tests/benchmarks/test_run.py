import json
from pathlib import Path

import pytest

from benchmarks.clock import Clock
from benchmarks.contenders import SAME_ENGINE
from benchmarks.preparation import Prepared
from benchmarks.repositories import Repositories
from benchmarks.run import Run, Size


def run(tmp_path: Path, minutes: float, size: Size) -> dict:
    """Run without any exported model, so that everything that is tried fails."""
    prepared = Prepared(Repositories(tmp_path / "none", tmp_path / "none"), None, {})
    Run(prepared, Clock(minutes), size, tmp_path, tmp_path / "results").measure()
    return json.loads((tmp_path / "results/latest.json").read_text())


def test_what_fails_is_reported_and_costs_no_other(tmp_path: Path) -> None:
    found = run(tmp_path, 5, Size(rounds=1, seconds=0.1, only="article"))
    assert found["rounds"] == 1
    assert set(found["failed"]) == {
        "engine alone",
        "article (Flask + Keras predict), vgg16 (round 1)",
    }


def test_no_contender_begins_after_the_time(tmp_path: Path) -> None:
    found = run(tmp_path, 0, Size(rounds=2, seconds=0.1, only="LitServe"))
    assert found["rounds"] == 1
    assert found["failed"][f"{SAME_ENGINE[0]}, vgg16 (round 1)"] == "no time was left"


@pytest.mark.parametrize(("minutes", "enough"), [(1, True), (0.1, False)])
def test_the_clock_knows_what_is_left(minutes: float, enough: bool) -> None:
    assert Clock(minutes).suffices(30) is enough
