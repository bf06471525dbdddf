"""Triton's classification strings."""

import pytest

from gateway.errors import InferenceFailed
from gateway.labels import Prediction, parse_classification


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.9731:388:n02510455 giant panda", Prediction("n02510455", "giant panda", 0.9731)),
        ("0.5:3:a label: with colons", Prediction(None, "a label: with colons", 0.5)),
        ("0.5:3", Prediction(None, "3", 0.5)),
        ("0.5:3:n02510455 giant panda\r", Prediction("n02510455", "giant panda", 0.5)),
        ("0.5:0:\ufeffn02510455 giant panda", Prediction("n02510455", "giant panda", 0.5)),
        ("0.5:3:\r", Prediction(None, "3", 0.5)),
        ("1.000001:3:x", Prediction(None, "x", 1.0)),
        ("-0.000001:3:x", Prediction(None, "x", 0.0)),
    ],
    ids=[
        "wordnet",
        "colons",
        "no label",
        "Windows line end",
        "byte order mark",
        "empty line",
        "above one",
        "below zero",
    ],
)
def test_a_classification_string_becomes_a_prediction(text: str, expected: Prediction) -> None:
    assert parse_classification(text) == expected


@pytest.mark.parametrize("score", ["nan", "-nan", "inf", "12.345678", "-3.2"])
def test_what_is_not_a_probability_is_never_shown_as_one(score: str) -> None:
    with pytest.raises(InferenceFailed, match="softmax or a sigmoid") as failure:
        parse_classification(f"{score}:3:x")
    assert failure.value.for_log().endswith(f"It answers {float(score):g}.")
