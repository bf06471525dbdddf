"""The tuned values in a model's configuration."""

from dataclasses import replace

import pytest

from inference.pbtxt import parse
from inference.tuning.candidate import Candidate
from tests.inference.tuning.candidates import DEFAULT

CONFIG = {
    "max_batch_size": 16,
    "instance_group": [{"count": 2}],
    "dynamic_batching": {
        "preferred_batch_size": [4, 8],
        "max_queue_delay_microseconds": "200",
    },
    "parameters": {"precision": {"string_value": "f32"}, "threads": {"string_value": "3"}},
}


@pytest.mark.parametrize(
    ("backend", "candidate"),
    [
        ("tensorflow", Candidate("f32", instances=2, threads=3, batch=8, delay=200)),
        ("python", Candidate("auto", instances=2, threads=0, batch=8, delay=200)),
    ],
)
def test_values_are_read_where_they_mean_something(backend: str, candidate: Candidate) -> None:
    assert Candidate.from_config(CONFIG | {"backend": backend}) == candidate


def test_without_values_it_is_the_default() -> None:
    assert Candidate.from_config({"backend": "tensorflow", "max_batch_size": 16}) == DEFAULT


def test_what_equals_the_default_is_not_written() -> None:
    config = parse("")
    replace(DEFAULT, precision="f32").apply(config, DEFAULT)
    assert config == parse('parameters { key: "precision" value { string_value: "f32" } }')
