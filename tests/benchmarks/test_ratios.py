from typing import Any

import pytest

from benchmarks.contenders import ARTICLE, GATEWAY_INT8
from benchmarks.exports import VGG16
from benchmarks.ratios import GOALS, ratios
from tests.benchmarks.canned import results

EXPECTED = {
    "gateway_vs_raw_vgg16": 40 / 50,
    "bf16_vs_best_peer": 20 / 9,
    "same_engine_vs_best_peer_vgg16": 20 / 16,
    "int8_vs_best_peer": 40 / 9,
    "int8_vs_article_app": 40 / 4,
    "gateway_vs_triton_lite0": 300 / 400,
    "same_engine_vs_best_peer_lite0": 300 / 150,
    "added_p50_ms_lite0": 2.5,
    "int8_agreement_lite0": 0.97,
    "replica_efficiency_16": 76 / (16 * 4.9),
}


def test_every_goal_has_its_ratio() -> None:
    assert ratios(results()) == pytest.approx(EXPECTED)
    assert set(GOALS) == set(EXPECTED)


def test_a_contender_that_failed_leaves_its_ratios_empty() -> None:
    found = results()
    del found["loads"][VGG16][ARTICLE], found["loads"][VGG16][GATEWAY_INT8]
    empty = {name for name, value in ratios(found).items() if value is None}
    assert empty == {"gateway_vs_raw_vgg16", "int8_vs_best_peer", "int8_vs_article_app"}


@pytest.mark.parametrize("part", ["alone", "replicas", "raw"])
def test_a_part_that_failed_leaves_one_ratio_empty(part: str) -> None:
    found = results()
    found[part] = [] if part == "raw" else None
    assert sum(value is None for value in ratios(found).values()) == 1


def test_a_run_that_measured_nothing_has_all_keys() -> None:
    nothing: dict[str, Any] = {"loads": {}, "raw": []}
    assert ratios(nothing) == dict.fromkeys(GOALS)
