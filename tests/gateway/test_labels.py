"""Triton's classification strings."""

import pytest

from gateway.labels import Prediction, parse_classification, split_byte_strings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.9731:388:n02510455 giant panda", Prediction("n02510455", "giant panda", 0.9731)),
        ("0.5:3:a label: with colons", Prediction(None, "a label: with colons", 0.5)),
        ("0.5:3", Prediction(None, "3", 0.5)),
        ("1.000001:3:x", Prediction(None, "x", 1.0)),
        ("-0.000001:3:x", Prediction(None, "x", 0.0)),
        ("nan:3:x", Prediction(None, "x", 0.0)),
    ],
    ids=["wordnet", "colons", "no label", "above one", "below zero", "no number"],
)
def test_a_classification_string_becomes_a_prediction(text: str, expected: Prediction) -> None:
    assert parse_classification(text) == expected


def test_byte_strings_are_cut_by_their_lengths() -> None:
    raw = b"\x03\0\0\0abc" + b"\x01\0\0\0z" + b"\0\0\0\0"
    assert split_byte_strings(raw) == ["abc", "z", ""]
