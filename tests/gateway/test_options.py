"""The query of /v1/classify."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

import gateway
from gateway.errors import BadRequest
from gateway.options import ClassifyOptions
from gateway.setting import whole
from gateway.shares import Shares


def test_options_are_read_from_the_query() -> None:
    query = MultiDict({"model": "vgg16", "version": "2", "top_k": "10", "min_score": "5e-1"})
    assert ClassifyOptions.from_args(query) == ClassifyOptions("vgg16", "2", 10, 0.5)
    assert ClassifyOptions.from_args(MultiDict({"ab": "1:1"})).ab == Shares({"1": 1})


def test_every_version_that_triton_can_serve_may_be_asked() -> None:
    newest = str(2**63 - 1)  # a time in nanoseconds has as many digits
    assert ClassifyOptions.from_args(MultiDict({"version": newest})).version == newest
    assert re.search(documented("version")["pattern"], newest)
    assert whole(1)(newest) == int(newest)  # on the command line of an export or a deployment
    for text in (f"{newest}:1", f"1:1,{newest}:1"):
        assert newest in Shares.parse(text).weights
        assert re.search(documented("ab")["pattern"], text)


def documented(name: str) -> dict[str, Any]:
    document = json.loads((Path(gateway.__file__).parent / "openapi.json").read_text())
    parameters = document["paths"]["/v1/classify"]["post"]["parameters"]
    return next(p["schema"] for p in parameters if p["name"] == name)


@pytest.mark.parametrize("name", ["top_k", "min_score"])
def test_the_document_gives_the_default_and_the_limits(name: str) -> None:
    schema = documented(name)
    assert getattr(ClassifyOptions.from_args(MultiDict()), name) == schema["default"]
    for value in (schema["minimum"], schema["maximum"]):
        options = ClassifyOptions.from_args(MultiDict({name: str(value)}))
        assert getattr(options, name) == value


@given(st.data())
def test_every_ab_that_the_document_allows_is_read(data: st.DataObject) -> None:
    text = data.draw(st.from_regex(documented("ab")["pattern"], fullmatch=True))
    assert ClassifyOptions.from_args(MultiDict({"ab": text})).ab == Shares.parse(text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("1:90,2:10", True),
        ("2:100", True),
        ("1:1,11:1,111:1", True),
        ("1:90,90:1", True),
        ("1:1,2:2,1:3", False),
        ("1:0", False),
        ("1", False),
        ("1:1,", False),
    ],
)
def test_the_document_says_which_ab_are_allowed(text: str, allowed: bool) -> None:
    assert bool(re.search(documented("ab")["pattern"], text)) == allowed


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
        {"min_score": "0_1"},
        {"min_score": "half"},
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
