"""How the self-test judges the answers of models that were exported with a mistake."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from gateway.contract import Contract
from gateway.image import Pixels
from inference.contracts.answer import Answer
from inference.contracts.expectation import Expectation
from inference.contracts.judgement import NOISE, NOISE_AT_AUTO, judge, judge_ensemble
from inference.contracts.variants import variants
from tests.inference.contracted import (
    CONTRACT,
    LABELS,
    PICTURE,
    PROJECTION,
    configuration,
    golden,
)
from tests.photos import photos

NAMESPACE: dict = {}
exec(PROJECTION, NAMESPACE)
# A different best label, at nearly the golden probability, does not prove a wrong label file.
LABEL_DIFFERS = [(9, "channel order"), (5, "resize")]
MISTAKES = {variant.mistake(): variant.contract for variant in variants(CONTRACT)}
# The last one is square, so that two of the mistakes are the same.
PHOTOS = [photo.data for photo in photos()[:-1]]


def expectation(picture: bytes, exported: Contract, precision: str) -> Expectation:
    stated = golden(picture, exported) | {"precision": precision}
    return Expectation.from_config(configuration(**stated), "1")


def ask(tensor: Pixels, off: float = 0.0) -> Answer:
    """Answer as the model does whose right input is the one it was exported with."""
    scores = NAMESPACE["classify"](tensor[np.newaxis])[0]
    best = int(scores.argmax())
    scores[best] += off
    order = [best, *(i for i in range(len(scores)) if i != best)]
    return Answer.from_strings([f"{scores[i]}:{i}:{LABELS[i]}".encode() for i in order], "1")


@pytest.mark.parametrize("precision", ["f32", "auto"])
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("photo", range(len(PHOTOS)))
def test_no_mistake_is_taken_for_another(photo: int, mistake: str, precision: str) -> None:
    expected = expectation(PHOTOS[photo], MISTAKES[mistake], precision)
    answer = ask(expected.tensor())
    found = judge(answer, expected, ask)
    lead = answer.probability - answer.score(expected.label)
    noise = NOISE.get(precision, NOISE_AT_AUTO)
    if lead > noise or expected.gap(answer) > expected.tolerance:
        assert found == f"{mistake}: the model expects that, contrary to its own contract"
    else:
        assert found is None or found.startswith(mistake)


@pytest.mark.parametrize(("photo", "kind"), LABEL_DIFFERS)
def test_another_label_at_nearly_the_same_probability_may_be_a_mistake(
    photo: int, kind: str
) -> None:
    exported = next(c for mistake, c in MISTAKES.items() if mistake.startswith(f"wrong {kind}"))
    expected = expectation(PHOTOS[photo], exported, "auto")
    answer = ask(expected.tensor())
    assert answer.label != expected.label
    assert abs(answer.probability - expected.probability) < expected.tolerance
    assert str(judge(answer, expected, ask)).startswith(f"wrong {kind}")


def test_a_mistake_within_the_tolerance_of_auto_is_noticed() -> None:
    exported = MISTAKES["wrong channel order (BGR instead of RGB)"]
    expected = expectation(PICTURE, exported, "auto")
    answer = ask(expected.tensor())
    assert answer.label == expected.label
    assert NOISE_AT_AUTO < expected.gap(answer) < expected.tolerance
    assert str(judge(answer, expected, ask)).startswith("wrong channel order")


@pytest.mark.parametrize("precision", ["bf16", "int8", "auto"])
@pytest.mark.parametrize("off", [-0.01, 0.0, 0.01])
@pytest.mark.parametrize("photo", range(len(PHOTOS)))
def test_the_rounding_of_a_right_model_is_no_mistake(
    photo: int, off: float, precision: str
) -> None:
    expected = expectation(PHOTOS[photo], CONTRACT, precision)
    assert judge(ask(expected.tensor(), off), expected, ask) is None


def test_what_low_precision_does_to_a_model_that_is_not_sure_is_no_mistake() -> None:
    """A model of three classes, measured: by chance, a closer crop gets nearer at bf16."""
    told = {"golden_label_v1": LABELS[1], "golden_probability_v1": "0.4924"}
    expected = Expectation.from_config(configuration(precision="auto", **told), "1")
    closer = expected.tensors_gone_wrong()["wrong resize (shorter side 64 instead of 80)"]

    def unsure(tensor: Pixels) -> Answer:
        score = 0.4882 if np.array_equal(tensor, closer) else 0.4707
        rows = [f"{score}:1:{LABELS[1]}", *(f"0.05:{i}:{LABELS[i]}" for i in (0, *range(2, 10)))]
        return Answer.from_strings(map(str.encode, rows), "1")

    assert judge(unsure(expected.tensor()), expected, unsure) is None


@pytest.mark.parametrize(
    ("lead", "stated", "is_right"), [(0.006, 0.5, True), (0.16, 0.5, False), (0.16, 0.42, False)]
)
def test_only_of_classes_as_good_as_equal_may_another_lead(
    lead: float, stated: float, is_right: bool
) -> None:
    """A fine-tuned model may know nothing of what the golden picture shows."""
    told = {"golden_label_v1": LABELS[0], "golden_probability_v1": str(stated)}
    expected = Expectation.from_config(configuration(precision="auto", **told), "1")
    scores = {1: 0.5 + lead / 2, 0: 0.5 - lead / 2} | dict.fromkeys(range(2, 10), 0.0)
    rows = [f"{score}:{i}:{LABELS[i]}".encode() for i, score in scores.items()]
    answer = Answer.from_strings(rows, "1")
    assert (judge(answer, expected, lambda tensor: answer) is None) == is_right


@pytest.mark.parametrize("number", [3, 0], ids=["the golden class", "another"])
def test_a_probability_that_is_not_a_number_is_never_right(number: int) -> None:
    expected = expectation(PICTURE, CONTRACT, "auto")
    direct = ask(expected.tensor())
    broken = replace(direct, scores=direct.scores | {number: math.nan})
    found = judge(broken, expected, ask), judge_ensemble(broken, direct, expected, {"": direct})
    assert found == ("a probability is not a number (NaN)",) * 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, None),
        ({"version": "2"}, "it answers as version 2, but version 1 serves"),
        ({"scores": {3: 0.9, 0: 0.1}}, "it answers 'n00000003 thing 3' (0.9000), but the model"),
        (
            {"labels": dict(enumerate(LABELS)) | {5: "dog"}},
            "wrong label file: class 5 is called 'dog', but by the model itself 'n00000005 thing",
        ),
        ({"labels": {}}, "wrong label file: class 0 is called '', but by the model itself 'n0000"),
    ],
)
def test_an_ensemble_has_to_answer_as_its_model_does(changes: dict, sentence: str | None) -> None:
    expected = expectation(PICTURE, CONTRACT, "auto")
    direct = ask(expected.tensor())
    wrong = {mistake: ask(tensor) for mistake, tensor in expected.tensors_gone_wrong().items()}
    found = judge_ensemble(replace(direct, **changes), direct, expected, wrong)
    assert found is None if sentence is None else str(found).startswith(sentence)


def test_what_precision_alone_does_is_no_mistake_of_an_ensemble() -> None:
    expected = expectation(PICTURE, CONTRACT, "auto")
    direct = ask(expected.tensor())
    nearly = replace(direct, scores={n: score + 0.0005 for n, score in direct.scores.items()})
    assert judge_ensemble(nearly, direct, expected, {"wrong interpolation": nearly}) is None


@pytest.mark.parametrize(
    ("stated", "found"), [(0.15, 0.2), (0.9, 0.6)], ids=["not sure", "another probability"]
)
def test_a_label_file_is_not_blamed_for_another_answer(stated: float, found: float) -> None:
    told = {"golden_label_v1": LABELS[0], "golden_probability_v1": str(stated)}
    expected = Expectation.from_config(configuration(precision="auto", **told), "1")
    scores = {1: found} | {number: 0.0 for number in range(10) if number != 1}
    answer = Answer("1", 1, scores, dict(enumerate(LABELS)))
    told_of_it = str(judge(answer, expected, lambda tensor: answer))
    assert told_of_it.startswith(f"the golden picture is '{LABELS[1]}'")


def test_a_label_file_of_another_model_is_called_so() -> None:
    expected = expectation(PICTURE, CONTRACT, "auto")
    answer = ask(expected.tensor())
    labels = {i: LABELS[(i + 1) % len(LABELS)] for i in answer.labels}
    other = Answer("1", answer.best, answer.scores, labels)
    found = judge(other, expected, lambda tensor: other)
    assert re.match("wrong label file: class 3 is called", str(found))
