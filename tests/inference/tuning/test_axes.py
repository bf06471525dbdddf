"""What is worth trying on a machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.backends.tensorflow.precision import float_precision
from inference.tuning.axes import axes
from inference.tuning.candidate import Candidate
from tests.inference.tuning.candidates import DEFAULT, SAVEDMODEL


def values(axis: list[Candidate], name: str) -> list[object]:
    return [getattr(candidate, name) for candidate in axis]


@pytest.mark.parametrize("cpus", [1, 2, 6, 64])
def test_instances_share_the_cpus_and_fit_into_memory(tmp_path: Path, cpus: int) -> None:
    _, instances, *_ = axes(SAVEDMODEL, tmp_path, cpus, most=4)
    found = instances(DEFAULT)
    assert len(found) == len(set(found))
    for candidate in found:
        threads = candidate.threads or max(1, cpus // candidate.instances)
        assert candidate.instances <= 4
        assert cpus / 2 <= candidate.instances * threads <= 2 * cpus
    assert DEFAULT in found


def test_six_cpus_are_shared_in_different_ways(tmp_path: Path) -> None:
    _, instances, *_ = axes(SAVEDMODEL, tmp_path, cpus=6, most=4)
    pairs = [(candidate.instances, candidate.threads) for candidate in instances(DEFAULT)]
    assert pairs == [(1, 4), (1, 0), (2, 2), (2, 4), (2, 6), (4, 0), (4, 2)]


def test_batches_and_delays_are_tried_where_requests_are_gathered(tmp_path: Path) -> None:
    *_, batches, delays = axes(SAVEDMODEL, tmp_path, cpus=2, most=1)
    assert values(batches(DEFAULT), "batch") == [4, 8, 16, 32]
    assert values(delays(DEFAULT), "delay") == [0, 200, 1000]


def test_no_precision_is_coarser_than_the_choice_of_auto(tmp_path: Path) -> None:
    without = axes(SAVEDMODEL, tmp_path, 2, 1)[0]
    assert set(values(without(DEFAULT), "precision")) <= {"f32"}
    (tmp_path / "model.int8.xml").touch()
    quantised = axes(SAVEDMODEL, tmp_path, 2, 1)[0]
    finer = ["bf16", "f32"] if float_precision() == "bf16" else ["f32"]
    assert values(quantised(DEFAULT), "precision") == finer
    assert quantised(replace(DEFAULT, precision="bf16")) == []


def test_other_backends_have_neither_threads_nor_precision(tmp_path: Path) -> None:
    (instances,) = axes({"backend": "python"}, tmp_path, cpus=2, most=9)
    assert instances(DEFAULT) == [DEFAULT, replace(DEFAULT, instances=2)]
