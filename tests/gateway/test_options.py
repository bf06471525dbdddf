"""The query of /v1/classify."""

import pytest
from werkzeug.datastructures import MultiDict

from gateway.errors import BadRequest
from gateway.options import ClassifyOptions
from gateway.shares import Shares


def test_options_are_read_from_the_query() -> None:
    query = MultiDict({"model": "vgg16", "version": "2", "top_k": "1000", "min_score": "5e-1"})
    assert ClassifyOptions.from_args(query) == ClassifyOptions("vgg16", "2", 1000, 0.5)
    assert ClassifyOptions.from_args(MultiDict({"ab": "1:1"})).ab == Shares({"1": 1})


@pytest.mark.parametrize(
    "query",
    [
        {"top_k": "0"},
        {"top_k": "1001"},
        {"top_k": "five"},
        {"top_k": ""},
        {"top_k": "٣"},
        {"min_score": "1.1"},
        {"min_score": "-0.1"},
        {"min_score": "nan"},
        {"min_score": "1_0"},
        {"version": "latest"},
        {"version": "0"},
        {"model": "../etc"},
        {"model": ""},
        {"ab": "1"},
        {"topk": "3"},
        {"top_k": ["1", "2"]},
    ],
    ids=str,
)
def test_anything_else_is_a_bad_request(query: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        ClassifyOptions.from_args(MultiDict(query))
